"""What is laid over the guest at each boot: this checkout as a package, and the scenes."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.vm.machine import OVERLAY, Guest

CHECKOUT = Path(__file__).parents[2]
PACKAGES = Path("opt/speakerd/lib/python3.13/site-packages")

DELIVERED = {
    "speakerd.service": "usr/lib/systemd/system/speakerd.service",
    "speakerd.sysusers": "usr/lib/sysusers.d/speakerd.conf",
    "speakerd.tmpfiles": "usr/lib/tmpfiles.d/speakerd.conf",
    "60-speakerd-gpio.rules": "usr/lib/udev/rules.d/60-speakerd-gpio.rules",
}
"""What of ``systemd/`` goes where, as in the package."""


def make_overlay(guest: Guest, directory: Path) -> None:
    """Write the initramfs with which this guest boots into ``directory``; nothing in the checkout changes."""
    root = directory / "overlay"
    shutil.copytree(CHECKOUT / "tests" / "vm" / "files", root)
    for name, place in DELIVERED.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / "systemd" / name, root / place)
    catalog = root / "usr/lib/systemd/catalog/speakerd.catalog"
    catalog.parent.mkdir(parents=True)
    subprocess.run([sys.executable, CHECKOUT / "scripts" / "catalog.py", catalog], check=True)
    scenes = root / "opt" / "scenes" / "tests"
    shutil.copytree(CHECKOUT / "tests" / "vm", scenes / "vm", ignore=shutil.ignore_patterns("__pycache__", "files"))
    shutil.copy(CHECKOUT / "tests" / "__init__.py", scenes)
    with zipfile.ZipFile(_wheel(directory / "wheel")) as wheel:
        wheel.extractall(root / PACKAGES)
    with (directory / OVERLAY).open("wb") as archive:
        # The kernel takes several archives in a row as one, so the guest's own need not be made again.
        archive.write(guest.initramfs.read_bytes())
        archive.flush()
        subprocess.run(
            f"find overlay | {guest.busybox} cpio -o -H newc -R 0:0 2>/dev/null | gzip -1",
            shell=True, check=True, cwd=directory, stdout=archive,
        )  # fmt: skip


def _wheel(directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(directory)]
    subprocess.run([*command, str(CHECKOUT)], check=True)
    return next(directory.glob("*.whl"))
