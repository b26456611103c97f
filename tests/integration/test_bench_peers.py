"""The comparison with other programs, with speakerd itself as the one that is looked at."""

from pathlib import Path

import pytest

from bench.peers import talk, trouble
from bench.peers.peer import PEERS
from bench.track import compose

SPEAKERD = next(peer for peer in PEERS if peer.name == "speakerd")


def test_a_conversation_gives_every_figure(tmp_path: Path) -> None:
    """What is said, answered and interrupted is found again on the tapes, each moment once."""
    came = talk.converse(SPEAKERD, compose(3.0, 3), tmp_path / "talk")
    assert came.counts["questions"] == came.counts["answers"] == 4
    assert came.counts["answers not heard"] == came.counts["answers not silent before the next"] == 0
    assert len(came.values["reply_to_sound_ms"]) == 4
    assert len(came.values["interrupted_to_silence_ms"]) == len(came.values["word_to_silence_ms"]) == 2
    assert 0 < came.values["word_to_silence_ms"][0] < 1000
    assert came.values["uplink_silence_kb_per_min"] == [0]
    assert all(0 < delay < 1000 for delay in came.values["microphone_to_wire_ms"])
    assert came.values["pss_mib"][0] > 20
    assert came.values["start_to_ready_s"][0] > 0


@pytest.mark.parametrize("name", ["reset", "stale-handle"])
def test_a_trouble_ends_with_an_answer_or_with_the_reason_why_not(tmp_path: Path, name: str) -> None:
    """After a connection was reset speakerd answers again, also where its conversation was forgotten meanwhile."""
    one = next(one for one in trouble.TROUBLES if one.name == name)
    came = trouble.endure(SPEAKERD, one, tmp_path / "trouble")
    assert came.trouble == name
    assert came.again_s is not None
    assert came.again_s < 15
    assert came.status is None
    assert came.dials >= 1
