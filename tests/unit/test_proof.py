"""What the kernel says about the microphone, read from a /proc of our own making."""

from pathlib import Path

import pytest

from speakerd.sound.proof import Substream, why_open

RUNNING = "state: RUNNING\nowner_pid   : {}\ntrigger_time: 1.0\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "self" / "fd").mkdir(parents=True)
    (tmp_path / "self" / "task" / "41").mkdir(parents=True)
    (tmp_path / "asound" / "card2" / "pcm0c" / "sub0").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("status", "closed"), [("closed\n", True), (RUNNING.format(41), False), (RUNNING.format(42), True)]
)
def test_the_kernel_has_the_last_word(proc: Path, status: str, closed: bool) -> None:
    """A stream that is open counts where this very process opened it; another program's is not ours."""
    (proc / "asound" / "card2" / "pcm0c" / "sub0" / "status").write_text(status)
    why = why_open(Substream(2, 0, 0), proc)
    assert (why is None) is closed
    assert why is None or "card2/pcm0c/sub0/status" in why


def test_a_descriptor_of_a_microphone_is_an_open_microphone(proc: Path) -> None:
    """Whatever ALSA says, a device file that this process has open is open."""
    (proc / "self" / "fd" / "7").symlink_to("/dev/snd/pcmC2D0p")
    assert why_open(None, proc) is None
    (proc / "self" / "fd" / "8").symlink_to("/dev/snd/pcmC2D0c")
    assert why_open(None, proc) == "this process still holds /dev/snd/pcmC2D0c"


@pytest.mark.parametrize("substream", [None, Substream(-1, 0, 0), Substream(7, 0, 0)])
def test_where_the_kernel_knows_no_card_nothing_is_held_against_it(proc: Path, substream: Substream | None) -> None:
    """Behind PulseAudio, and where the card was pulled out, there is nothing to read."""
    assert why_open(substream, proc) is None


def test_the_real_kernel_is_understood() -> None:
    """The process that runs the tests has no microphone open."""
    assert Path("/proc/self/fd").is_dir()
    assert why_open(None) is None
