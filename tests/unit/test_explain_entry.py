"""Lines of the journal as journalctl prints them, the odd ones too."""

import json

import pytest

from speakerd.explain.entry import Entry, parse


def line(**fields: object) -> str:
    return json.dumps({"__REALTIME_TIMESTAMP": "1750000000500000", "__CURSOR": "s=1;i=1"} | fields)


def entry(**fields: object) -> Entry:
    (only,) = parse([line(**fields)])
    return only


def test_an_event_has_its_time_its_fields_and_its_text() -> None:
    """Names are as the daemon gave them."""
    read = entry(
        MESSAGE="disconnected", PRIORITY="4", SPEAKERD_EVENT="link-lost", SPEAKERD_AGE="1.5", _BOOT_ID="b", _PID="1"
    )
    assert read == Entry(1750000000.5, "disconnected", "link-lost", "b", 4, {"age": "1.5"})
    assert (read.number("age"), read.number("code"), read.says(age="1.5"), read.says(age="2")) == (
        1.5,
        None,
        True,
        False,
    )


def test_messages_of_systemd_are_events_too() -> None:
    """They are known by their id, whatever their language is."""
    read = entry(MESSAGE_ID="d9b373ed55a64feb8242e02dbe79a49c", UNIT_RESULT="watchdog", MESSAGE="Fehlgeschlagen")
    assert (read.event, read.fields) == ("unit-result", {"unit_result": "watchdog"})


def test_a_field_may_be_bytes_or_null_or_many() -> None:
    """Bytes that are no text come as numbers, what is too long as null, a repeated field as a list."""
    assert entry(MESSAGE=[104, 105, 255]).text == "hi\ufffd"
    assert entry(MESSAGE=None).text == ""
    assert entry(MESSAGE=["first", "second"]).text == "first"
    assert entry(MESSAGE=[[104, 105], "second"]).text == "hi"
    assert entry(MESSAGE=[]).text == ""


def test_only_the_first_line_is_quoted_and_steers_no_terminal() -> None:
    """A traceback is for journalctl."""
    assert entry(MESSAGE="it \x1b[2J crashed\nTraceback").text == "it  [2J crashed"


def test_a_key_is_not_quoted() -> None:
    """Whoever let it get into the journal; what is printed is often sent to somebody."""
    assert entry(MESSAGE=f"refused: AIzaSy{'x' * 33}").text == "refused: (a secret)"


def test_what_is_no_entry_is_left_out() -> None:
    """No JSON, no object, no time, a time that is none."""
    assert list(parse(["", "-- Boot --", "[1]", "{}", '{"__REALTIME_TIMESTAMP": "soon"}'])) == []


def test_an_entry_that_comes_twice_counts_once() -> None:
    """The place in the journal says that it is the same; without one nobody knows."""
    assert len(list(parse([line(), line(), line(__CURSOR="s=1;i=2")]))) == 2
    assert len(list(parse([line(__CURSOR=None), line(__CURSOR=None)]))) == 2


def test_what_was_said_in_the_room_is_not_read() -> None:
    """Not even where the owner lets the journal have it."""
    assert list(parse([line(SPEAKERD_EVENT="transcript-heard", MESSAGE="heard: hello")])) == []


@pytest.mark.parametrize("at", ["9" * 400, "9" * 5000, "-1", "1e3", "300000000000000000"])
def test_a_line_of_no_time_that_is_any_is_left_out(at: str) -> None:
    """A journal file of somebody else's making is read to its end."""
    assert list(parse([line(__REALTIME_TIMESTAMP=at), line(MESSAGE="after it")])) == [entry(MESSAGE="after it")]


@pytest.mark.parametrize("priority", ["9" * 5000, "8", "-1", "\u0663"])
def test_a_priority_that_is_none_is_that_of_a_plain_line(priority: str) -> None:
    """Whoever may write to the journal may write anything."""
    assert entry(PRIORITY=priority).priority == 6


def test_what_is_nested_beyond_reason_is_no_text() -> None:
    """It is left out, and what stands beside it is told."""
    assert list(parse(["[" * 100_000])) == []
    nested = "[" * 500 + "1" + "]" * 500
    (read,) = parse([line(MESSAGE="hello", SPEAKERD_EVENT="state").replace('"hello"', nested)])
    assert (read.text.strip(), read.event) == ("", "state")


def test_a_field_cannot_steer_the_terminal_either() -> None:
    """A program of the machine that logs as speakerd does shows its owner nothing but letters, and no key."""
    read = entry(
        SPEAKERD_EVENT="state", SPEAKERD_STATE="\x1b[2Jidle\n", SPEAKERD_ADVICE="not AIzaSyD-no_key_0123456789"
    )
    assert read.fields == {"state": " [2Jidle ", "advice": "not (a secret)"}
