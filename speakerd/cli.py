"""The commands. Each is thin, and imports what it needs only when it runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speakerd import __version__
from speakerd.errors import LinkError, SettingsError, SpeakerdError
from speakerd.host.terminal import speak_plainly
from speakerd.simulate.arguments import add_demo_arguments, add_stand_in_arguments

if TYPE_CHECKING:
    from speakerd.settings import Settings

Command = Callable[[argparse.Namespace], int]


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that the words name; return its exit status: 0, 1 failed, 2 misused, 78 bad settings."""
    arguments = parser().parse_args(_moments_last(sys.argv[1:] if words is None else words))
    command: Command = arguments.command
    speak_plainly()
    try:
        return command(arguments)
    except SettingsError as error:
        _complain(*error.problems)
        return os.EX_CONFIG
    except SpeakerdError as error:
        _complain(str(error))
        return 1
    except BrokenPipeError:
        # Whoever read our output has gone, as `| head` does. Nothing may be written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _moments_last(words: Sequence[str]) -> Sequence[str]:
    """Return the words with a moment such as -5min, which argparse takes for an option, where it does not."""
    moments = [word for word in words if re.match(r"-\d", word)] if list(words[:1]) == ["explain"] else []
    return [*(word for word in words if word not in moments), "--", *moments] if moments else words


def _complain(*lines: str) -> None:
    from speakerd.host.log import stderr_is_journal

    mark = "<3>" if stderr_is_journal() else ""  # an error, as the service manager reads it (sd-daemon(3))
    for line in lines:
        print(f"{mark}speakerd: {line}", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """Return what understands the words of the command line; man page and completions are made from it."""
    parser = argparse.ArgumentParser(
        prog="speakerd", description="An always-on kitchen speaker for the Gemini Live API, on a Raspberry Pi."
    )
    parser.add_argument("--version", action="version", version=f"speakerd {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Command, summary: str, *, settings: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        sub.set_defaults(command=command)
        if settings:
            sub.add_argument(
                "--config", type=Path, metavar="FILE",
                help="the settings; FILE.d/*.yaml is merged over it (default: /etc/speakerd/speakerd.yaml)",
            )  # fmt: skip
        return sub

    add("run", _run, "be the speaker, until SIGTERM; this is what the service runs")
    add("check", _check, "look for mistakes in the settings; all of them are told at once")
    setup = add("setup", _set_up, "ask for key, microphone, loudspeaker and button, and start the service")
    setup.epilog = "Without options it asks; an answer that is given as one is all that changes."
    setup.add_argument("--key-file", metavar="FILE", help="take the API key from this file; - is standard input")
    setup.add_argument("--microphone", metavar="DEVICE", help="the ALSA device; `speakerd devices` lists them")
    setup.add_argument("--loudspeaker", metavar="DEVICE", help="the ALSA device")
    setup.add_argument("--board", metavar="NAME", help="the board with button and light, or none; see panel --boards")
    setup.add_argument("--button", type=int, metavar="PIN", help="the GPIO number of a button of one's own")
    setup.add_argument("--light", type=int, metavar="PIN", help="the GPIO number of an LED of one's own")
    setup.add_argument("--offline", action="store_true", help="store the key without trying it")
    setup.add_argument("--no-start", action="store_true", help="do not enable and start the service")
    config = add("config", _config, "show the settings in force and where each comes from")
    config.add_argument("--schema", action="store_true", help="show the JSON schema of the settings instead")
    add("devices", _devices, "list microphones and loudspeakers by names that stay the same", settings=False)
    panel = add("panel", _panel, "try the panel: show what the light means, and tell what the button hears")
    panel.add_argument("--boards", action="store_true", help="list the boards whose pins are known instead")
    doctor = add("doctor", _doctor, "look at everything, from the key to the microphone, and say what is wrong")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.add_argument("--quiet", action="store_true", help="play nothing")
    doctor.add_argument("--runtime", type=Path, metavar="DIR", help="where the running speaker listens")
    calibrate = add("calibrate", _calibrate, "measure how the loudspeaker sounds to the microphone, and keep it")
    calibrate.epilog = "It plays a whistle of two seconds. Stop the service before, for that holds the devices."
    calibrate.add_argument("--plot", type=Path, metavar="FILE.png", help="draw what the microphone heard")
    calibrate.add_argument("--json", action="store_true", help="print the figures as JSON")
    calibrate.add_argument("--dry-run", action="store_true", help="keep nothing")
    calibrate.add_argument("--state", type=Path, metavar="DIR", help="keep it there (default: /var/lib/speakerd)")
    summary = "say why it was silent, slow, cut off or offline, from the journal"
    explain = add("explain", _explain, summary, settings=False)
    explain.add_argument(
        "when", nargs="*", metavar="WHEN",
        help='the time, such as 19:42, "yesterday 19:42", "10min ago" or -5min (default: the last turn or trouble)',
    )  # fmt: skip
    explain.add_argument("--json", action="store_true", help="print it as JSON")
    explain.add_argument(
        "--file", type=Path, action="append", default=[], metavar="FILE",
        help="read this file of a journal; may be given more than once",
    )  # fmt: skip
    explain.add_argument("--directory", type=Path, metavar="DIR", help="read the journal in this directory")
    status = add("status", _status, "say how the running speaker is", settings=False)
    status.add_argument("--runtime", type=Path, metavar="DIR", help="where it listens (default: /run/speakerd)")
    form = status.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print it as JSON")
    form.add_argument("--metrics", action="store_true", help="print it as OpenMetrics, for Prometheus")
    form.add_argument(
        "--scrape", action="store_true", help="answer an HTTP request with the metrics; for speakerd-metrics.socket"
    )
    mute = add("mute", _mute, "mute the running speaker; only its own button un-mutes it", settings=False)
    mute.add_argument("--runtime", type=Path, metavar="DIR", help="where it listens (default: /run/speakerd)")
    question = add("ask", _ask, "ask a question from a sound file and play the answer")
    question.add_argument("file", type=Path, metavar="FILE", help="the question: WAV, FLAC, Ogg, MP3, of any rate")
    question.add_argument("--output", type=Path, metavar="ANSWER.wav", help="write the answer instead of playing it")
    question.add_argument("--transcript", action="store_true", help="print what was understood and what was said")
    token = add("token", _token, "print an ephemeral token, for a device that has no API key")
    token.add_argument("--minutes", type=_minutes, default=30, metavar="N", help="it lives so long (default: 30)")
    token.add_argument(
        "--new-session-minutes", type=_minutes, default=2, metavar="N",
        help="sessions can be begun for so long, and resumed for longer (default: 2)",
    )  # fmt: skip
    token.add_argument("--uses", type=_uses, default=1, metavar="N", help="sessions it begins; 0: any (default: 1)")
    stand_in = add("simulate", _simulate, "stand in for the Live API on this machine", settings=False)
    demo = add("demo", _demo, "hold a conversation in a simulated room and leave a picture of it", settings=False)
    add_stand_in_arguments(stand_in)
    add_demo_arguments(demo)
    return parser


def _minutes(text: str) -> float:
    # 20 hours is the service's own limit (https://ai.google.dev/gemini-api/docs/ephemeral-tokens).
    # A device replaces a token a minute before its end.
    if not 2 <= (minutes := float(text)) <= 20 * 60:
        raise argparse.ArgumentTypeError("must be 2 at least and 1200, which is 20 hours, at most")
    return minutes


def _uses(text: str) -> int:
    if (uses := int(text)) < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return uses


def _settings(arguments: argparse.Namespace) -> Settings:
    from speakerd.settings import DEFAULT_FILE, load

    return load(arguments.config or DEFAULT_FILE)


def _run(arguments: argparse.Namespace) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # until the event loop takes them over
    from speakerd.app import run

    return run(lambda: _settings(arguments))


def _check(arguments: argparse.Namespace) -> int:
    from speakerd.panel.pins import clashes

    settings = _settings(arguments)
    # The daemon says these, and goes on without the part that comes second.
    if problems := [f"{settings.place(one)}: {text}" for one, text in clashes(settings.panel)]:
        raise SettingsError(problems)
    print("no mistakes in the settings")
    return 0


def _set_up(arguments: argparse.Namespace) -> int:
    from speakerd.set_up.answers import Answers, given_key
    from speakerd.set_up.set_up import SetUp
    from speakerd.settings import DEFAULT_FILE

    answers = Answers(
        key=given_key(arguments.key_file),
        microphone=arguments.microphone,
        loudspeaker=arguments.loudspeaker,
        board=arguments.board,
        button=arguments.button,
        light=arguments.light,
    )
    SetUp(arguments.config or DEFAULT_FILE, try_key=not arguments.offline, start=not arguments.no_start).run(answers)
    return 0


def _config(arguments: argparse.Namespace) -> int:
    from speakerd.settings import describe, schema

    print(json.dumps(schema(), indent=2) if arguments.schema else describe(_settings(arguments)))
    return 0


def _devices(_arguments: argparse.Namespace) -> int:
    from speakerd.sound.devices import devices

    found = devices()
    if not found:
        raise SpeakerdError("no sound device; is the card plugged in, and are you in the group audio?")
    width = max(len(device.name) for device in found)
    for device in found:
        roles = [role for role, has in (("microphone", device.microphone), ("loudspeaker", device.speaker)) if has]
        print(f"{device.name:<{width}}  {', '.join(roles)}")
    return 0


def _panel(arguments: argparse.Namespace) -> int:
    if arguments.boards:
        from speakerd.boards import boards

        own = [arguments.config.with_name("boards")] if arguments.config else []
        for name, summary in boards(*own):
            print(f"{name:<24}{summary}")
        return 0
    from functools import partial

    from speakerd.app import run_until_signal
    from speakerd.host.log import set_up
    from speakerd.panel_command import try_panel

    settings = _settings(arguments)
    set_up(settings.log)
    return run_until_signal(try_panel(settings, partial(print, flush=True)))


def _doctor(arguments: argparse.Namespace) -> int:
    from speakerd.doctor.doctor import Visit, run

    visit = Visit.of(arguments.config, arguments.runtime, quiet=arguments.quiet)
    return run(visit, print, json=arguments.json)


def _calibrate(arguments: argparse.Namespace) -> int:
    from speakerd.calibrate.calibrate import calibrate
    from speakerd.sound.calibration import STATE

    settings, directory = _settings(arguments), arguments.state or STATE
    how = {"as_json": arguments.json, "plot": arguments.plot, "dry_run": arguments.dry_run}
    return calibrate(settings, directory, print, **how)


def _explain(arguments: argparse.Namespace) -> int:
    from speakerd.explain.explain import explain
    from speakerd.explain.reading import Journal
    from speakerd.explain.report import as_json, as_text

    journal = Journal(arguments.file, arguments.directory)
    found = explain(journal, " ".join(arguments.when))
    print(as_json(found) if arguments.json else as_text(found))
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from speakerd.host.control import DIRECTORY, ask_for_status
    from speakerd.status.status import Status

    runtime = arguments.runtime or DIRECTORY
    if arguments.scrape:
        from speakerd.status.scrape import answer

        return answer(sys.stdin.buffer, sys.stdout.buffer, runtime)
    said = ask_for_status(runtime)
    if arguments.json:
        print(said)
    elif arguments.metrics:
        from speakerd.status.metrics import metrics

        print(metrics(Status.of(said)), end="")
    else:
        from speakerd.status.page import render

        print(render(Status.of(said), time.time()))
    return 0


def _mute(arguments: argparse.Namespace) -> int:
    from speakerd.host.control import DIRECTORY, ask_to_mute

    ask_to_mute(arguments.runtime or DIRECTORY)
    print("muted")
    return 0


def _ask(arguments: argparse.Namespace) -> int:
    from speakerd.ask import ask
    from speakerd.host.log import set_up
    from speakerd.live.key import read_secret
    from speakerd.live.verdict import Next, verdict

    settings = _settings(arguments)
    set_up(settings.log)
    if arguments.transcript:
        assistant = settings.assistant.model_copy(update={"transcripts": True})
        settings = settings.model_copy(update={"assistant": assistant})
    try:
        answer = asyncio.run(ask(settings, read_secret(settings), arguments.file, arguments.output))
    except LinkError as error:
        what = verdict(error, resumed=False, during_setup=True)
        if what.next is not Next.PERSON:
            raise
        raise SettingsError([str(error), what.advice]) from error
    if arguments.transcript:
        print(f"heard: {answer.heard.strip()}\nsaid: {answer.said.strip()}")
    if arguments.output:
        print(f"{arguments.output}: {len(answer.pcm) / 48000:.1f} s of answer")
    return 0


def _token(arguments: argparse.Namespace) -> int:
    from speakerd.live.key import read_key
    from speakerd.mint import mint

    settings = _settings(arguments)
    opening = min(arguments.new_session_minutes, arguments.minutes)
    print(mint(settings, read_key(), arguments.minutes, opening, arguments.uses))
    return 0


def _simulate(arguments: argparse.Namespace) -> int:
    from speakerd.simulate.serve import run

    return run(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from speakerd.simulate.demo import run

    return run(arguments)
