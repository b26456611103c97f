"""The queue between the connection and the loudspeaker."""

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from speakerd.sound.reply import BYTES_PER_MS, LATE_S, Reply

PERIOD = 20 * BYTES_PER_MS


def new() -> Reply:
    return Reply(prebuffer_ms=80)


def sound(ms: int, value: int = 1) -> bytes:
    return bytes([value, 0]) * (ms * BYTES_PER_MS // 2)


def read_all(reply: Reply) -> bytes:
    """Read as the speaker's thread does, until the queue is empty."""
    taken = bytearray(reply.begin() or b"")
    while block := reply.more():
        taken += block
    return bytes(taken)


def begin_in_thread(reply: Reply) -> tuple[threading.Thread, list[bytes | None]]:
    got: list[bytes | None] = []
    thread = threading.Thread(target=lambda: got.append(reply.begin()))
    thread.start()
    return thread, got


def test_playing_waits_for_the_prebuffer() -> None:
    """A reply does not start on its first crumb, or it would stutter over the next gap of the network."""
    reply = new()
    reply.write(sound(60))
    thread, got = begin_in_thread(reply)
    time.sleep(0.05)  # less than the patience; were it to start on 60 ms, it would have
    assert not got
    reply.write(sound(20))
    thread.join(2)
    assert got == [sound(80)]


def test_a_reply_shorter_than_the_prebuffer_is_played_when_it_is_complete() -> None:
    """A bare "yes" is heard at once."""
    reply = new()
    reply.write(sound(50))
    reply.complete()
    assert read_all(reply) == sound(50)


def test_a_reply_that_trickles_is_started_all_the_same() -> None:
    """Where the server forgets to say that the reply is complete, what there is gets heard."""
    reply = new()
    reply.write(sound(50))
    thread, got = begin_in_thread(reply)
    thread.join(2)
    assert got == [sound(50)]


def test_a_cut_empties_the_queue_and_reaches_a_reader_that_holds_a_block() -> None:
    """After an interruption nothing of the old reply is left, not even in the thread's hand."""
    reply = new()
    reply.write(sound(500))
    assert reply.begin() == sound(80)
    assert not reply.is_stale()
    assert reply.cut() == 420
    assert reply.is_stale()
    assert reply.more() is None


def test_what_arrives_late_of_a_cut_reply_is_dropped_until_its_turn_ends() -> None:
    """The server may still be sending what nobody wants to hear any more."""
    reply = new()
    reply.write(sound(500))
    reply.cut()
    assert not reply.write(sound(100))
    reply.end_turn()
    assert reply.write(sound(100, 2))
    reply.complete()
    assert read_all(reply) == sound(100, 2)


def test_an_interruption_after_the_end_of_the_turn_costs_the_next_answer_nothing() -> None:
    """The order of the two messages is the server's business."""
    reply = new()
    reply.write(sound(500))
    reply.end_turn()
    reply.cut()
    assert reply.write(sound(100, 2))
    reply.complete()
    assert read_all(reply) == sound(100, 2)


def test_a_turn_that_never_ends_does_not_make_the_speaker_dumb() -> None:
    """If the end of the interrupted turn gets lost, the next answer is heard all the same."""
    reply = new()
    reply.write(sound(100))
    reply.cut()
    reply._cut_at = time.monotonic() - LATE_S
    assert reply.write(sound(100))


def test_a_reply_of_ten_minutes_and_more_is_bounded() -> None:
    """A server gone mad cannot fill the memory."""
    reply = new()
    minute = sound(60_000)
    accepted = sum(reply.write(minute) for _ in range(12))
    assert accepted == 10


def test_a_sound_of_our_own_is_played_at_once_and_belongs_to_no_turn() -> None:
    """A chime need not fill the pre-buffer; an interruption in it costs the next answer nothing."""
    reply = new()
    reply.add(sound(50))
    assert reply.is_complete
    assert read_all(reply) == sound(50)
    reply.add(sound(50))
    reply.cut()
    assert reply.is_empty
    assert reply.write(sound(100, 2))


def test_a_sound_of_our_own_is_never_late() -> None:
    """Whoever cuts the answer short with the button hears the chime, and nothing more of the answer."""
    reply = new()
    reply.write(sound(500))
    reply.cut()
    reply.add(sound(50, 2))
    assert not reply.is_empty
    assert not reply.write(sound(100))
    assert read_all(reply) == sound(50, 2)


def test_a_queue_is_empty_when_everything_is_taken() -> None:
    """What the loudspeaker has in hand is its own business."""
    reply = new()
    seen = [reply.is_empty]
    reply.write(sound(80))
    seen.append(reply.is_empty)
    reply.begin()
    seen.append(reply.is_empty)
    assert seen == [True, False, True]


def test_sounds_of_our_own_are_bounded_too() -> None:
    """A loudspeaker that is away for a week does not chime for an hour afterwards, nor fill the memory."""
    reply = new()
    for _ in range(12):
        reply.add(sound(60_000))
    assert reply.cut() == 600_000


def test_one_waits_until_all_was_played() -> None:
    """The wait for the end of a reply ends when the reader comes back for the next one, not before."""
    reply = new()
    assert reply.join(0)
    reply.write(sound(100))
    reply.complete()
    assert read_all(reply) == sound(100)
    assert not reply.join(0)
    thread, _ = begin_in_thread(reply)
    assert reply.join(2)
    reply.close()
    thread.join(2)


def test_closing_sends_the_reader_home() -> None:
    """A speaker that stops does not wait for a reply that never comes."""
    reply = new()
    thread, got = begin_in_thread(reply)
    reply.close()
    thread.join(2)
    assert got == [None]


@given(st.lists(st.binary(max_size=4000), max_size=12))
def test_not_a_sample_is_lost_or_torn_whatever_the_pieces(pieces: list[bytes]) -> None:
    """Sound comes out as it went in, also when the server cuts it in the middle of a sample."""
    reply = new()
    whole = b"".join(pieces)
    for piece in pieces:
        assert reply.write(piece)
    reply.complete()
    if len(whole) >= 2:
        assert read_all(reply) == whole[: len(whole) & ~1]
