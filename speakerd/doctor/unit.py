"""Is speakerd a service of this machine, does it run, and how much may it do?"""

import re

from speakerd.doctor.finding import Finding, bad, note, ok
from speakerd.doctor.service import UNIT, Service, output_of

NAME, SANDBOX = "service", "sandbox"

MANY_RESTARTS = 5

EXPOSED = 3.0
"""The unit as it comes is below 1.5 of systemd's ten; a drop-in that opens it wide goes beyond this."""

_CONFIG = "78"  # EX_CONFIG, as in speakerd.cli


async def examine(service: Service) -> list[Finding]:
    """Return how the unit is."""
    findings = [judge(service)]
    if service.installed and (exposure := exposure_in(await output_of("systemd-analyze", "security", UNIT))):
        findings.append(judge_sandbox(exposure))
    return findings


def judge(service: Service) -> Finding:
    """Return what systemd says about the unit."""
    unit = service.unit
    if not unit:
        return note(NAME, "no systemd answers here, so nobody keeps speakerd running")
    if not service.installed:
        return note(NAME, f"there is no {UNIT}: speakerd runs by hand only", "install the package speakerd")
    if unit.get("ActiveState") == "failed":
        cause = "of its settings or its key" if unit.get("ExecMainStatus") == _CONFIG else f"of: {unit.get('Result')}"
        advice = "see why: journalctl -u speakerd -n 20; then: sudo systemctl restart speakerd"
        return bad(NAME, f"has failed because {cause}", advice)
    drop_ins = unit.get("DropInPaths", "").split()
    about = f", changed by {', '.join(drop_ins)}" if drop_ins else ""
    if not service.runs:
        return note(NAME, f"is not running{about}", "start it: sudo systemctl enable --now speakerd")
    if unit.get("ActiveState") == "active" and service.says is None and not service.refused:
        text = f"runs, but does not answer when asked how it is{about}"
        return bad(NAME, text, "start it anew: sudo systemctl restart speakerd; see: journalctl -u speakerd -n 50")
    if not unit.get("UnitFileState", "").startswith("enabled"):
        return note(NAME, f"runs, but will not after a restart{about}", "run: sudo systemctl enable speakerd")
    if int(unit.get("NRestarts") or 0) > MANY_RESTARTS:
        text = f"runs, and was started anew {unit['NRestarts']} times{about}"
        return note(NAME, text, "see why: journalctl -u speakerd -p warning")
    return ok(NAME, f"runs, and starts with the machine{about}")


def exposure_in(analysis: str) -> float | None:
    """Return systemd's mark for the unit, from 0 (nothing is allowed) to 10, from ``systemd-analyze security``."""
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", analysis)
    return float(found[1]) if found else None


def judge_sandbox(exposure: float) -> Finding:
    """Return how closed the unit is."""
    if exposure > EXPOSED:
        advice = f"look at what your drop-ins allow: systemd-analyze security {UNIT}"
        return note(SANDBOX, f"may do more than it needs: exposure {exposure:g} of 10", advice)
    return ok(SANDBOX, f"may do little more than it needs: exposure {exposure:g} of 10")
