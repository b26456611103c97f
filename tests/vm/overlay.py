"""What is laid over the guest at each boot: the package, to be installed there, and the scenes."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from speakerd.simulate.speech import questions
from tests.vm.machine import OVERLAY, Guest

CHECKOUT = Path(__file__).parents[2]
PACKAGES = Path("opt/speakerd/lib/python3.13/site-packages")


def make_overlay(guest: Guest, package: Path, directory: Path) -> None:
    """Write the initramfs with which this guest boots into ``directory``; nothing in the checkout changes."""
    root = directory / "overlay"
    shutil.copytree(CHECKOUT / "tests" / "vm" / "files", root)
    scenes = root / "opt" / "scenes" / "tests"
    shutil.copytree(CHECKOUT / "tests" / "vm", scenes / "vm", ignore=shutil.ignore_patterns("__pycache__", "files"))
    shutil.copy(CHECKOUT / "tests" / "__init__.py", scenes)
    shutil.copy(package, scenes.parent / "speakerd.deb")
    (scenes.parent / "question.raw").write_bytes(questions()[0].pcm)
    _make_next(package, scenes.parent / "next.deb", directory)
    # The stand-in of the Live API, which the scenes run beside the package.
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


def _make_next(package: Path, next_one: Path, directory: Path) -> None:
    """Make the same package as its next version."""
    tree = directory / "next"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub("^Version: .*$", r"\g<0>+next", control.read_text(), flags=re.MULTILINE))
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", tree, next_one],
                   check=True, stdout=subprocess.DEVNULL)  # fmt: skip


def _wheel(directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(directory)]
    subprocess.run([*command, str(CHECKOUT)], check=True)
    return next(directory.glob("*.whl"))
