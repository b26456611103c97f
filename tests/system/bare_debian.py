"""A Debian 13 to install packages in: a directory that programs run in as if it were the machine."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "speakerd-deb"
TOOLS = ("bash-completion", "man-db", "mandoc")
"""What the scenes look with, and a speaker need not have."""

OFTEN_CHANGED = ("dev", "proc", "run", "sys", "tmp", "var/cache", "var/lib/apt", "var/log")
"""Where any program of Debian leaves files; nothing of a package lies there."""


class BareDebian:
    """A directory with a Debian in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *words: str, status: int = 0, **environment: str) -> str:
        """Run a program there, with its own view of processes, and return all that it says.

        Raises:
            AssertionError: it ends with another status.
        """
        # With the program ends all that it started, and the mount of /proc.
        apart = ["unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={self.root}/proc"]
        plain = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root", "MANWIDTH": "80"}
        done = subprocess.run(
            [*apart, "chroot", self.root, *words], env={**plain, "DEBIAN_FRONTEND": "noninteractive", **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=600,
        )  # fmt: skip
        assert done.returncode == status, f"{' '.join(words)}: status {done.returncode}\n{done.stdout}"
        return done.stdout

    def apt(self, *words: str) -> str:
        """Run apt-get there."""
        return self.run("apt-get", "-y", "-q", *words)

    def install(self, package: Path) -> str:
        """Install a package file with all that it depends on and recommends, as an owner does."""
        shutil.copy(package, self.root / "tmp")
        return self.apt("-o", "Dpkg::Options::=--force-confold", "install", f"/tmp/{package.name}")

    def path(self, name: str) -> Path:
        """Return where a file of it is, seen from here."""
        return self.root / name.lstrip("/")

    def files(self) -> set[str]:
        """Return the names of all files and directories that are meant to last."""
        found = set()
        for directory, directories, files in os.walk(self.root):
            here = os.path.relpath(directory, self.root)
            directories[:] = [name for name in directories if os.path.normpath(f"{here}/{name}") not in OFTEN_CHANGED]
            found |= {os.path.normpath(f"/{here}/{name}") for name in (*directories, *files)}
        return found

    def rights(self, name: str) -> tuple[str, int, int]:
        """Return a file's mode, as ls writes it, and the numbers of its owner and group."""
        found = self.path(name).lstat()
        return stat.filemode(found.st_mode), found.st_uid, found.st_gid


@contextlib.contextmanager
def bare_debian(depends: str) -> Iterator[BareDebian]:
    """Lend a Debian, in whose apt lies all that ``depends`` asks for, so that installing it needs no network."""
    kept = _kept(depends)
    with tempfile.TemporaryDirectory(prefix="speakerd-debian-") as directory:
        root = Path(directory) / "root"
        subprocess.run(["cp", "-a", kept, root], check=True)
        yield BareDebian(root)


def _kept(depends: str) -> Path:
    """Return the one that copies are made of; it is kept for as long as nothing changes that it is made from."""
    key = hashlib.sha256(Path(__file__).read_bytes() + depends.encode()).hexdigest()[:16]
    kept = CACHE / f"bare-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "bare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=CACHE, prefix="work.") as work:
                _make(Path(work) / "root", depends)
                (Path(work) / "root").rename(kept)
    return kept


def _make(root: Path, depends: str) -> None:
    debian = ["Created-By: Packages", "Origin: Debian", "Label: Debian"]
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *debian]
    mirror = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")[0]
    mirror = os.environ.get("MIRROR", mirror)
    assert mirror, "this machine's apt knows no Debian archive: run apt-get update, or set MIRROR"
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--architectures=amd64",
            f"--include={','.join(TOOLS)}", "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
            '--aptopt=APT::Sandbox::User "root"', "--skip=cleanup/apt",
            "--dpkgopt=path-exclude=/usr/share/locale/*", "trixie", root, f"deb {mirror} trixie main",
        ],
        check=True,
    )  # fmt: skip
    BareDebian(root).apt("--download-only", "satisfy", depends)
