"""A card that is read at boot, and the speaker that starts behind that: the real command, the real daemon."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from speakerd.provision.boot import ZEROS
from speakerd.sound.notices import Notice, sound_of
from tests.integration.household import household
from tests.integration.manager import Manager

KEY = "AIza" + "B3cr3t-_" * 4 + "abc"


def boot(fat: Path, root: Path, run: Path) -> subprocess.CompletedProcess[str]:
    """Run what the card's service runs. What would change this machine is not asked of it."""
    for directory in (fat, root / "etc" / "speakerd"):
        directory.mkdir(parents=True, exist_ok=True)
    (fat / "start4.elf").touch()
    (root / "etc/speakerd/speakerd.yaml").write_text("{}\n")
    return subprocess.run(
        command(fat, root), env=environment(fat, run), capture_output=True, text=True, timeout=60, check=False
    )


def command(fat: Path, root: Path) -> list[str]:
    return [sys.executable, "-I", "-m", "speakerd.provision", "--boot", str(fat), "--root", str(root)]


def environment(fat: Path, run: Path) -> dict[str, str]:
    programs = stand_in(run.with_name("programs"), fat)
    return {**os.environ, "RUNTIME_DIRECTORY": str(run), "PATH": f"{programs}:{os.environ['PATH']}"}


def stand_in(programs: Path, fat: Path) -> Path:
    """Make a systemctl that starts nothing: it notes what it is asked, and what the report says by then."""
    programs.mkdir(exist_ok=True)
    systemctl = programs / "systemctl"
    systemctl.write_text(
        f'#!/bin/sh\necho "$@" >>{programs}/asked\ncat {fat}/speakerd-report.txt >>{programs}/asked\n'
    )
    systemctl.chmod(0o755)
    return programs


def test_a_card_is_filled_in_mended_and_left_alone(tmp_path: Path) -> None:
    """Settings with a mistake, and a key, as Windows writes them; then it is mended; then nothing is new."""
    fat, root, run = tmp_path / "fat", tmp_path / "root", tmp_path / "run"
    fat.mkdir()
    (fat / "speakerd.yaml.txt").write_bytes(b"\xef\xbb\xbfspeaker:\r\n  volume: 200\r\n")
    (fat / "speakerd-key.txt").write_bytes(f"{KEY}\r\n".encode("utf-16"))
    first = boot(fat, root, run)
    assert first.returncode == 1
    assert sorted(file.name for file in fat.glob("*.txt")) == ["speakerd-report.txt", "speakerd.yaml.txt"]
    report = (fat / "speakerd-report.txt").read_text()
    assert "speakerd.yaml.txt: line 2: speaker.volume" in report
    assert "the key is stored" in report
    assert "Sound cards, as microphone.device and speaker.device" in report
    assert KEY not in report + first.stdout + first.stderr
    assert "line 2" in (run / "mistakes").read_text()

    (fat / "speakerd.yaml.txt").write_bytes(b"speaker:\r\n  volume: 20\r\n")
    second = boot(fat, root, run)
    assert second.returncode == 0
    assert "in force" in (fat / "speakerd-report.txt").read_text()
    assert (run / "mistakes").read_text() == ""
    assert (root / "etc/speakerd/speakerd.yaml.d/40-card.yaml").stat().st_mode & 0o777 == 0o644

    left = {file: file.stat().st_mtime_ns for file in fat.glob("*.txt")}
    third = boot(fat, root, run)
    assert (third.returncode, third.stdout, third.stderr) == (0, "", "")
    assert {file: file.stat().st_mtime_ns for file in fat.glob("*.txt")} == left


def test_a_card_with_a_board_starts_once_more(tmp_path: Path) -> None:
    """Its owner can read so when it does, and it does not do so again."""
    fat, root, run = tmp_path / "fat", tmp_path / "root", tmp_path / "run"
    (fat / "overlays").mkdir(parents=True)
    (fat / "overlays" / "googlevoicehat-soundcard.dtbo").touch()
    (fat / "config.txt").write_text("include hat.txt\n")
    (fat / "speakerd.yaml").write_text("panel:\n  board: aiy-voice-hat\n")
    assert "the speaker starts once more" in boot(fat, root, run).stdout
    asked = (tmp_path / "programs" / "asked").read_text()
    assert asked.count("--no-block reboot\n") == 1
    assert "the speaker starts once more" in asked.partition("reboot\n")[2]
    assert "starts once more" not in boot(fat, root, run).stdout
    assert (tmp_path / "programs" / "asked").read_text() == asked


def test_the_speaker_need_not_wait_for_the_free_space(tmp_path: Path) -> None:
    """The service is ready before it overwrites that, here where nobody reads what it writes."""
    fat, root, run = tmp_path / "fat", tmp_path / "root", tmp_path / "run"
    boot(fat, root, run)
    os.mkfifo(fat / ZEROS)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(30)
        manager.bind(str(tmp_path / "notify"))
        told = environment(fat, run) | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen(command(fat, root), env=told, stderr=subprocess.DEVNULL) as provision:
            try:
                assert manager.recv(100) == b"READY=1"
                assert provision.poll() is None
                (fat / ZEROS).read_bytes()
                provision.wait(30)
            finally:
                provision.kill()
    assert not (fat / ZEROS).exists()


def test_an_empty_card_asks_for_a_key(tmp_path: Path) -> None:
    """Its owner finds on it what is missing."""
    fat = tmp_path / "fat"
    assert boot(fat, tmp_path / "root", tmp_path / "run").returncode == 1
    assert "speakerd-key.txt: there is no such file" in (fat / "speakerd-report.txt").read_text()


async def test_a_card_without_a_key_is_seen_and_heard(tmp_path: Path) -> None:
    """Elsewhere the program ends with a word in the journal; here the light shows it, and nothing is dialled."""
    boot(tmp_path / "fat", tmp_path / "root", tmp_path / "run-card")
    async with Manager.listening(tmp_path) as manager:
        environment = manager.environment | {"SPEAKERD_CARD": str(tmp_path / "run-card")}
        async with household(tmp_path, key="", environment=environment) as home:
            await home.daemon.until(event="started")
            await home.daemon.until(event="card-mistakes")
            await manager.until("READY=1")
            await manager.until("STATUS=Error: read speakerd-report.txt on the card")
            line = await manager.until("STATUS=Error: read speakerd-report.txt", count=2)
            assert "put your API key into speakerd-key.txt" in line
            await home.hear(sound_of(Notice.NO_KEY, "en") or b"silence")
            assert not home.live.events


async def test_a_mistake_on_the_card_does_not_keep_the_speaker_from_talking(tmp_path: Path) -> None:
    """The settings of before are in force; the light calls its owner."""
    (tmp_path / "card-says").mkdir()
    (tmp_path / "card-says" / "mistakes").write_text("speakerd.yaml: line 2: speaker.volume: at most 100\n")
    async with Manager.listening(tmp_path) as manager:
        environment = manager.environment | {"SPEAKERD_CARD": str(tmp_path / "card-says")}
        async with household(tmp_path, environment=environment) as home:
            await home.daemon.until(event="link-up")
            await manager.until("STATUS=Error: read speakerd-report.txt on the card")
