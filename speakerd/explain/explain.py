"""The explanation of a moment: the story that the journal tells of it, and what went wrong."""

import dataclasses
from dataclasses import dataclass

from speakerd.errors import SpeakerdError
from speakerd.explain.cause import Cause
from speakerd.explain.causes import causes
from speakerd.explain.reading import AROUND_S, Journal
from speakerd.explain.story import Story, story
from speakerd.explain.words import moment


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened, what went wrong then, the likeliest first, and what else went wrong around it."""

    story: Story
    causes: list[Cause]
    nearby: list[Cause]


def explain(journal: Journal, when: str = "") -> Explanation:
    """Explain a moment that is named in systemd's words, or the last turn or trouble.

    Raises:
        SpeakerdError: the journal cannot be read, or tells nothing of that time.
    """
    if when:
        at = journal.time_of(when)
    elif last := journal.last():
        at = last.at
    else:
        raise SpeakerdError(f"speakerd has told nothing of a turn or of a trouble; {_what_it_holds(journal)}")
    told = _story(at, journal)
    there, nearby = causes(told)
    if told.is_empty and not [cause for cause in there if cause.name != "unheard"]:
        looked = f"from {moment(told.around.began)} to {moment(told.around.ended)}"
        raise SpeakerdError(f"speakerd told nothing {looked}; {_what_it_holds(journal)}")
    return Explanation(told, there, nearby)


def _story(at: float, journal: Journal) -> Story:
    """Return the story of a moment: that of a turn close by only where nothing is wrong at the moment itself."""
    told = story(at, AROUND_S, journal.before(at), journal.around(at))
    if told.exchange is None or told.exchange.span.distance(at) == 0:
        return told
    alone = dataclasses.replace(told, exchange=None)
    lasts = [cause for cause in causes(alone)[0] if cause.span.seconds > 0 and cause.span.distance(at) == 0]
    return alone if any(cause.name != "unheard" for cause in lasts) else told


def _what_it_holds(journal: Journal) -> str:
    extent = journal.extent()
    if extent is None:
        return "the journal is empty"
    words = f"the journal begins {moment(extent[0])} and ends {moment(extent[1])}"
    if journal.is_forgetful():
        words += "; it is lost when the machine restarts: Storage=persistent in journald.conf(5) keeps it"
    return words
