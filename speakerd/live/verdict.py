"""What a failure of the connection means: what to do next, and what to tell the owner.

Pure. Codes and texts are those of the service, which tells quota, key and outage apart only by the words of its
close reason. What is not known here falls to the safe side: try again, later and later.
"""

import enum
import re
from dataclasses import dataclass

from speakerd.errors import Cause, Cure, LinkError


class Next(enum.Enum):
    """What the link does after a failure."""

    RESUME = "resume"  # dial again after the back-off and go on with the conversation
    FORGET = "forget"  # the same, with a new conversation: the handle is no good
    WAIT = "wait"  # we asked too much; dial again only after a long pause
    PERSON = "person"  # a person must act; dial again after a long pause in case they did


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do next, for PERSON what the person is to do, and why there is no connection."""

    next: Next
    advice: str = ""
    cause: Cause = Cause.SERVICE


_KEY = "check the API key: it was refused (https://aistudio.google.com/apikey)"
_MODEL = "check assistant.model and live.api_version in the settings: the service does not know them"
_SETUP = "check the settings under assistant and live: the service refuses them"

_QUOTA = re.compile(r"resource.?exhausted|quota|rate limit|maximum concurrent se", re.IGNORECASE)
_BAD_KEY = re.compile(
    r"api.?key|unregistered callers|permission.denied|unauthenticated"
    # Of tokens no words were recorded; "trigger_tokens" is not meant.
    r"|auth.?token|\btoken\b.{0,40}(expired|invalid|not valid|used)|(expired|invalid)\b.{0,20}\btoken\b"
    r"|authentication credential",
    re.IGNORECASE,
)
_BAD_MODEL = re.compile(r"is not found for api version|not supported for bidigeneratecontent", re.IGNORECASE)


_LINE = (1000, 1001, 1006)
"""Ends of a connection that say nothing of the conversation on it: a line was cut, a server was shut down."""

PATIENCE = 3
"""A conversation on which the server failed so many times in a row, before its setup or after, is given up."""


def verdict(error: LinkError, *, resumed: bool, during_setup: bool, failures: int = 1) -> Verdict:
    """Return what to do after ``error``.

    ``resumed`` says that the connection was dialled with a handle; ``during_setup`` that it failed before the
    server had accepted the session, which is where it refuses handles and settings; ``failures`` is the number of
    failures in a row that were the server's own, this one included.
    """
    if error.advice:
        return Verdict(Next.PERSON, error.advice, _cause(error, Cause.SETTINGS))
    if _QUOTA.search(error.reason) or error.code == 429:
        return Verdict(Next.WAIT, cause=Cause.QUOTA)
    if refuses_credentials(error):
        return Verdict(Next.PERSON, _KEY, Cause.KEY)
    if _BAD_MODEL.search(error.reason) or error.code == 404:
        return Verdict(Next.PERSON, _MODEL, Cause.SETTINGS)
    cause = _cause(error, Cause.OFFLINE if error.cure is Cure.NETWORK else Cause.SERVICE)
    if resumed and error.code is not None and error.code >= 1000:
        # A bad handle is refused with 1007 or 1008, in some reports with 1011; a good one is refused with 1011 too,
        # for as long as the service still holds the old connection.
        refused = during_setup and error.code in (1007, 1008)
        hopeless = failures >= PATIENCE and blames_the_server(error, during_setup=during_setup)
        return Verdict(Next.FORGET if refused or hopeless else Next.RESUME, cause=cause)
    if during_setup and error.code in (1007, 1008):
        return Verdict(Next.PERSON, _SETUP, Cause.SETTINGS)
    return Verdict(Next.RESUME, cause=cause)


def _cause(error: LinkError, otherwise: Cause) -> Cause:
    """Return why there is no connection, where that was known on the spot."""
    return error.cause or (Cause.CLOCK if error.cure is Cure.CLOCK else otherwise)


def refuses_credentials(error: LinkError) -> bool:
    """Say whether the service refused the key, or the token, and not something else."""
    if _QUOTA.search(error.reason):
        return False
    return bool(_BAD_KEY.search(error.reason)) or error.code in (401, 403)


def blames_the_server(error: LinkError, *, during_setup: bool) -> bool:
    """Say whether it was the server that failed, and not the line to it or what stands in front of it."""
    return error.code is not None and error.code >= 1000 and (during_setup or error.code not in _LINE)
