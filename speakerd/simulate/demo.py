"""A conversation in a simulated room: held by the real daemon, shown while it happens, judged by what was heard."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import tempfile
import time
import wave
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from speakerd.errors import SettingsError, SpeakerdError
from speakerd.simulate.daemon import Daemon
from speakerd.simulate.evidence import Entry, Evidence
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.room import Room
from speakerd.simulate.script import ANSWERS, Script
from speakerd.simulate.speech import Question, questions
from speakerd.simulate.tape import Tape
from speakerd.simulate.voice import RATE as ANSWER_RATE
from speakerd.state import State

if TYPE_CHECKING:
    from speakerd.simulate.terminal import Terminal

SCRIPT = Script(answers=(ANSWERS[1], ANSWERS[2]))
"""The first answer goes on without a pause where it is interrupted; a voice that pauses cannot fall silent."""

KEY = "demo-key-that-opens-nothing"
"""What the stand-in takes for a key."""

CONNECTED_S = 30.0
"""How long the daemon may take to connect; a small board needs seconds to import the SDK."""

ANSWERED_S = 20.0
"""How long the beginning of an answer is waited for, and then how long its end."""

SPOKEN_S = 3.0
"""How long the first answer is listened to before somebody interrupts it."""

PAUSE_S = 0.6
"""The silence before the first question and after the last answer."""

VISIT_S = 60.0
"""How long a person may talk with it through real devices."""

FILES = ("microphone.wav", "loudspeaker.wav", "conversation.png", "daemon.jsonl", "events.jsonl")
"""What the demo leaves, beside its answers."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What kind of conversation it will be."""

    output: Path
    live: bool
    """Whether Google answers, instead of the stand-in."""
    microphone: str
    speaker: str
    questions: list[Question]
    """What is said in the simulated room; empty where real people speak through real devices."""


def run(arguments: argparse.Namespace) -> int:
    """Hold a conversation, leave what was heard and a picture of it in ``arguments.output``, and return 0.

    Raises:
        SpeakerdError: something is missing, or the conversation did not go as it must; the text says what.
    """
    try:
        from speakerd.simulate import findings, picture, report
        from speakerd.simulate.terminal import Terminal
    except ImportError as error:
        raise SpeakerdError(f"the demo needs the package {error.name}: pip install 'speakerd[demo]'") from error
    plan = _plan(arguments)
    _clear(plan.output)
    evidence = Evidence(time.monotonic())
    terminal = Terminal(evidence)
    # The daemon hangs up when it ends; that is no news here.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    try:
        trouble = asyncio.run(_converse(plan, evidence, terminal))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    found = findings.findings(evidence)
    try:
        _leave(plan.output, evidence)
        picture.draw(evidence, found, plan.output / "conversation.png")
    except OSError as error:
        raise SpeakerdError(f"{plan.output}: {error.strerror}") from error
    verdict = report.report(evidence, found, judged=not plan.live)
    terminal.conclude(verdict.words)
    terminal.conclude([_whereabouts(plan)])
    if trouble := trouble or verdict.trouble:
        raise SpeakerdError(f"{trouble}\nThe journal of the daemon is {plan.output / 'daemon.jsonl'}")
    return 0


def _plan(arguments: argparse.Namespace) -> Plan:
    if arguments.live and not os.environ.get("GEMINI_API_KEY", "").strip():
        where = "https://aistudio.google.com/apikey"
        raise SettingsError([f"--live needs a key; get one at {where}, then run: export GEMINI_API_KEY=YOUR_KEY"])
    if arguments.microphone or arguments.speaker:
        microphone, speaker = arguments.microphone or "default", arguments.speaker or "default"
        return Plan(arguments.output, arguments.live, microphone, speaker, [])
    return Plan(arguments.output, arguments.live, "mic", "speaker", questions())


async def _converse(plan: Plan, evidence: Evidence, terminal: Terminal) -> str | None:
    """Hold the conversation; return what went wrong with it, if anything did."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="speakerd-demo-")))
        environment = dict(os.environ)
        environment.pop("CREDENTIALS_DIRECTORY", None)  # a key in there would be taken before ours
        room = None
        if plan.questions:
            room = stack.enter_context(Room(directory / "room"))
            environment |= room.environment
            terminal.tell("a room is built: a microphone and a loudspeaker made of software")
        url = None
        if not plan.live:
            options = LiveApiOptions(directory / "live", script=SCRIPT, keys=frozenset({KEY}))
            server = await stack.enter_async_context(LiveApi(options))
            evidence.wire, evidence.answers = server.events, server.answers
            url = server.url
            # A proxy leads to the internet, not to this machine.
            environment |= {"SSL_CERT_FILE": str(server.ca_file), "GEMINI_API_KEY": KEY, "no_proxy": "127.0.0.1"}
            terminal.tell("a stand-in for the Live API listens")
        settings = _write_settings(directory / "speakerd.yaml", plan, url)

        def note(entry: Entry) -> None:
            evidence.journal.append(entry)
            terminal.entry(entry)

        journal = plan.output / "daemon.jsonl"
        tapes = _tapes(room, terminal) if room else []
        daemon = await stack.enter_async_context(Daemon.running(settings, environment, journal, note))
        evidence.began = time.monotonic()
        trouble = await _watch(Stage(plan, evidence, terminal, daemon, room))
        evidence.ended = time.monotonic()
        if tapes:
            evidence.microphone, evidence.loudspeaker = (tape.stop() for tape in tapes)
        return trouble


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that is up while the conversation is held."""

    plan: Plan
    evidence: Evidence
    terminal: Terminal
    daemon: Daemon
    room: Room | None


async def _watch(stage: Stage) -> str | None:
    """Hold the conversation while it is shown; return what went wrong."""
    trouble, is_read = None, True
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(stage.daemon.read(), name="journal")
            screen = group.create_task(stage.terminal.run(), name="terminal")
            await (_interrupt_it(stage, stage.room) if stage.room else _let_people_speak(stage))
            screen.cancel()
            await stage.daemon.stop()
    except* SpeakerdError as failures:
        trouble = str(failures.exceptions[0])
    except* BrokenPipeError:
        is_read = False
    if not is_read:
        raise BrokenPipeError  # whoever read our output has gone
    return trouble


async def _interrupt_it(stage: Stage, room: Room) -> None:
    """Ask a question, speak over its answer with another one, and hear the answer to that."""
    evidence, daemon = stage.evidence, stage.daemon
    first, second = stage.plan.questions
    stage.terminal.begin("connect", "ask", "hear the answer", "interrupt it", "judge")
    await _connected(stage)
    stage.terminal.step()
    await asyncio.sleep(PAUSE_S)
    _say(stage, room, first, "somebody asks")
    await daemon.until("no answer is heard", first.seconds + ANSWERED_S, lambda: evidence.state is State.SPEAKING)
    stage.terminal.step()
    await asyncio.sleep(SPOKEN_S)
    _say(stage, room, second, "somebody speaks over the answer")
    stage.terminal.step()
    answered = second.seconds + 2 * ANSWERED_S
    await daemon.until(
        "the second turn does not end", answered, lambda: evidence.count("turn") >= len(stage.plan.questions)
    )
    await daemon.until("the second answer does not end", ANSWERED_S, lambda: evidence.state is State.IDLE)
    await asyncio.sleep(PAUSE_S)
    stage.terminal.step()


async def _let_people_speak(stage: Stage) -> None:
    """Leave the floor to whoever is in the real room, for a while or until Ctrl-C."""
    enough = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, enough.set)
    await _connected(stage)
    stage.terminal.tell(f"speak to it, and interrupt it; Ctrl-C ends this, and so do {VISIT_S:.0f} seconds")
    with contextlib.suppress(TimeoutError):  # the time is up, which is an end like the other
        async with asyncio.timeout(VISIT_S):
            await enough.wait()


async def _connected(stage: Stage) -> None:
    """Wait for the connection; raise SpeakerdError where there is none, at once where only a person can help."""
    evidence = stage.evidence
    await stage.daemon.until(
        "the daemon does not connect",
        CONNECTED_S,
        lambda: evidence.count("link-up") or evidence.state is State.ERROR,
    )
    if not evidence.count("link-up"):
        refused = [entry.fields["message"] for entry in evidence.journal if entry.event == "link-refused"]
        raise SpeakerdError("; ".join(refused) or "the daemon does not connect")


def _say(stage: Stage, room: Room, question: Question, how: str) -> None:
    stage.evidence.questions.append((time.monotonic(), question.words))
    room.say(question.pcm)
    stage.terminal.tell(f"{how}: “{question.words}”", style="bold")


def _tapes(room: Room, terminal: Terminal) -> list[Tape]:
    microphone, loudspeaker = Tape(room, "room"), Tape(room, "speaker")
    terminal.add_meter("microphone", State.LISTENING, microphone)
    terminal.add_meter("loudspeaker", State.SPEAKING, loudspeaker)
    return [microphone, loudspeaker]


def _write_settings(path: Path, plan: Plan, url: str | None) -> Path:
    settings = {
        "live": {"base_url": url},
        "microphone": {"device": plan.microphone},
        "speaker": {"device": plan.speaker},
        "log": {"level": "debug", "format": "json"},
    }
    path.write_text(yaml.safe_dump(settings))
    return path


def _clear(output: Path) -> None:
    """Make the directory, and remove what an earlier demo left in it."""
    try:
        (output / "answers").mkdir(parents=True, exist_ok=True)
        for path in (*(output / name for name in FILES), *(output / "answers").glob("answer-*.wav")):
            path.unlink(missing_ok=True)
        (output / "daemon.jsonl").touch()
    except OSError as error:
        raise SpeakerdError(f"{output}: {error.strerror}; name another directory with --output") from error


def _leave(output: Path, evidence: Evidence) -> None:
    """Write the sounds and the events."""
    for name, sound in (("microphone", evidence.microphone), ("loudspeaker", evidence.loudspeaker)):
        if sound is not None:
            _write_wav(output / f"{name}.wav", sound.pcm, sound.rate)
    for number, answer in enumerate(evidence.answers, 1):
        _write_wav(output / "answers" / f"answer-{number}.wav", answer.pcm, ANSWER_RATE)
    lines = [json.dumps(asdict(event), default=str) for event in evidence.wire]
    (output / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))


def _write_wav(path: Path, pcm: bytes, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)


def _whereabouts(plan: Plan) -> str:
    what = "Pictures and sounds are" if plan.questions else "The picture is"
    return f"{what} in {plan.output}/; look at conversation.png first."
