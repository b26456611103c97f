"""The card's word to the speaker: what its owner has written on it and must mend; the provisioning leaves it."""

from pathlib import Path

DIRECTORY = Path("/run/speakerd-provision")
"""Where the provisioning leaves it, at each boot; on a machine without a card of ours there is none."""

MISTAKES = "mistakes"

REPORT = "speakerd-report.txt"
"""What the owner finds on the card itself."""

KEY = "speakerd-key.txt"
"""Where on the card the owner puts the API key."""


def mistakes(directory: Path = DIRECTORY) -> list[str] | None:
    """Return the mistakes, a line for each; None where there is no provisioning."""
    try:
        return (directory / MISTAKES).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
