"""The words with which the Live API hangs up: close codes and reasons.

The reasons are verbatim from measurements on the real service, except where the comment beside one says so.
"""

LONGEST_REASON = 123
"""Bytes of reason that fit into a close frame (RFC 6455, section 5.5)."""


class RefusedError(Exception):
    """The connection ends now, with this close code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = cut(reason)


class UnansweredError(Exception):
    """The setup holds a field that makes this model fall silent: no answer, no close."""


def cut(reason: str) -> str:
    """Return ``reason`` shortened to what a close frame holds, without half a character at its end."""
    return reason.encode()[:LONGEST_REASON].decode(errors="ignore")


def bad_key() -> RefusedError:
    """Say that this API key, or token, is not one of ours."""
    return RefusedError(1007, "API key not valid. Please pass a valid API key.")


def no_key() -> RefusedError:
    """Say that nobody may call without a key."""
    # The real text was not recorded; this is what Google's other interfaces say, and it has the known words.
    return RefusedError(
        1008,
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API.",
    )


def expired_token() -> RefusedError:
    """Say that a token is over, for all or for new sessions."""
    # Neither of these two texts was ever recorded; a client must not depend on them.
    return RefusedError(1008, "The auth token has expired.")


def spent_token() -> RefusedError:
    """Say that a token has begun as many sessions as it was made for."""
    return RefusedError(1008, "The auth token was used too often.")


def unknown_model(model: str, version: str) -> RefusedError:
    """Say that there is no such model under this version of the API."""
    return RefusedError(
        1008,
        f"{model} is not found for API version {version}, or is not supported for bidiGenerateContent. "
        "Call ModelService.ListModels to see the list of available models and their supported methods.",
    )


def unknown_name(name: str, place: str) -> RefusedError:
    """Say that a message has a field which the interface does not know."""
    where = f" at '{place}'" if place else ""
    return RefusedError(1007, f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.')


def wrong_value(place: str, kind: str, value: object) -> RefusedError:
    """Say that a field has a value of another type than the interface declares."""
    return RefusedError(1007, f"Invalid value at '{place}' ({kind}), {value}")


def not_json() -> RefusedError:
    """Say that a frame holds no JSON object."""
    return RefusedError(1007, "Invalid JSON payload received.")


def invalid_argument() -> RefusedError:
    """Say what the service says of most mistakes in a setup."""
    return RefusedError(1007, "Request contains an invalid argument.")


def precondition() -> RefusedError:
    """Say that a manual activity held no audio."""
    return RefusedError(1007, "Precondition check failed.")


def unknown_handle() -> RefusedError:
    """Say that a resumption handle is wrong or too old."""
    return RefusedError(1008, "BidiGenerateContent session not found")


def still_open() -> RefusedError:
    """Say that the conversation to be resumed still has its old connection."""
    return RefusedError(1011, "Internal error encountered.")


def overstayed() -> RefusedError:
    """Say that the client did not leave after a goAway."""
    return RefusedError(
        1008,
        "Connection aborted because the client failed to close the connection after receiving "
        "a GoAway signal once the session duration limit was reached.",
    )


def deadline() -> RefusedError:
    """Say that the longest life of a connection is over."""
    return RefusedError(1011, "Deadline expired before operation could complete")
