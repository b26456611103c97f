"""The conversation as it happens, in a terminal; in a pipe it is a line for each thing that happens."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import NoReturn

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from speakerd.simulate.evidence import Entry, Evidence
from speakerd.simulate.glow import Colour, colour_of, glow
from speakerd.simulate.ledger import WireEvent
from speakerd.simulate.tape import Tape
from speakerd.state import State

FRAME_S = 0.1
"""Pause between two pictures."""

WIDTH = 80
LINES = 8
"""What is shown at least is 80 columns and 24 lines everywhere."""

MEANING = {
    State.ERROR: "a person must act",
    State.STARTING: "it starts",
    State.MUTED: "it is deaf",
    State.OFFLINE: "no connection",
    State.CONNECTING: "it connects",
    State.SPEAKING: "it answers",
    State.LISTENING: "it hears somebody speak",
    State.THINKING: "it waits for the answer",
    State.IDLE: "it waits for somebody to speak",
}
"""What the states mean to whoever sees the light."""

_NIGHT: Colour = (28, 28, 32)
_BARS = " ▁▂▃▄▅▆▇█"
_BLOB = ("  ▄███▄  ", " ███████ ", " ███████ ", "  ▀███▀  ")


@dataclass(slots=True)
class Meter:
    """How loud a place was lately."""

    name: str
    colour: Colour
    tape: Tape
    levels: deque[float] = field(default_factory=lambda: deque(maxlen=WIDTH - 18))

    def take(self) -> None:
        """Note how loud it is now."""
        self.levels.append(self.tape.level())

    def bars(self) -> Text:
        """Return the last seconds as bars, the present at the right."""
        bars = "".join(_BARS[round(level * (len(_BARS) - 1))] for level in self.levels)
        return Text(bars.rjust(self.levels.maxlen or 0), style=_style(self.colour))


class _Console(Console):
    """A console whose reader may go away, as `| head` does."""

    def on_broken_pipe(self) -> NoReturn:
        """Say so like any other file; rich would end the program here and now."""
        raise BrokenPipeError


class Terminal:
    """Tell of a conversation: in words always, in colours and bars where there is a terminal."""

    def __init__(self, evidence: Evidence) -> None:
        self.console = _Console(highlight=False, markup=False, emoji=False)
        self.meters: list[Meter] = []
        self._evidence = evidence
        self._lines: deque[Text] = deque(maxlen=LINES)
        self._told = 0
        self._steps: tuple[str, ...] = ()
        self._step = 0

    def add_meter(self, name: str, state: State, tape: Tape) -> None:
        """Show how loud a place is, in the colour of a state."""
        self.meters.append(Meter(name, colour_of(state), tape))

    def begin(self, *steps: str) -> None:
        """Learn what will happen, in words that fit in a line together."""
        self._steps = steps

    def step(self) -> None:
        """Learn that the next of these is done."""
        self._step += 1

    def tell(self, words: str, at: float | None = None, style: str = "") -> None:
        """Tell what happens now, or happened at a moment."""
        moment = time.monotonic() if at is None else at
        line = Text.assemble((f"{moment - self._evidence.began:6.1f} s  ", "dim"), (words, style))
        line.no_wrap, line.overflow = True, "ellipsis"
        self._lines.append(line)
        if not self.console.is_terminal:
            self.console.print(line.plain, soft_wrap=True)

    def conclude(self, lines: list[str]) -> None:
        """Tell what it all came to."""
        for line in lines:
            self.console.print(Text(line), soft_wrap=not self.console.is_terminal)

    async def run(self) -> None:
        """Show it until cancelled."""
        if not self.console.is_terminal:
            while True:
                self._look()
                await asyncio.sleep(FRAME_S)
        with Live(self._picture(), console=self.console, auto_refresh=False) as screen:
            while True:
                self._look()
                screen.update(self._picture(), refresh=True)
                await asyncio.sleep(FRAME_S)

    def entry(self, entry: Entry) -> None:
        """Tell of a journal entry that is worth it."""
        self._catch_up()
        match entry.event:
            case "state":
                state = State(entry.fields["state"])
                self.tell(f"{state.name}: {MEANING[state]}", entry.at, _style(colour_of(state)))
            case "link-up" | "link-lost" | "link-refused" | "device-lost" | "device-back":
                self.tell(entry.fields["message"], entry.at)

    def _look(self) -> None:
        for meter in self.meters:
            meter.take()
        self._catch_up()

    def _catch_up(self) -> None:
        """Tell what happened on the wire since the last time."""
        wire = self._evidence.wire
        while self._told < len(wire):
            if words := _words(wire[self._told]):
                self.tell(words, wire[self._told].at)
            self._told += 1

    def _picture(self) -> RenderableType:
        now = time.monotonic()
        stretch = self._evidence.stretches()[-1]
        state = stretch.state
        blob = _style(glow(state, now - stretch.began, _NIGHT))
        head = Table.grid(padding=(0, 3))
        sides = (
            self._progress(now),
            Text(state.name, style=f"bold {_style(colour_of(state))}"),
            Text(MEANING[state]),
            self._flow(),
        )
        for glass, side in zip(_BLOB, sides, strict=True):
            head.add_row(Text(glass, style=blob), side)
        meters = Table.grid(padding=(0, 2))
        for meter in self.meters:
            meters.add_row(Text(meter.name, style="dim"), meter.bars())
        return Group(Text(), head, Text(), meters, Text(), *self._lines)

    def _progress(self, now: float) -> Text:
        line = Text(f"{now - self._evidence.began:5.1f} s ", style="dim")
        for number, step in enumerate(self._steps):
            line.append(" → " if number else "  ")
            line.append(step, "" if number < self._step else "bold reverse" if number == self._step else "dim")
        return line

    def _flow(self) -> Text:
        up = sum(event.detail["bytes"] for event in self._evidence.wire if event.kind == "audio")
        down = sum(event.detail["bytes"] for event in self._evidence.wire if event.kind == "audio_out")
        return Text(f"sound sent {up / 1000:6.0f} kB   received {down / 1000:6.0f} kB", style="dim")


def _words(event: WireEvent) -> str:
    """Return what happened on the wire in words; nothing where it is not worth telling."""
    match event.kind:
        case "answer_start":
            return f"the server answers: “{event.detail['text']}”"
        case "generation_complete":
            return "the server has sent the whole answer; it is still being played"
        case "interrupted":
            return "the server noticed that somebody speaks over the answer"
        case "turn_complete":
            return "the server's turn is complete"
    return ""


def _style(colour: Colour) -> str:
    return f"rgb({colour[0]},{colour[1]},{colour[2]})"
