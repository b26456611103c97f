"""The ephemeral token of the next dial: fetched from where the owner says, used while it lives, shown to nobody."""

import asyncio
import datetime as dt
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

from speakerd.errors import Cause, Cure, LinkError
from speakerd.host.program import LONGEST, Printed, printed_by
from speakerd.live.trouble import trouble
from speakerd.live.verdict import refuses_credentials
from speakerd.settings import Token as TokenSettings
from speakerd.yaml_file import LOOKS_LIKE_A_KEY

LIMIT_S = 10.0
"""How long a program, or an address, may take to come up with a token."""

ENOUGH_S = 60.0
"""A token that lives no longer than this is replaced before a dial: the connection would be cut soon."""

_NAME = re.compile(r"auth_tokens/[!-~]{1,1000}")

_OFFLINE = re.compile(
    r"unreachable|no route to host|timed out|not resolve|name resolution|network is down"
    r"|connection (refused|reset|closed)|cannot be reached|no answer from|no DNS server",
    re.IGNORECASE,
)
"""What programs say where there is no network: ssh, curl, and `speakerd token`."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and until when it is good, in seconds of the monotonic clock."""

    name: str = field(repr=False)
    expires_at: float = float("inf")
    opens_until: float = float("inf")
    """Until when it begins sessions; it goes on with them for longer, but not reliably
    (https://discuss.ai.google.dev/t/98979)."""

    def serves(self) -> bool:
        """Say whether a connection can be dialled with it and last."""
        now = time.monotonic()
        return self.expires_at - now >= ENOUGH_S and self.opens_until > now


def token_in(answer: str) -> Token:
    """Return the token in what ``speakerd token``, the Live API or the bare token itself says.

    Raises:
        ValueError: there is none in it; the text of the error does not repeat the answer.
    """
    said = _fields(answer.strip())
    name = said.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("no token")
    expires = _moment(said.get("expireTime", said.get("expire_time")))
    opens = _moment(said.get("newSessionExpireTime", said.get("new_session_expire_time")))
    return Token(name, expires, opens)


def _fields(answer: str) -> dict[str, Any]:
    if not answer.startswith("{"):
        return {"name": answer}
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        raise ValueError("no JSON") from None
    return said if isinstance(said, dict) else {}


def _moment(text: object) -> float:
    """Return when a time of day will be, in seconds of the monotonic clock; never, where there is none."""
    if text is None:
        return float("inf")
    if not isinstance(text, str):
        raise ValueError("no time")
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("no time") from None  # what is told must not hold what may be a secret
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return time.monotonic() + moment.timestamp() - time.time()


class Tokens:
    """Has a token ready whenever one is needed."""

    def __init__(self, source: TokenSettings, authorization: str) -> None:
        """Prepare to fetch; ``authorization`` is shown to ``live.token.url`` unless it is empty."""
        self._source = source
        self._authorization = authorization
        self._token: Token | None = None

    async def take(self) -> tuple[Token, bool]:
        """Return a token for a dial, and whether it was fetched just now.

        Raises:
            LinkError: there is none to be had.
        """
        if self._token is not None and self._token.serves():
            return self._token, False
        self._token = None
        self._token = await self._fetch()
        return self._token, True

    def judge(self, token: Token, error: LinkError, *, fresh: bool, was_up: bool) -> LinkError | None:
        """Return what a failure with ``token`` is, where that is not what the server said.

        ``fresh``: it was fetched for this very dial; ``was_up``: the server had taken it.
        """
        refused = refuses_credentials(error)
        # The service may refuse an old token in the words that it has for handles and settings.
        suspect = refused or (not was_up and not fresh and error.code in (1007, 1008, 1011))
        if suspect and self._token is token:
            self._token = None
        if refused and fresh and not was_up:
            source = "live.token.url" if self._source.url is not None else "live.token.command"
            advice = f"check the key and the clock of the machine behind {source}: its new token was refused"
            text = f"the token was refused ({error.code})"
            return LinkError(text, code=error.code, advice=advice, cause=Cause.KEY)
        if refused or (suspect and error.code in (1007, 1008)):
            return LinkError(f"the token is not good any more ({error.code}); a new one is fetched")
        return None

    async def _fetch(self) -> Token:
        if self._source.command is not None:
            source, answer = "live.token.command", await _from_program(self._source.command)
        else:
            assert self._source.url is not None
            source, answer = "live.token.url", await _from_address(self._source.url, self._authorization)
        try:
            token = token_in(answer.decode("ascii"))
        except ValueError:  # with the answer in its text or its traceback
            advice = f"let {source} answer what `speakerd token` prints"
            raise _hopeless(f"{source} answers with something else", advice) from None
        if token.expires_at <= time.monotonic():
            text = f"what {source} gives has expired already"
            advice = "check the clocks of both machines, and how long the tokens live"
            raise LinkError(f"no token: {text}", cure=Cure.CLOCK, advice=advice)
        return token


async def _from_program(words: list[str]) -> bytes:
    try:
        printed = await printed_by(words, LIMIT_S)
    except TimeoutError as error:
        text = f"no token: the program in live.token.command did not end within {LIMIT_S:g} s"
        raise LinkError(text, cure=Cure.NETWORK) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its words cannot be passed on"
        raise _hopeless(
            f"live.token.command cannot be run: {why}", "check live.token.command in the settings"
        ) from error
    if printed.status:
        raise _of_status(printed)
    return printed.output


def _of_status(printed: Printed) -> LinkError:
    complaint = _last_line(printed.complaint)
    text = f"live.token.command ended with {printed.status}" + (f": {complaint}" if complaint else "")
    if _OFFLINE.search(complaint):
        return LinkError(f"no token: {text}", cure=Cure.NETWORK)
    return _hopeless(text, "run the program in live.token.command by hand, and mend what it says")


def _last_line(complaint: bytes) -> str:
    """Return the last line of what a program complained of, fit for the journal."""
    lines = [line for line in complaint.decode(errors="replace").splitlines() if line.strip()]
    line = "".join(letter for letter in lines[-1] if letter.isprintable()).strip()[:200] if lines else ""
    return LOOKS_LIKE_A_KEY.sub("(a secret)", line)


async def _from_address(url: str, authorization: str) -> bytes:
    headers = {"Authorization": authorization} if authorization else {}
    try:
        async with (
            asyncio.timeout(LIMIT_S),
            await asyncio.to_thread(_browser) as browser,
            browser.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code != 200:
                raise _of_http(response.status_code)
            answer = b""
            async for piece in response.aiter_bytes():
                answer += piece
                if len(answer) > LONGEST:
                    break
            return answer
    except (OSError, httpx2.HTTPError) as error:
        raise _of_network(error, url) from error
    except (ValueError, ImportError, httpx2.InvalidURL) as error:
        text = f"the network cannot be set up ({type(error).__name__})"
        raise _hopeless(
            text, "look at live.token.url, SSL_CERT_FILE and the proxy variables (HTTPS_PROXY …)"
        ) from error


def _browser() -> httpx2.AsyncClient:
    """Return what asks an address; not on the event loop, since it reads every certificate of the machine."""
    # A redirect could lead out of TLS, with the token in the open.
    return httpx2.AsyncClient(timeout=LIMIT_S, follow_redirects=False)


def _of_http(status: int) -> LinkError:
    text = f"live.token.url answers HTTP {status}"
    if status in (401, 403):
        advice = "check the credential token-authorization, or SPEAKERD_TOKEN_AUTHORIZATION"
        return _hopeless(text, advice, Cause.KEY)
    if 300 <= status < 500 and status not in (408, 425, 429):
        return _hopeless(text, "check live.token.url in the settings: it must answer with a token itself")
    return LinkError(f"no token: {text}")


def _of_network(error: Exception, url: str) -> LinkError:
    """Return what to make of a failure, in which the one that the network reported lies deepest."""
    deepest: Exception = error
    while isinstance(deeper := deepest.__cause__ or deepest.__context__, Exception):
        deepest = deeper
    if isinstance(error, httpx2.TimeoutException):
        deepest = TimeoutError()
    if not isinstance(deepest, OSError):
        return LinkError(f"no token: live.token.url does not answer as it should ({type(error).__name__})")
    what = trouble(deepest, LIMIT_S, url, "live.token.url")
    return LinkError(f"no token from live.token.url: {what}", cure=what.cure, advice=what.advice, cause=what.cause)


def _hopeless(text: str, advice: str, cause: Cause | None = None) -> LinkError:
    # Tried again all the same, and at once when the network is back: that may have been it.
    return LinkError(f"no token: {text}", cure=Cure.NETWORK, advice=advice, cause=cause)
