"""Does the Live API take us? One session is set up and closed; nothing is said, so it costs nothing."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from speakerd.doctor.finding import Finding, bad, note, ok
from speakerd.errors import LinkError, SpeakerdError
from speakerd.live.verdict import Next, verdict
from speakerd.settings import Settings

if TYPE_CHECKING:
    from speakerd.live.session import Caller

NAME = "Live"

LIMIT_S = 10.0
"""How long the service may take; it is usually there within a second."""


async def examine(settings: Settings, secret: str | None) -> Finding:
    """Set up a new conversation, beside whatever the daemon has, and hang up.

    Raises:
        LinkError: the server was not reached.
    """
    if secret is None:
        return note(NAME, "not tried: there is no key to try it with")
    try:
        took = await open_once(settings, secret)
    except LinkError as error:
        if error.code is None and not error.advice:
            raise
        return judge(error)
    except SpeakerdError as error:
        return bad(NAME, str(error), "look at SSL_CERT_FILE and the proxy variables (HTTPS_PROXY …)")
    return ok(NAME, f"{settings.assistant.model} took our setup after {took * 1000:.0f} ms")


def judge(error: LinkError) -> Finding:
    """Return what a refusal means."""
    what = verdict(error, resumed=False, during_setup=True)
    match what.next:
        case Next.WAIT:
            return note(NAME, f"too much was asked of the service: {error}", "wait; or look at your plan's limits")
        case Next.PERSON:
            return bad(NAME, str(error), what.advice)
        case _:
            return bad(NAME, str(error), "try again; where it stays so, see https://status.cloud.google.com")


async def open_once(settings: Settings, secret: str) -> float:
    """Open a session and hang up; return how many seconds it took, without the SDK's import, which takes longer.

    Raises:
        LinkError: the server was not reached, or refused.
    """
    limit = min(settings.live.connect_timeout, LIMIT_S)
    live = settings.live.model_copy(update={"connect_timeout": limit})
    settings = settings.model_copy(update={"live": live})

    def caller() -> Caller:
        from speakerd.live.session import Caller

        return Caller(settings, secret)

    prepared = await asyncio.to_thread(caller)
    began = time.monotonic()
    async with prepared.dial():
        return time.monotonic() - began
