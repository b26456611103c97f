"""The control socket, asked by real clients."""

import asyncio
import contextlib
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from speakerd.errors import SpeakerdError
from speakerd.host import control
from speakerd.host.control import MOST, Control, ask_for_status, ask_to_mute

NOBODY = 65534


class Daemon:
    """Counts how often it was muted."""

    def __init__(self, trouble: str | None = None, refuses: str = "", says: str = '{"state": "idle"}') -> None:
        self.mutes = 0
        self._trouble = trouble
        self._refuses = refuses
        self._says = says

    async def mute(self) -> str | None:
        if self._refuses:
            raise SpeakerdError(self._refuses)
        self.mutes += 1
        return self._trouble

    async def status(self) -> str:
        return self._says

    @contextlib.asynccontextmanager
    async def listens(self, directory: Path | None) -> AsyncIterator[None]:
        door = Control(directory, self.mute, self.status)
        async with door.listening(), asyncio.TaskGroup() as group:
            task = group.create_task(door.run())
            try:
                yield
            finally:
                task.cancel()


async def say(directory: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(directory / "control")
    writer.write(request)
    writer.write_eof()
    async with asyncio.timeout(15):
        reply = await reader.readline()
    writer.close()
    return reply


async def test_whoever_asks_for_it_gets_it_muted(tmp_path: Path) -> None:
    """The command returns when the daemon has muted; the socket is for owner and group, and goes with the daemon."""
    daemon = Daemon()
    async with daemon.listens(tmp_path):
        assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o660
        await asyncio.to_thread(ask_to_mute, tmp_path)
        assert daemon.mutes == 1
    assert not (tmp_path / "control").exists()


async def test_whoever_asks_is_told_how_it_is(tmp_path: Path) -> None:
    """The status comes as the daemon says it, and mutes nobody."""
    daemon = Daemon()
    async with daemon.listens(tmp_path):
        assert await asyncio.to_thread(ask_for_status, tmp_path) == '{"state": "idle"}'
    assert daemon.mutes == 0


async def test_who_muted_is_in_the_journal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The line has the process and its user; to ask how it is leaves none."""
    caplog.set_level("INFO")
    async with Daemon().listens(tmp_path):
        await asyncio.to_thread(ask_for_status, tmp_path)
        assert not caplog.records
        await asyncio.to_thread(ask_to_mute, tmp_path)
    (line,) = [vars(record) for record in caplog.records]
    assert (line["event"], line["pid"], line["uid"]) == ("mute-asked", os.getpid(), os.getuid())


NO_REQUESTS = (
    b"", b"\n", b"unmute\n", b"mute off\n", b"mute", b"MUTE\n", b"mute\0\n", b" mute\n", b"un" * 1000 + b"\n",
    b"\xff\n", b"GET /metrics HTTP/1.1\r\n\r\n", b"status mute\n", bytes(100_000),
)  # fmt: skip


@pytest.mark.parametrize("request_", NO_REQUESTS, ids=lambda request: repr(request[:12]))
async def test_nothing_else_can_be_asked_for(tmp_path: Path, request_: bytes) -> None:
    """Whatever else is said, nothing happens but a reply, and the next one who asks is served."""
    daemon = Daemon()
    async with daemon.listens(tmp_path):
        assert await say(tmp_path, request_) == b"there are two requests: status, and mute\n"
        assert daemon.mutes == 0
        assert await say(tmp_path, b"mute\n") == b"muted\n"


async def test_who_says_nothing_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that only connects is hung up on, and others are served meanwhile."""
    monkeypatch.setattr(control, "PATIENCE_S", 0.5)
    async with Daemon().listens(tmp_path):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "control")
        assert await say(tmp_path, b"mute\n") == b"muted\n"
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_who_never_reads_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply that nobody takes is given up, with its place."""
    monkeypatch.setattr(control, "PATIENCE_S", 0.5)
    async with Daemon(says="{" + "x" * 4_000_000).listens(tmp_path):
        deaf = [socket.socket(socket.AF_UNIX) for _ in range(MOST)]
        for line in deaf:
            line.connect(str(tmp_path / "control"))
            line.sendall(b"status\n")
        async with asyncio.timeout(5):
            while await say(tmp_path, b"mute\n") != b"muted\n":  # noqa: ASYNC110 - there is nothing to wait for
                await asyncio.sleep(0.05)
        for line in deaf:
            line.close()


async def test_one_more_than_there_are_places_for_is_told_so(tmp_path: Path) -> None:
    """Whoever comes while all places are taken learns it at once; a place that is left is free."""
    async with Daemon().listens(tmp_path):
        lines = [await asyncio.open_unix_connection(tmp_path / "control") for _ in range(MOST)]
        with pytest.raises(SpeakerdError, match="too many ask at once"):
            await asyncio.to_thread(ask_for_status, tmp_path)
        lines.pop()[1].close()
        async with asyncio.timeout(5):
            while b"state" not in await say(tmp_path, b"status\n"):  # noqa: ASYNC110 - there is nothing to wait for
                await asyncio.sleep(0.02)
        for _, writer in lines:
            writer.close()


async def test_those_who_come_all_at_once_leave_time_for_the_sound(tmp_path: Path) -> None:
    """Between two callers the event loop turns at least once, however many wait."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    daemon = Daemon()
    door = Control(tmp_path, daemon.mute, daemon.status)
    async with door.listening(), asyncio.TaskGroup() as group:
        with contextlib.ExitStack() as callers:
            for _ in range(MOST + 1):
                line = callers.enter_context(socket.socket(socket.AF_UNIX))
                line.connect(str(tmp_path / "control"))
            line.setblocking(False)
            tasks = [group.create_task(door.run()), group.create_task(turn())]
            async with asyncio.timeout(5):
                assert await asyncio.get_running_loop().sock_recv(line, 99) == b"too many ask at once; try again\n"
            assert turns >= MOST
            for task in tasks:
                task.cancel()


async def test_what_is_wrong_with_the_mute_is_told_to_who_asked(tmp_path: Path) -> None:
    """A mute that does not hold is a failure of the command."""
    async with Daemon("the disk is full").listens(tmp_path):
        with pytest.raises(SpeakerdError, match="muted, but the disk is full"):
            await asyncio.to_thread(ask_to_mute, tmp_path)


async def test_a_mute_that_is_refused_is_told_to_who_asked(tmp_path: Path) -> None:
    """The command fails with the daemon's own words."""
    async with Daemon(refuses="there is no button").listens(tmp_path):
        with pytest.raises(SpeakerdError, match=r"^there is no button$"):
            await asyncio.to_thread(ask_to_mute, tmp_path)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """Make a directory that everybody may enter."""
    place = Path(tempfile.mkdtemp(prefix="speakerd-", dir="/tmp"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


SAY = """
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
line.send(b"mute\\n")
print(line.recv(999).decode())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("groups", [[], [os.getegid()]], ids=["a stranger", "one of the group"])
async def test_a_socket_that_is_open_to_all_still_asks_who_it_is(open_place: Path, groups: list[int]) -> None:
    """The rights of the file are the first door, the credentials of the caller the second."""
    daemon = Daemon()
    async with daemon.listens(open_place):
        (open_place / "control").chmod(0o777)
        printed = await asyncio.to_thread(
            subprocess.run, ["/usr/bin/python3", "-c", SAY, str(open_place / "control")], cwd="/", check=True,
            capture_output=True, text=True, user=NOBODY, group=NOBODY, extra_groups=groups, timeout=20,
        )  # fmt: skip
    assert daemon.mutes == len(groups)
    assert printed.stdout.startswith("muted" if groups else "user 65534 may not ask")


async def test_the_socket_of_a_daemon_that_was_killed_is_in_nobodys_way(tmp_path: Path) -> None:
    """The next daemon listens where the dead one did."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control"))
    with pytest.raises(SpeakerdError, match="no speakerd listens at"):
        ask_to_mute(tmp_path)
    async with Daemon().listens(tmp_path):
        assert await say(tmp_path, b"mute\n") == b"muted\n"


async def test_the_socket_of_a_daemon_that_lives_is_left_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second one says which process has it, and goes on; the first one still answers, also afterwards."""
    first, second = Daemon(), Daemon()
    async with first.listens(tmp_path):
        async with second.listens(tmp_path):
            assert f"process {os.getpid()} listens there" in caplog.text
            assert await say(tmp_path, b"mute\n") == b"muted\n"
        assert await say(tmp_path, b"mute\n") == b"muted\n"
    assert (first.mutes, second.mutes) == (2, 0)


async def test_by_hand_there_is_no_socket() -> None:
    """Without a directory from the service manager, nothing listens."""
    async with Daemon().listens(None):
        pass


@pytest.mark.parametrize("ask", [ask_to_mute, ask_for_status])
def test_without_a_daemon_the_command_says_so(tmp_path: Path, ask: object) -> None:
    """Whoever asks learns that nobody listens, and where to look."""
    assert callable(ask)
    with pytest.raises(SpeakerdError, match=r"no speakerd listens at .*; see: systemctl status speakerd"):
        ask(tmp_path)


def test_a_daemon_that_hangs_up_is_no_answer(tmp_path: Path) -> None:
    """One that ends while it is asked has not muted, and the command says so."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control"))
        listener.listen()
        hangs_up = threading.Thread(target=lambda: listener.accept()[0].close())
        hangs_up.start()
        with pytest.raises(SpeakerdError, match="the daemon hung up"):
            ask_to_mute(tmp_path)
        hangs_up.join()


async def test_where_there_is_no_room_for_a_socket_the_speaker_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It can be muted by its button all the same."""
    async with Daemon().listens(tmp_path / "missing"):
        pass
    assert "nobody can ask how the speaker is, or mute it, at" in caplog.text
