"""Every exception of speakerd, sorted by what happens next.

::

    SpeakerdError
    ├── SettingsError   a person must edit a file     the command ends with 78 (EX_CONFIG)
    ├── HardwareError   a device failed or went away  closed, reopened with back-off; the daemon stays up
    └── LinkError       the Live API was lost         speakerd.live.verdict says what is next

Each is raised at the edge where a library's own exception was caught, ``from`` that exception, with a text
that names the file, the line or the device and says what to do.
"""


class SpeakerdError(Exception):
    """Anything that speakerd itself reports; its text is fit for a person."""


class SettingsError(SpeakerdError):
    """The settings have mistakes; ``problems`` holds one line for each, all of them found in one go."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class HardwareError(SpeakerdError):
    """A device cannot be opened, or went away while it was in use."""


class LinkError(SpeakerdError):
    """The connection to the Live API could not be made, or was lost.

    ``code`` is the WebSocket close code (1000 and up) or the HTTP status at the upgrade (below 1000); None where
    the network failed before either, and ``unreachable`` where not even a TCP connection came about. ``reason`` is
    what the server said, as it said it.
    """

    def __init__(self, text: str, *, code: int | None = None, reason: str = "", unreachable: bool = False) -> None:
        super().__init__(text)
        self.unreachable = unreachable
        self.code = code
        self.reason = reason
