"""The explanation speaks of the events that there are."""

import re
from pathlib import Path

from speakerd.explain import mishaps, picture, reading
from speakerd.explain.entry import SYSTEMD
from speakerd.explain.story import GONE
from speakerd.host.vocabulary import kinds


def test_each_event_that_is_looked_for_exists() -> None:
    """One that was given another name would never be found again."""
    looked_for = {*reading._LASTING, *reading._TROUBLE, *picture._MARKED, *mishaps._TOLD_ELSEWHERE, *GONE}
    for module in Path(reading.__file__).parent.glob("*.py"):
        source = module.read_text(encoding="utf-8")
        looked_for |= set(re.findall(r'case "([a-z-]+)"', source))
        for compared in re.findall(r"\.event (?:==|in) (.*)", source):
            looked_for |= set(re.findall(r'"([a-z-]+)"', compared.partition(" and ")[0]))
    assert looked_for - kinds().keys() - set(SYSTEMD.values()) == set()
    assert {"mute", "stall", "told-again", "xrun"} <= looked_for
