"""A long life in one process: what it holds after five hundred turns is what it held after fifty."""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.integration.household import GO_FORWARD, household

TURNS = int(os.environ.get("TURNS", "500"))
WARM = 50
WORDS = GO_FORWARD[16_000:48_000]  # one second out of the middle: speech from its first sample to its last
GROWTH_KIB = 1024
"""Memory that a process of 60 MiB may vary by without growing; a leak of one message a turn is far more."""


@dataclass(frozen=True)
class Holding:
    """What a process holds."""

    threads: int
    descriptors: int
    rss_kib: int

    @classmethod
    def of(cls, pid: int) -> "Holding":
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return cls(
            threads=int(fields["Threads"]),
            descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            rss_kib=int(fields["VmRSS"].split()[0]),
        )


async def test_five_hundred_turns_leave_nothing_behind(tmp_path: Path) -> None:
    """Memory, threads and descriptors stay where they were after turn 50; every question gets its answer."""
    script = {"thinking": 0.0, "pace": 50, "answers": ["Yes.", "No.", "Soon."]}
    held: dict[int, Holding] = {}
    async with household(
        tmp_path, script, live={"turn_detection": {"silence_ms": 200}}, log={"level": "info"}
    ) as home:
        await home.live.wait_for("setup")
        played = 0
        for turn in range(1, TURNS + 1):
            home.card.speak(WORDS)
            await home.live.wait_for("turn_complete", count=turn, timeout=30)
            answer = home.live.answers[turn - 1]
            assert not answer.interrupted
            played += len(answer.pcm)
            if turn % 50 == 0:
                held[turn] = Holding.of(home.daemon.process.pid)
                print(f"after turn {turn:4}: {held[turn]}", flush=True)
        await home.hear(home.live.answers[-1].pcm)
        assert len(home.card.played()) == played, "an answer was lost or cut"
        assert not [event for event in home.live.events if event.kind == "close"]
    warm, last = held[WARM], held[max(held)]
    assert (last.threads, last.descriptors) == (warm.threads, warm.descriptors)
    assert last.rss_kib - warm.rss_kib <= GROWTH_KIB, held
