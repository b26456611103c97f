"""Ephemeral tokens: who gave them out, how long they are good, and for which setup."""

import datetime as dt
import secrets
import time
from dataclasses import dataclass
from typing import Any

from speakerd.simulate import refusals, schema

PREFIX = "auth_tokens/"

LONGEST_S = 20 * 3600.0
"""No token lives longer; this and the two below are from https://ai.google.dev/gemini-api/docs/ephemeral-tokens."""

USUAL_S = 30 * 60.0
USUAL_OPENING_S = 60.0

_FIELDS = {"uses", "expireTime", "newSessionExpireTime", "bidiGenerateContentSetup", "fieldMask"}


@dataclass(slots=True)
class Token:
    """What one token is good for; times are seconds of the monotonic clock."""

    expires_at: float
    opens_until: float
    uses: int | None
    """How many sessions it can still begin; None is any number."""
    setup: dict[str, Any]
    locked: list[str] | None
    """Paths in ``setup``, in dots, that a client must not change; None: all of it, and it may add nothing."""

    def check(self) -> None:
        """Raise RefusedError for a message that comes when the token is over."""
        if time.monotonic() >= self.expires_at:
            raise refusals.expired_token()

    def admit(self, setup: dict[str, Any]) -> dict[str, Any]:
        """Return what the session's setup is under this token. Raise RefusedError unless it may be had."""
        self.check()
        effective = self._agreed(setup)
        if not setup.get("sessionResumption", {}).get("handle"):
            if time.monotonic() >= self.opens_until:
                raise refusals.expired_token()
            if self.uses == 0:
                raise refusals.spent_token()
            self.uses = None if self.uses is None else self.uses - 1
        return effective

    def _agreed(self, setup: dict[str, Any]) -> dict[str, Any]:
        if self.locked is None and self.setup:
            # A handle is the client's own in any case: how would whoever makes the token know it?
            changed = [
                field
                for field in setup
                if field != "sessionResumption" and _at(setup, field) != _at(self.setup, field)
            ]
        else:
            changed = [path for path in self.locked or () if _at(setup, path) not in (None, _at(self.setup, path))]
        if changed:
            raise refusals.invalid_argument()
        return {**self.setup, **setup}


class Tokens:
    """All tokens that were made here."""

    def __init__(self, clock: float) -> None:
        """Begin without any; their times run ``clock`` times as fast as asked for."""
        self._clock = clock
        self._made: dict[str, Token] = {}

    def find(self, name: str) -> Token | None:
        """Return what the token of this name is good for, None where it was not made here."""
        return self._made.get(name)

    def make(self, request: object) -> dict[str, str]:
        """Return a new token as the service does, for what `auth_tokens.create` asks for.

        Raise RefusedError, whose reason is the message for an answer of HTTP 400.
        """
        asked = _checked(request)
        lives, opens = (
            _seconds(asked, "expireTime", USUAL_S),
            _seconds(asked, "newSessionExpireTime", USUAL_OPENING_S),
        )
        setup = asked.get("bidiGenerateContentSetup", {})
        checked = schema.checked({"setup": setup})["setup"] if setup else {}
        mask = asked.get("fieldMask")
        uses = int(asked.get("uses", 1))
        now = time.monotonic()
        self._made = {name: token for name, token in self._made.items() if token.expires_at + LONGEST_S > now}
        name = PREFIX + secrets.token_hex(32)
        self._made[name] = Token(
            now + lives / self._clock,
            now + opens / self._clock,
            uses or None,
            checked,
            [path.strip() for path in mask.split(",")] if mask else None,
        )
        return {
            "name": name,
            "expireTime": _moment(lives / self._clock),
            "newSessionExpireTime": _moment(opens / self._clock),
        }


def _checked(request: object) -> dict[str, Any]:
    if not isinstance(request, dict):
        raise refusals.not_json()
    asked = {schema.camel(name): value for name, value in request.items() if value is not None}
    for name in asked.keys() - _FIELDS:
        raise refusals.unknown_name(name, "auth_token")
    uses = asked.get("uses", 1)
    if not str(uses).isdecimal():
        raise refusals.wrong_value("auth_token.uses", "TYPE_INT32", uses)
    return asked


def _seconds(asked: dict[str, Any], name: str, usual: float) -> float:
    """Return how long from now a time of day is."""
    text = asked.get(name)
    if text is None:
        return usual
    try:
        moment = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise refusals.wrong_value(
            f"auth_token.{name}", "type.googleapis.com/google.protobuf.Timestamp", text
        ) from error
    seconds = moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp() - time.time()
    if not 0 < seconds < LONGEST_S + 60:
        raise refusals.invalid_argument()
    return seconds


def _moment(seconds: float) -> str:
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    return moment.isoformat().replace("+00:00", "Z")


def _at(setup: dict[str, Any], path: str) -> Any:
    """Return what is at a path, None where there is nothing; names in either spelling are the same."""
    value: Any = _alike(setup)
    for part in path.split("."):
        value = value.get(schema.camel(part)) if isinstance(value, dict) else None
    return value


def _alike(value: Any) -> Any:
    match value:
        case dict():
            return {schema.camel(name): _alike(inner) for name, inner in value.items()}
        case list():
            return [_alike(inner) for inner in value]
    return value
