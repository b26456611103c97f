"""One scenario against the real daemon: a question, a fault with another question, a third question, the account."""

import asyncio
import contextlib
import functools
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.moments import faults_of, moment_of
from tests.faults.scenario import Kind, Moment, Scenario
from tests.faults.verdict import UP, Result, judge
from tests.faults.words import Phrases, Utterance
from tests.faults.world import World, worldly
from tests.integration.household import Household, until
from tests.system.test_soak import GROWTH_KIB, Holding

ANSWER_S = 30.0
"""How long the answer to a question is waited for when nothing should be wrong any more."""

PATIENCE_S = 120.0
"""How long the stand-in may take to do all that it is told to: six dials with a growing pause between."""

WARM = 100
"""Reconnects after which a process holds what it will always hold."""


async def run(scenario: Scenario, directory: Path, phrases: Phrases) -> Result:
    """Play a scenario; return its row, whatever happened."""
    began = time.monotonic()
    result = Result(scenario.name, scenario.kind.value, excused=scenario.lost, directory=str(directory))
    async with worldly(scenario.world, directory) as world:
        script = phrases.script | {"faults": faults_of(scenario)} | scenario.script
        async with world.household(directory, script, scenario.settings) as home:
            scene = Scene(home, scenario, world, phrases.utterances, result)
            try:
                async with asyncio.timeout(scenario.patience):
                    await scene.play()
            except (AssertionError, TimeoutError) as error:
                result.problems.append(str(error).splitlines()[0] if str(error) else "it took for ever")
            await _end(home, result)
            judge(home, scenario, scene.spoken, result)
            _write(home, directory)
    result.seconds = time.monotonic() - began
    return result


class Scene:
    """The course of a scenario."""

    def __init__(
        self, home: Household, scenario: Scenario, world: World, said: list[Utterance], result: Result
    ) -> None:
        self._home = home
        self._scenario = scenario
        self._world = world
        self._said = said
        self._result = result
        self.spoken: list[Utterance] = []
        """What was said so far."""
        self._over_at = 0.0
        """When the fault was over, by time.monotonic(); what follows is the recovery."""

    async def play(self) -> None:
        """Play it from the first dial to the last answer. Raise AssertionError or TimeoutError where it fails."""
        first, second, third = self._said[:3]
        if self._scenario.moment is Moment.FIRST_DIAL:
            await self._go_wrong()
            await self._recover()
        await self._home.daemon.until(60, event="link-up")
        await self._ask(first)
        before = self._holding()
        self._result.rss_kib = (before.rss_kib, 0)
        if self._scenario.reconnects:
            await self._reconnect(self._scenario.reconnects)
        elif self._scenario.moment is not Moment.FIRST_DIAL:
            await self._fault(second)
        await asyncio.sleep(self._scenario.hold)
        await self._quiet()
        await self._ask(third)
        after = self._holding()
        self._result.rss_kib = (before.rss_kib, after.rss_kib)
        if self._scenario.reconnects:
            assert after.threads == before.threads, (before, after)
            # One is the connection, which may have been between two of its lives when the first look was taken.
            assert after.descriptors <= before.descriptors + 1, (before, after)

    def _holding(self) -> Holding:
        return Holding.of(self._home.daemon.process.pid)

    def _say(self, utterance: Utterance) -> None:
        self.spoken.append(utterance)
        self._home.card.speak(utterance.pcm)

    async def _ask(self, utterance: Utterance) -> None:
        """Say something and hear its answer whole."""
        self._say(utterance)
        what = f"the whole answer to utterance {utterance.number}"
        await until(lambda: self._home.card.played().count(utterance.answer), what, ANSWER_S)

    async def _fault(self, second: Utterance) -> None:
        """Say utterance 2, let it go wrong, and see it recover."""
        idle = self._scenario.moment is Moment.IDLE
        if not idle:
            self._say(second)
        if idle and self._scenario.second == "at-once":
            await asyncio.gather(self._go_wrong(), self._say_when_wrong(second))
        else:
            await self._go_wrong()
        await self._recover()
        if idle and self._scenario.second == "afterwards":
            self._say(second)
        if second.number not in self._scenario.lost:
            sound = second.answer if self._scenario.whole else second.answer_start
            what = f"the answer to utterance {second.number}"
            wait = ANSWER_S + (self._scenario.limit or 0)
            await until(lambda: self._home.card.played().count(sound), what, wait)
            if self._scenario.kind is Kind.STALL:
                self._judge(self._last("answer_start", second.number) - self._over_at)

    async def _say_when_wrong(self, utterance: Utterance) -> None:
        await self._moment()
        self._say(utterance)

    async def _moment(self) -> float:
        """Wait for the moment at which the world goes wrong, and return when that was."""
        when = moment_of(self._scenario.moment)
        at = await self._seen(lambda: when.times(self._home.live.events), 1, ANSWER_S) + when.after
        await asyncio.sleep(at - time.monotonic())
        return at

    async def _go_wrong(self) -> None:
        """Let it go wrong, and note when that is over."""
        if self._scenario.do:
            self._over_at = await self._seen(self._told, self._misdeeds_expected(), PATIENCE_S)
            return
        self._over_at = await self._moment()
        if self._scenario.world:
            self._over_at = await self._world.go_wrong(self._home)

    async def _seen(self, times: Callable[[], list[float]], count: int, limit: float) -> float:
        """Wait until something has happened so often; return when it was the last of these times."""
        await until(lambda: len(times()) >= count, f"the moment {self._scenario.moment}", limit)
        return times()[count - 1]

    def _told(self) -> list[float]:
        """Return when the stand-in did what this scenario tells it to."""
        do = self._scenario.do
        assert do
        if do.http:
            return [event.at for event in self._home.live.events if event.kind == "refused"]
        # A handshake that stalls leaves no event; the reset before it does.
        return self._misdeeds("reset" if do.stall_handshake else do.verb)

    def _misdeeds(self, verb: str) -> list[float]:
        events = self._home.live.events
        return [event.at for event in events if event.kind == "fault" and event.detail["do"] == verb]

    def _misdeeds_expected(self) -> int:
        """Return how many of them come before the recovery."""
        several = self._scenario.moment in {Moment.FIRST_DIAL, Moment.BEFORE_SETUP}
        return self._scenario.dials if several else 1

    async def _recover(self) -> None:
        """See the line come back in time, or never go."""
        scenario, limit = self._scenario, self._scenario.limit
        if scenario.kind is Kind.STALL or limit is None:
            return
        try:
            await until(lambda: len(self._ups()), "a connection", limit + 20)
        except AssertionError:
            raise AssertionError(f"no connection within {limit + 20:g} s") from None
        self._judge(self._ups()[0] - self._over_at)

    def _judge(self, seconds: float) -> None:
        self._result.recovered = seconds
        if self._scenario.limit is not None and seconds > self._scenario.limit:
            self._result.problems.append(f"recovered in {seconds:.1f} s, more than {self._scenario.limit:g} s")

    async def _reconnect(self, times: int) -> None:
        """See it come back so often, and hold no more memory at the end than early on."""
        for count in range(WARM, times + 1, WARM):
            await until(functools.partial(self._came_back, count), f"{count} reconnects", WARM * 2.0)
            self._result.course_kib.append(Holding.of(self._home.daemon.process.pid).rss_kib)
        course = self._result.course_kib
        if course[-1] - course[0] > GROWTH_KIB:
            self._result.problems.append(f"it grew with every {WARM} reconnects, KiB: {course}")

    def _came_back(self, times: int) -> bool:
        """Return whether the connection was reset so often and is there again."""
        resets = self._misdeeds("reset")
        return len(resets) >= times and any(up > resets[times - 1] for up in self._ups())

    async def _quiet(self) -> None:
        """Wait until nobody has spoken for a second."""
        since = time.monotonic()
        deadline = since + ANSWER_S
        while time.monotonic() - since < 1.0:
            await asyncio.sleep(0.05)
            if self._home.daemon.states[-1:] != ["idle"] or self._home.card.unheard_s:
                since = time.monotonic()
            assert since < deadline, f"it does not become idle: {self._home.daemon.states[-5:]}"

    def _ups(self) -> list[float]:
        """Return when a connection came up since it went wrong."""
        journal = self._home.daemon.journal
        ups = [entry["monotonic"] - self._world.ahead for entry in journal if entry.get("event") in UP]
        return [at for at in ups if at > self._over_at]

    def _last(self, kind: str, number: int) -> float:
        """Return when the answer to an utterance was last begun."""
        text = " ".join(self._said[number - 1].words)
        return [e.at for e in self._home.live.events if e.kind == kind and e.detail.get("text") == text][-1]


async def _end(home: Household, result: Result) -> None:
    """Stop the daemon as systemd does."""
    if home.daemon.process.returncode is not None:
        result.problems.append(f"the daemon died: exit status {home.daemon.process.returncode}")
        return
    try:
        status, seconds = await home.daemon.stop(signal.SIGTERM)
    except TimeoutError:
        result.problems.append("it does not stop")
        return
    if status or seconds > 2:
        result.problems.append(f"stopped with status {status} after {seconds:.1f} s")


def _write(home: Household, directory: Path) -> None:
    """Leave what one wants to read about a failure."""
    with contextlib.suppress(OSError):
        (directory / "journal.jsonl").write_text("".join(f"{line}\n" for line in home.daemon.lines))
