"""The tokens of today, on a real disk."""

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from speakerd.host import usage_file
from speakerd.host.usage_file import Day, UsageFile


@contextlib.asynccontextmanager
async def kept(directory: Path) -> AsyncIterator[UsageFile]:
    """Count for a while, as the daemon does from its start to its end."""
    usage = UsageFile(directory)
    keeper = asyncio.create_task(usage.run())
    await asyncio.sleep(0)
    try:
        yield usage
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def until_there(file: Path) -> None:
    async with asyncio.timeout(5):
        while not file.exists():  # noqa: ASYNC110 - another thread writes it
            await asyncio.sleep(0.01)


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """What was used before it still counts for the day, to the last token."""
    async with kept(tmp_path) as usage:
        usage.add(100, 10, 0.5)
        await until_there(tmp_path / "usage.json")
        usage.add(1, 2, 0.25)
    today = UsageFile(tmp_path).today
    assert (today.tokens_in, today.tokens_out, today.cost_usd) == (101, 12, 0.75)
    assert stat.S_IMODE((tmp_path / "usage.json").stat().st_mode) == 0o600


async def test_the_disk_is_written_once_a_minute(tmp_path: Path) -> None:
    """A card wears out with each write, so many turns share one."""
    async with kept(tmp_path) as usage:
        usage.add(100, 10, 0.5)
        await until_there(tmp_path / "usage.json")
        written = (tmp_path / "usage.json").stat().st_ino
        for _ in range(5):
            usage.add(1, 1, 0.1)
            await asyncio.sleep(0.02)
        assert (tmp_path / "usage.json").stat().st_ino == written


async def test_a_power_cut_leaves_no_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the file is on the disk before the file has its name."""
    synced: list[tuple[int, bool]] = []
    name = tmp_path / "usage.json"
    monkeypatch.setattr("os.fsync", lambda file: synced.append((os.fstat(file).st_size, name.exists())))
    async with kept(tmp_path) as usage:
        usage.add(100, 10, 0.5)
        await until_there(tmp_path / "usage.json")
    assert synced == [((tmp_path / "usage.json").stat().st_size, False)]


def test_a_new_day_begins_at_nothing(tmp_path: Path) -> None:
    """At midnight, local time, the count begins anew, in a running daemon as after a restart."""
    date = "2026-11-22"
    usage = UsageFile(None, lambda: date)
    usage.add(100, 10, 0.5)
    assert usage.today == Day("2026-11-22", 100, 10, 0.5)
    date = "2026-11-23"
    assert usage.today == Day("2026-11-23")
    usage.add(1, 2, 0.25)
    assert usage.today == Day("2026-11-23", 1, 2, 0.25)


BROKEN = (
    b"", b"{", b"[]", b"\xff", b'{"date": "2026-11-23"}', b'{"tokens_in": null}', b"[" * 100_000,
    b'{"date": "2026-11-23", "tokens_in": -5, "tokens_out": 1, "cost_usd": 1.0}',
    b'{"date": "2026-11-23", "tokens_in": 1, "tokens_out": 1e300, "cost_usd": 1.0}',
    b'{"date": "2026-11-23", "tokens_in": 1, "tokens_out": 1, "cost_usd": NaN}',
)  # fmt: skip


@pytest.mark.parametrize("content", BROKEN, ids=lambda content: repr(content[-20:]))
def test_a_broken_file_is_begun_anew(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A power cut in the middle of a write costs the count, which is said once."""
    (tmp_path / "usage.json").write_bytes(content)
    assert UsageFile(tmp_path, lambda: "2026-11-23").today == Day("2026-11-23")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "counted anew" in caplog.text


def test_a_first_start_is_no_trouble(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where there is no file yet, nothing was used, and nothing is said."""
    assert UsageFile(tmp_path).today.tokens_in == 0
    assert not caplog.records


async def test_a_disk_that_takes_nothing_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, and the count goes on."""
    monkeypatch.setattr(usage_file, "EVERY_S", 0.0)
    # Even root cannot write below a file.
    (tmp_path / "no-directory").write_bytes(b"")
    async with kept(tmp_path / "no-directory") as usage:
        caplog.clear()  # it could not be read either
        for _ in range(3):
            usage.add(1, 1, 0.1)
            await asyncio.sleep(0.05)
        assert usage.today.tokens_in == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "a restart will forget" in caplog.text
