"""Which versions of everything are here: what to say when asking others for help."""

import importlib.metadata
import platform
import re

import alsaaudio

import speakerd
from speakerd.doctor.finding import Finding, ok
from speakerd.doctor.service import output_of

NAME = "versions"


async def examine() -> list[Finding]:
    """Return them all."""
    systemd = re.match(r"systemd (\S+)", await output_of("systemctl", "--version"))
    versions = {
        "speakerd": speakerd.__version__,
        "google-genai": _version_of("google-genai"),
        "Python": platform.python_version(),
        "alsa-lib": str(alsaaudio.asoundlib_version()).removeprefix("ALSA "),
        "systemd": systemd[1] if systemd else "",
        "Linux": f"{platform.release()} {platform.machine()}",
        "": _system(),
    }
    return [ok(NAME, ", ".join(f"{name} {version}".strip() for name, version in versions.items() if version))]


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return ""
