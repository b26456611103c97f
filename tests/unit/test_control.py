"""The control socket, asked by real clients."""

import asyncio
import socket
import stat
from pathlib import Path

import pytest

from speakerd.errors import SpeakerdError
from speakerd.host import control
from speakerd.host.control import ask_to_mute, open_to_requests


class Daemon:
    """Counts how often it was muted."""

    def __init__(self, trouble: str | None = None) -> None:
        self.mutes = 0
        self._trouble = trouble

    async def mute(self) -> str | None:
        self.mutes += 1
        return self._trouble


async def say(directory: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(directory / "control")
    writer.write(request)
    writer.write_eof()
    async with asyncio.timeout(15):
        reply = await reader.read()
    writer.close()
    return reply


async def test_whoever_asks_for_it_gets_it_muted(tmp_path: Path) -> None:
    """The command returns when the daemon has muted; the socket is for owner and group, and goes with the daemon."""
    daemon = Daemon()
    async with open_to_requests(tmp_path, daemon.mute):
        assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o660
        await asyncio.to_thread(ask_to_mute, tmp_path)
        assert daemon.mutes == 1
    assert not (tmp_path / "control").exists()


@pytest.mark.parametrize(
    "request_",
    [b"", b"\n", b"unmute\n", b"mute off\n", b"mute", b"MUTE\n", b"mute\0\n", b"un" * 1000 + b"\n", b"\xff\n"],
)
async def test_nothing_else_can_be_asked_for(tmp_path: Path, request_: bytes) -> None:
    """Whatever else is said, nothing happens, and the next one who asks is served."""
    daemon = Daemon()
    async with open_to_requests(tmp_path, daemon.mute):
        assert b"muted" not in await say(tmp_path, request_)
        assert daemon.mutes == 0
        assert await say(tmp_path, b"mute\n") == b"muted\n"


async def test_who_says_nothing_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that only connects is hung up on, and others are served meanwhile."""
    monkeypatch.setattr(control, "PATIENCE_S", 0.5)
    daemon = Daemon()
    async with open_to_requests(tmp_path, daemon.mute):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "control")
        assert await say(tmp_path, b"mute\n") == b"muted\n"
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_what_is_wrong_with_the_mute_is_told_to_who_asked(tmp_path: Path) -> None:
    """A mute that does not hold is a failure of the command."""
    async with open_to_requests(tmp_path, Daemon("the disk is full").mute):
        with pytest.raises(SpeakerdError, match="muted, but the disk is full"):
            await asyncio.to_thread(ask_to_mute, tmp_path)


async def test_the_socket_of_a_daemon_that_was_killed_is_in_nobodys_way(tmp_path: Path) -> None:
    """The next daemon listens where the dead one did."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control"))
    with pytest.raises(SpeakerdError, match="no speakerd listens at"):
        ask_to_mute(tmp_path)
    daemon = Daemon()
    async with open_to_requests(tmp_path, daemon.mute):
        assert await say(tmp_path, b"mute\n") == b"muted\n"


async def test_by_hand_there_is_no_socket() -> None:
    """Without a directory from the service manager, nothing listens."""
    async with open_to_requests(None, Daemon().mute):
        pass


def test_without_a_daemon_the_command_says_so(tmp_path: Path) -> None:
    """Whoever asks learns that nobody listens, and where to look."""
    with pytest.raises(SpeakerdError, match=r"no speakerd listens at .*; see: systemctl status speakerd"):
        ask_to_mute(tmp_path)


async def test_where_there_is_no_room_for_a_socket_the_speaker_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It can be muted by its button all the same."""
    async with open_to_requests(tmp_path / "missing", Daemon().mute):
        pass
    assert "nobody can ask for a mute at" in caplog.text
