"""Every exception of speakerd, sorted by what happens next.

::

    SpeakerdError
    ├── SettingsError   a person must edit a file     the command ends with 78 (EX_CONFIG)
    ├── HardwareError   a device failed or went away  closed, reopened with back-off; the daemon stays up
    └── LinkError       the Live API was lost         speakerd.live.verdict says what is next

Each is raised at the edge where a library's own exception was caught, ``from`` that exception, with a text
that names the file, the line or the device and says what to do.
"""

import enum


class SpeakerdError(Exception):
    """Anything that speakerd itself reports; its text is fit for a person."""


class SettingsError(SpeakerdError):
    """The settings have mistakes; ``problems`` holds one line for each, all of them found in one go."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class HardwareError(SpeakerdError):
    """A device cannot be opened, or went away while it was in use."""


class Cure(enum.Enum):
    """What will end a failure of the connection, where that is known: worth waiting for, instead of a fixed time."""

    NETWORK = "the server can be reached"
    CLOCK = "the clock is set"


class Cause(enum.Enum):
    """Why there is no connection, as coarsely as a person wants to hear it."""

    OFFLINE = "offline"  # there is no internet
    SERVICE = "service"  # the internet is there, the service does not answer
    KEY = "key"  # the key, or the token, is refused
    NO_KEY = "no-key"  # there is none yet
    LOGIN = "login"  # the network shows a page for a log-in
    QUOTA = "quota"  # the service has given as much as it gives
    SETTINGS = "settings"  # the service refuses the model, or other settings
    CLOCK = "clock"  # the clock is wrong, so that no certificate is valid


class LinkError(SpeakerdError):
    """The connection to the Live API could not be made, or was lost.

    ``code`` is the WebSocket close code (1000 and up) or the HTTP status at the upgrade (below 1000); None where it
    failed before either. ``reason`` is what the server said, as it said it. ``cure`` is what would end
    the failure, where that is known. ``advice`` is what only a person can do about it, and ``cause`` why, where
    these are known on the spot.
    """

    def __init__(
        self,
        text: str,
        *,
        code: int | None = None,
        reason: str = "",
        cure: Cure | None = None,
        advice: str = "",
        cause: Cause | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.reason = reason
        self.cure = cure
        self.advice = advice
        self.cause = cause
