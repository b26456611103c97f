"""The server behind TLS: is it the right one, and what time is it there?"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from speakerd.doctor import clock
from speakerd.doctor.finding import Finding, bad, ok
from speakerd.errors import LinkError
from speakerd.live.trouble import GOOGLE, trouble
from speakerd.settings import Settings

NAME = "TLS"

LIMIT_S = 4.0

_ASK_THE_NETWORK = "can a browser on this network open https://aistudio.google.com?"


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a server shows to anybody: its certificate, how it encrypts, and its time in seconds since 1970."""

    issuer: str
    until: str
    tls: str
    date: float | None


async def examine(settings: Settings, now: Callable[[], float]) -> list[Finding]:
    """Call at the server and say whether it can be trusted; compare its clock with ours, which ``now`` reads."""
    try:
        greeting = await _greeting(settings, trusting=False)
        tls = ok(NAME, f"{greeting.tls}, certificate by {greeting.issuer}, good until {greeting.until}")
        date = greeting.date
    except LinkError as error:
        tls = bad(NAME, str(error), error.advice or _ASK_THE_NETWORK)
        date = await _date_of_a_stranger(settings)
    synchronised = await asyncio.to_thread(clock.is_synchronised)
    return [tls, clock.judge(now(), date, synchronised=synchronised)]


async def _date_of_a_stranger(settings: Settings) -> float | None:
    """Return the server's time even where its certificate is refused: a wrong clock is the usual cause of that."""
    try:
        return (await _greeting(settings, trusting=True)).date
    except LinkError:
        return None


async def _greeting(settings: Settings, *, trusting: bool) -> Greeting:
    """Ask for the server's front page, with no secret in the question.

    Raises:
        LinkError: it cannot be reached, or must not be trusted.
    """
    url = settings.live.base_url or GOOGLE
    try:
        browser = await asyncio.to_thread(httpx2.AsyncClient, verify=not trusting, timeout=LIMIT_S)
        async with asyncio.timeout(LIMIT_S), browser, browser.stream("GET", url) as response:
            tls = response.extensions["network_stream"].get_extra_info("ssl_object")
            return _of(tls, response.headers.get("date"))
    except (OSError, ImportError, ValueError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise trouble(_deepest(error), LIMIT_S, settings.live.base_url) from error


def _deepest(error: Exception) -> Exception:
    """Return what the network itself reported, which lies deepest."""
    if isinstance(error, httpx2.TimeoutException):
        return TimeoutError()
    while isinstance(deeper := error.__cause__ or error.__context__, Exception):
        error = deeper
    return error


def _of(tls: ssl.SSLObject | None, date: str | None) -> Greeting:
    certificate: dict[str, Any] = (tls.getpeercert() if tls else None) or {}
    names = dict(pair for part in certificate.get("issuer", ()) for pair in part)
    issuer = names.get("organizationName") or names.get("commonName") or "somebody"
    end = certificate.get("notAfter", "")
    until = str(dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(end), dt.UTC).date()) if end else "nobody knows"
    return Greeting(issuer, until, (tls and tls.version()) or "TLS", _seconds(date))


def _seconds(date: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None
