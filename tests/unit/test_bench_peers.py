"""The comparison with other programs: from tapes to figures, and from figures to a table that hides nothing."""

import multiprocessing
import os
import re
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from bench.child import Child
from bench.peers import environments, family, figures, outcome
from bench.peers.__main__ import Comparison, Part, arguments_of, parts_of
from bench.peers.figures import RATE, Samples, Tape
from bench.peers.kitchen import Stay, matched, spoken_s, unasked
from bench.peers.peer import PEERS, Peer, command
from bench.peers.scene import Scene
from bench.peers.server import Server
from bench.peers.talk import Talk
from bench.peers.trouble import TROUBLES, Outcome, refusal
from bench.peers.work import Failure, Task, perform
from bench.results import about, load
from bench.results import command as command_of
from bench.sound import Sound, Start
from speakerd.errors import SpeakerdError
from speakerd.simulate.card import SimulatedCard
from speakerd.simulate.ledger import WireEvent
from speakerd.simulate.talkers import recording

VOICE = recording("librivox/sense_and_sensibility_01_austen_64kb-0870.wav")[RATE : 5 * RATE]


def tape(samples: Samples, *starts: tuple[int, float]) -> Tape:
    frames, times = zip(*(starts or [(0, 100.0)]), strict=True)
    return Tape(np.asarray(samples, np.float32), frames, times)


def pcm(samples: Samples) -> bytes:
    return (samples * 32767).astype(np.int16).tobytes()


def audio(at: float, octets: int, total: int) -> WireEvent:
    return WireEvent(at, 1, "in", "audio", {"bytes": octets, "total": total})


def event(kind: str, at: float, **detail: int) -> WireEvent:
    return WireEvent(at, 1, "-", kind, detail)


def quiet(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def sent(samples: Samples, late: float, size: int = 1600, at: float = 100.0) -> list[WireEvent]:
    """Return messages of ``size`` frames, each read so long after its last sample was at the microphone."""
    ends = range(size, len(samples) + 1, size)
    return [audio(at + (end - 1) / RATE + late, 2 * size, 2 * end) for end in ends]


def test_the_delay_to_the_wire_survives_resampling_and_another_level() -> None:
    """A program that takes 24 kHz, converts it and makes it louder is measured like one that does nothing."""
    changed = np.clip(soxr.resample(soxr.resample(VOICE, RATE, 24_000), 24_000, RATE) * 1.5, -1, 1)
    delays, lost = figures.wire_delays(sent(changed, 0.03), pcm(changed), tape(VOICE))
    assert lost == 0
    assert len(delays) > 20
    assert delays == pytest.approx([0.03] * len(delays), abs=0.0005)


def test_sound_that_was_lost_on_the_way_makes_nothing_late() -> None:
    """After a hole in what was sent, the rest is still found where it was said."""
    heard = np.concatenate((VOICE[:RATE], VOICE[2 * RATE :]))
    events = sent(VOICE[:RATE], 0.02) + [
        audio(event.at, 3200, event.detail["total"] + 2 * RATE) for event in sent(VOICE[2 * RATE :], 0.02, at=102.0)
    ]
    delays, lost = figures.wire_delays(events, pcm(heard), tape(VOICE))
    assert lost == 0
    assert max(delays) == pytest.approx(0.02, abs=0.0005)


def test_messages_that_are_like_nothing_that_was_said_are_counted() -> None:
    """Noise on the wire has no delay, and is not hidden."""
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, RATE).astype(np.float32)
    assert figures.wire_delays(sent(noise, 0.02), pcm(noise), tape(VOICE)) == ([], 10)


def test_sound_that_seems_to_come_before_it_is_said_is_not_measured() -> None:
    """A piece that an overrun tore has no delay, and no negative one either."""
    assert figures.wire_delays(sent(VOICE, -0.01), pcm(VOICE), tape(VOICE))[0] == []


def test_silence_on_the_wire_is_not_measured() -> None:
    """Nobody can tell one silence from another."""
    assert figures.wire_delays(sent(quiet(1), 0.02), pcm(quiet(1)), tape(VOICE)) == ([], 0)


def test_an_answer_is_heard_when_its_first_words_are() -> None:
    """The delay runs from its first byte to its first sample, and an answer that never sounds is counted."""
    played = tape(np.concatenate((quiet(0.25), VOICE, quiet(4))))
    events = [event("answer_start", 100.1, turn=1), event("answer_start", 105.0, turn=2)]
    delays, unheard = figures.first_sounds(events, [VOICE, VOICE[::-1].copy()], played)
    assert delays == pytest.approx([0.15], abs=0.0005)
    assert unheard == 1


def test_silence_begins_with_the_last_sound_of_an_answer() -> None:
    """It is counted from the message that interrupts, and from the first word of whoever does."""
    said = np.concatenate((quiet(2), VOICE[:RATE], quiet(3)))
    answer = np.concatenate((quiet(0.5), np.resize(VOICE, round(1.9 * RATE)), quiet(3)))
    events = [event("answer_start", 100.4, turn=1), event("interrupted", 102.2, turn=1)]
    (silence,), endless = figures.silences(events, tape(said), tape(answer), last=105.0)
    assert endless == 0
    assert silence.after_interrupted == pytest.approx(0.2, abs=0.03)
    assert silence.after_first_word == pytest.approx(0.4, abs=0.06)


def test_whoever_is_silent_before_the_server_knows_has_no_delay() -> None:
    """A program that hears the word itself may be faster than the message, which is not a negative delay."""
    said = np.concatenate((quiet(2), VOICE[:RATE], quiet(3)))
    answer = np.concatenate((quiet(0.5), np.resize(VOICE, round(1.6 * RATE)), quiet(3)))
    events = [event("answer_start", 100.4, turn=1), event("interrupted", 102.3, turn=1)]
    (silence,), _ = figures.silences(events, tape(said), tape(answer), last=105.0)
    assert silence.after_interrupted == 0


@pytest.mark.parametrize(("gap", "measured"), [(0.5, 1), (0.1, 0)])
def test_the_next_answer_is_not_taken_for_the_rest_of_the_one_before(gap: float, measured: int) -> None:
    """An answer ends where it falls silent, even where the next is heard too soon; one that does not has no end."""
    said = np.concatenate((quiet(2), VOICE[:RATE], quiet(3)))
    rest = np.resize(VOICE, round((3.0 - gap) * RATE))
    answers = np.concatenate((rest, quiet(gap), np.resize(VOICE, 2 * RATE)))
    events = [
        event("answer_start", 100.0, turn=1),
        event("interrupted", 102.2, turn=1),
        event("answer_start", 103.1, turn=2),
    ]
    found, endless = figures.silences(events, tape(said), tape(answers), last=105.0)
    assert (len(found), endless) == (measured, 1 - measured)
    assert all(silence.after_interrupted == pytest.approx(0.8 - gap, abs=0.02) for silence in found)


def test_a_tape_knows_its_pauses() -> None:
    """A converter that stood still is not taken for one that ran."""
    two = tape(quiet(2), (0, 100.0), (RATE, 110.0))
    assert two.moment(RATE - RATE // 2) == pytest.approx(100.5)
    assert two.moment(RATE) == pytest.approx(110.0)
    assert two.frame_at(105.0) == RATE
    assert two.frame_at(110.5) == RATE + RATE // 2


def test_a_loudspeaker_of_another_rate_is_brought_to_ours() -> None:
    """What is at 48 kHz on the card is as long, in seconds, on the tape."""
    card = Sound(bytes(2 * 96_000), (Start(0, 7.0, 48_000.0), Start(48_000, 20.0, 48_000.0)))
    mine = Tape.of(card)
    assert len(mine.samples) == 2 * RATE
    assert mine.moment(RATE) == 20.0
    assert len(Tape.of(Sound(b"", ())).samples) == 0


def test_the_uplink_is_counted_in_its_span_only() -> None:
    """A tenth of a second of sound in each tenth is 1920 kB a minute."""
    events = sent(quiet(3), 0.0)
    assert figures.kilobytes_per_minute(events, 101.0, 102.0) == pytest.approx(1920)


def test_children_count_as_their_parent() -> None:
    """A program that works in children does not look idle; strangers are not counted."""
    stats = {
        1: family.parse("1 (init) S 0 1 1 0 -1 0 0 0 0 0 5 5 0 0 20"),
        7: family.parse("7 (a (b) c) S 1 7 7 0 -1 0 0 0 0 0 100 50 30 20 20"),
        8: family.parse("8 (child) S 7 7 7 0 -1 0 0 0 0 0 10 10 0 0 20"),
    }
    assert {stat.pid for stat in family.descendants(7, stats)} == {7, 8}
    assert stats[7].cpu_s == pytest.approx(2.0)
    assert family.descendants(99, stats) == []


def test_what_follows_a_question_is_no_self_interruption() -> None:
    """An answer that the question itself breaks off is not counted."""
    events = [event("interrupted", at) for at in (10.0, 11.5, 30.0)]
    assert [one.at for one in unasked(events, [9.5])] == [30.0]


def scene(directory: Path, *starts: tuple[float, int], samples: Samples) -> Scene:
    """Return a scene of which only the loudspeaker's tape is looked at: starts are moment and frame, at 16 kHz."""
    card = SimulatedCard(directory)
    lines = [f"start {round(time * 1e9)} {frame} {RATE}\n" for time, frame in starts]
    card.file("speaker", "timeline").write_text("".join(lines))
    card.file("speaker", "sink").write_bytes(pcm(samples))
    server = Server(directory, {})
    return Scene(PEERS[0], Child([], {}, directory / "log"), server, card, 0.0)


def test_an_answer_is_one_that_begins_after_the_question(tmp_path: Path) -> None:
    """What was played before, and comes onto the tape only when the program ends, is no answer."""
    here = scene(
        tmp_path, (100.0, 0), (110.0, 2 * RATE), samples=np.concatenate((VOICE[:RATE], quiet(1), VOICE[:RATE]))
    )
    assert here.sounds_since(99.0) == pytest.approx(100.0, abs=0.1)
    assert here.sounds_since(105.0) == pytest.approx(110.0, abs=0.1)
    assert here.sounds_since(111.0) is None


def test_a_crackle_is_no_answer(tmp_path: Path) -> None:
    """The rest of a buffer that sounds when a program ends does not say that it is well."""
    assert scene(tmp_path, (100.0, 0), samples=VOICE[:1024]).sounds_since(99.0) is None


def test_a_refusal_is_that_of_a_later_connection() -> None:
    """How the service ended the first connection was the trouble, and not what came of it."""
    reset = WireEvent(2.0, 1, "-", "close", {"code": 1006, "reason": "", "by": "nobody"})
    dial = WireEvent(3.0, 2, "in", "open", {})
    closed = WireEvent(4.0, 2, "-", "close", {"code": 1008, "reason": "not found", "by": "server"})
    assert refusal([reset, dial, closed], 1.5) == "1008 not found"
    assert refusal([reset, dial], 1.5) == ""


STAY = asdict(Stay(180.0, 3, 3, 0, 0, 150.0, 0, 0, 0.5, None))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "0"),
        ({"interruptions": 7}, "7"),
        ({"status": 1}, "0; it ended, status 1"),
        ({"starved": 3}, "void: the air stood still 3 times"),
        ({"spoken_s": 3.0}, "void: it spoke for 3 of 180 s"),
        ({"spoken_s": 3.0, "asked": 9, "answered": 0}, "void: it spoke for 3 of 180 s"),
        ({"spoken_s": 3.0, "interruptions": 1}, "1, and void: it spoke for 3 of 180 s"),
        ({"spoken_s": 30.0, "interruptions": 60, "own_turns": 60}, "60"),
    ],
)
def test_whoever_hardly_speaks_has_not_shown_that_it_does_not_interrupt_itself(
    told: dict[str, object], words: str
) -> None:
    """A mute program does not win, a machine that is too slow makes any canceller fail, and counts are raw."""
    assert outcome.interruptions(STAY | told) == words


def test_a_turn_answers_one_question_at_most() -> None:
    """One that comes too soon, too late, or second, is the program's own."""
    asked = [10.0, 12.0, 40.0, 70.0, 100.0]
    turns = [11.0, 14.6, 49.9, 73.5, 74.0]
    assert matched(asked, turns, question_s=2.5) == 2


def test_speech_is_counted_where_it_is_to_be_heard() -> None:
    """In tenths of a second, and silence is none."""
    played = tape(np.concatenate((quiet(2), VOICE[:RATE], quiet(2))))
    assert spoken_s(played, 100.0, 105.0) == pytest.approx(1.0, abs=0.15)
    assert spoken_s(played, 103.5, 105.0) == 0


def found(again: float | None = 2.34, *, status: int | None = None) -> dict[str, Any]:
    """Return what a run of two peers wrote."""
    bad = asdict(Outcome("reset", again, 45.2, 1, status, "1008 not found"))
    good = asdict(Outcome("reset", 1.0, 1.0, 1, None))
    return {
        **about("bench.peers", "bench-peers"),
        "portaudio": "PortAudio V19",
        "finished": ["starts", "talk", "troubles", "kitchen"],
        "peers": ["speakerd", "minimal"],
        "versions": {"speakerd": "0.1.0", "minimal": "3.4.0"},
        "minutes": 3.0,
        "at_once": 4,
        "loads": {"talk": 0.5},
        "samples": {
            "speakerd": {"pss_mib": [61.0, 63.0], "reply_to_sound_ms": [12.0, 13.0, 14.0]},
            "minimal": {"pss_mib": [47.0], "reply_to_sound_ms": [2.0, 3.0]},
        },
        "counts": {"speakerd": {"answers": 5, "questions": 6, "microphone overruns": 3, "conversations": 2}},
        "troubles": {"speakerd": {"reset": [good] * 3}, "minimal": {"reset": [good, bad, bad]}},
        "kitchen": {"speakerd": STAY, "minimal": STAY | {"interruptions": 72, "own_turns": 60}},
        "voids": {"minimal, TCP reset": ["/home/me/bin/python fell over\nand out"]},
    }


def test_the_table_shows_losses_too() -> None:
    """Medians stand with the least and the most, and with their number, whoever is ahead."""
    rows = list(outcome.table(found()))
    assert rows[0] == ["", "speakerd 0.1.0", "minimal example on google-genai 3.4.0"]
    assert ["memory (PSS), MiB (n = 1 to 2)", "62 (61 to 63)", "47"] in rows
    again = "TCP reset: answers again, from its end (n = 3)"
    assert [again, "3 of 3, 1.0 s", "3 of 3, 2.3 s"] in rows
    assert ["questions answered (n = 2)", "5 of 6", "not measured"] in rows
    assert ["microphone overruns in all conversations, times (n = 2)", "3", "not measured"] in rows
    assert ["3 minutes in the kitchen: interrupts itself, times (n = 1)", "0", "72"] in rows
    assert ["3 minutes in the kitchen: speaks, s (n = 1)", "150", "150"] in rows
    assert "- minimal, TCP reset: failed 1 times: python fell over and out" in outcome.markdown(found())


@pytest.mark.parametrize(
    ("again", "status", "words"),
    [
        (None, None, "1 of 3, 1.0 s; it runs and connected once, to be refused: 1008 not found"),
        (None, 1, "1 of 3, 1.0 s; it ended, status 1"),
    ],
)
def test_what_a_peer_cannot_do_is_said_in_words(again: float | None, status: int | None, words: str) -> None:
    """An empty cell would hide it, and so would the trials in which it could."""
    assert words in [row[-1] for row in outcome.table(found(again, status=status))]


def test_a_run_that_was_cut_short_says_so() -> None:
    """What there is stands in the table; what there is not is named."""
    short = found() | {"finished": ["starts", "talk"], "kitchen": {}}
    assert "- **Not finished, or not run:** troubles, kitchen." in outcome.markdown(short)
    assert not any("kitchen" in row[0] for row in outcome.table(short))


def sleeps(_: Path) -> None:
    time.sleep(600)


def falls(_: Path) -> None:
    os._exit(3)


def refuses(_: Path) -> None:
    raise SpeakerdError("it does not want to")


def writes(place: Path) -> bool:
    place.mkdir()
    (place / "tape").write_bytes(bytes(9))
    return True


def test_a_scene_that_goes_wrong_takes_no_other_along(tmp_path: Path) -> None:
    """One that hangs, one whose process is lost and one that fails are told; nothing is left."""
    works = [sleeps, falls, refuses, writes]
    tasks = [Task(PEERS[0], work.__name__, work, tmp_path / work.__name__, 1.0, 8.0) for work in works]
    came = {task.title: what for task, what in perform(tasks, at_once=2)}
    assert came == {
        "sleeps": Failure("it did not end within 8 s"),
        "falls": Failure("its process ended with status 3"),
        "refuses": Failure("it does not want to"),
        "writes": True,
    }
    assert list(tmp_path.iterdir()) == []
    assert multiprocessing.active_children() == []


def test_whoever_stops_asking_ends_what_runs(tmp_path: Path) -> None:
    """Ctrl-C leaves no program behind."""
    tasks = [Task(PEERS[0], work.__name__, work, tmp_path / "place", 1.0, 600.0) for work in (sleeps, refuses)]
    with closing(perform(tasks, at_once=2)) as scenes:
        assert next(scenes)[0].title == "refuses"
    assert multiprocessing.active_children() == []


def test_every_scene_is_in_the_file_as_soon_as_it_is_over(tmp_path: Path) -> None:
    """A run that is cut short has lost nothing that was finished."""
    file = tmp_path / "peers.json"
    tasks = [Task(PEERS[0], work.__name__, work, tmp_path / "place", 1.0, 30.0) for work in (talked, refuses)]
    Comparison(file, {}).run({"talk": Part(tasks, at_once=1)})
    kept = load(file)
    assert kept["samples"]["speakerd"]["reply_to_sound_ms"] == [12.3]
    assert kept["voids"] == {"speakerd, refuses": ["it does not want to"]}
    assert kept["finished"] == ["talk"]
    assert '\n   "reply_to_sound_ms": [12.3]\n' in file.read_text()


def talked(_: Path) -> Talk:
    return Talk({"reply_to_sound_ms": [12.345]}, {"questions": 1})


@pytest.mark.parametrize("words", [["--only", "foo"], ["--parts", "talk,foo"], ["--starts", "0"]])
def test_a_mistake_in_a_word_is_told_with_what_is_right(words: list[str]) -> None:
    """No traceback; and nothing is measured."""
    done = subprocess.run([sys.executable, "-m", "bench.peers", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert re.search("'foo'; there are: |0 is not a number of at least one", done.stderr)


def test_one_run_does_everything_in_little_more_than_an_hour(tmp_path: Path) -> None:
    """Thirty samples of each delay, more starts than that, three trials of each trouble; what is timed is alone."""
    arguments = arguments_of([])
    parts = parts_of(arguments, tmp_path)
    assert arguments.starts + arguments.rounds > 30
    assert arguments.rounds * (arguments.questions - 1) >= 33  # the first question breaks into no answer
    assert len(parts["troubles"].tasks) == 3 * len(TROUBLES) * len(PEERS)
    assert [parts[name].at_once for name in ("starts", "talk", "kitchen")] == [1, 1, 2]
    assert parts["kitchen"].tasks[0].seconds >= 600  # they are compared by how often in ten minutes
    first, second = (parts["starts"].tasks[at : at + len(PEERS)] for at in (0, len(PEERS)))
    assert [task.peer for task in first] == list(PEERS)
    assert [task.peer for task in second] == [*PEERS[1:], PEERS[0]]
    assert sum(part.seconds for part in parts.values()) <= 4500
    assert all(task.deadline_s > task.seconds for part in parts.values() for task in part.tasks)
    places = [task.place for part in parts.values() for task in part.tasks]
    assert len(set(places)) == len(places)


def test_the_command_of_a_run_is_the_one_that_was_given() -> None:
    """Without words it is make's; with words it is what was typed."""
    assert command_of("bench.peers", "bench-peers", []) == "make bench-peers"
    assert command_of("bench.room", "bench-room", ["--rooms", "A B"]) == "python -m bench.room --rooms 'A B'"


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.script], ids=lambda peer: peer.name)
def test_a_peer_has_its_packages_pinned(peer: Peer) -> None:
    """Every package has one version and its hashes, and no file names a host."""
    text = environments.requirements(peer).read_text()
    pins = re.findall(r"^([a-z0-9._-]+)==\S+(?: ;.*)? \\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^\w", text, re.MULTILINE)) > 10
    assert "://" not in text
    assert peer.distribution in pins
    wanted = re.findall(r"^[a-z-]+", environments.requirements(peer).with_suffix(".in").read_text(), re.MULTILINE)
    assert peer.distribution in wanted
    assert set(wanted) <= set(pins)


def test_what_builds_a_peers_packages_is_part_of_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment that other tools have built is not taken for this one."""
    before = environments.place(PEERS[1])
    other = tmp_path / "build.txt"
    other.write_text("setuptools==1\n")
    monkeypatch.setattr(environments, "BUILD", other)
    assert environments.place(PEERS[1]) != before


def test_speakerd_runs_as_it_is_delivered(tmp_path: Path) -> None:
    """Nothing that makes it better or worse is set: only where everything is, and how loud."""
    command(PEERS[0], "https://127.0.0.1:1", tmp_path)
    assert set(re.findall(r"^\w+", (tmp_path / "speakerd.yaml").read_text(), re.MULTILINE)) == {
        "live",
        "microphone",
        "speaker",
    }


def test_each_trouble_has_its_own_name() -> None:
    """What came of one is not taken for what came of another."""
    assert len({trouble.name for trouble in TROUBLES}) == len(TROUBLES) == len({one.title for one in TROUBLES})
    assert asdict(TROUBLES[0])["lasts_s"] > 0
