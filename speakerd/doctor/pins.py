"""Do button and light have the pins that the settings give them?"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from speakerd.doctor.finding import Finding, bad, note, ok
from speakerd.doctor.service import Service
from speakerd.panel.panel import Panel
from speakerd.panel.pins import clashes
from speakerd.settings import QuietHours, Settings

if TYPE_CHECKING:
    from gpiozero import Factory

NAME = "panel"

_TRY_IT = "see it work: sudo systemctl stop speakerd; speakerd panel"


async def examine(settings: Settings, service: Service, factory: Factory | None) -> list[Finding]:
    """Open button, switch and light for a moment, as the daemon does; ``factory`` has simulated pins."""
    if problems := clashing(settings):
        return problems
    panel = Panel(settings.panel, QuietHours(), lambda _gesture: None, lambda *, muted: None, factory=factory)
    if not panel.names:
        return [ok(NAME, "the settings name no button and no light")]
    if service.runs:
        return [service.part(NAME)]
    complaints = _Complaints()
    logger = logging.getLogger("speakerd.panel")
    logger.addHandler(complaints)
    try:
        async with panel.running():
            works = panel.parts
    finally:
        logger.removeHandler(complaints)
    findings = [_of(text) for text in complaints.texts]
    if works:
        findings.append(ok(NAME, f"{' and '.join(works)} can be opened"))
    if factory is not None:
        findings.append(note(NAME, "its pins exist only in software (panel.pin_factory)"))
    return findings


def clashing(settings: Settings) -> list[Finding]:
    """Return the pins that the settings give to two parts."""
    return [bad(NAME, text, f"edit {settings.place(one)}") for one, text in clashes(settings.panel)]


def _of(text: str) -> Finding:
    cause, _, advice = text.partition("; ")
    return bad(NAME, cause, advice or _TRY_IT)


class _Complaints(logging.Handler):
    """Collects what the panel says that does not work; the journal is the one place where it tells that."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
