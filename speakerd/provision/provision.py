"""The provisioning: takes in what is new on the card, wipes what is secret, and leaves a report for its owner."""

import argparse
import contextlib
import datetime as dt
import hashlib
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from speakerd.boards import firmware_lines
from speakerd.errors import SettingsError, SpeakerdError
from speakerd.host import card, service
from speakerd.host.card import KEY, REPORT
from speakerd.live.key import clean_key
from speakerd.provision import hat, preseed
from speakerd.provision.boot import COMPLAINT, Boot
from speakerd.provision.steps import Run, System
from speakerd.provision.whole import settle, write
from speakerd.set_up.store import Store
from speakerd.settings import load
from speakerd.sound.devices import Device, devices
from speakerd.yaml_file import LOOKS_LIKE_A_KEY

SETTINGS = "speakerd.yaml"

NAMES = (preseed.NAME, SETTINGS, KEY)
"""What an owner writes."""

DROP_IN = "40-card.yaml"
"""Before what `speakerd setup` writes, so that what was said later, on the machine itself, wins."""

ELSEWHERE = "give it as the credential gemini-api-key or in the variable GEMINI_API_KEY"
"""What speakerd.mistakes says of a key among the settings, to somebody who has a shell."""

SOUND = f"Sound cards, as microphone.device and speaker.device in {SETTINGS} name them:"

NO_SOUND = "none: plug one in at USB, or name the board on the pins at panel.board, and start the speaker again"

UNREADABLE = (
    "the card: its part BOOTFS cannot be read, so nothing on it was taken in; let a computer check it for errors, "
    "or use another card"
)

FORGETFUL = (
    "the card: it keeps nothing of what the speaker stores, so your files stay on it and are taken in at each start; "
    "use another card"
)

EXAMPLES = {
    "rpi-preseed.example.toml": (preseed.NAME, "4baf7150c39600c75e36fa50d0eae356732c128c230a667950fe228268e4864e"),
    "speakerd.example.yaml": (SETTINGS, "093158cab684501cf22103cfc1e22254c0c89fede954803fad4d197a9f51fbb3"),
}
"""What lies on the card to be copied: what the copy is called, and the SHA-256 of the text."""

STATE = "state"
"""Below the root: where the initramfs mounts what the card keeps."""

UNFORESEEN = "here the speaker came upon something that nobody foresaw; please report it"

STARTED = Path("var/lib/speakerd-provision/started-for-hat")
"""Below the root: for which lines it starts once more. A card that forgets them must not be started for ever."""

OFF_AND_ON = "it counts from the next start; switch the speaker off and on"

RESTART = ["systemctl", "--no-block", "reboot"]

STEP_S = 60
"""How long a program of the system may take."""


@dataclass
class Taken:
    """What came of it, in words for the owner."""

    done: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    needs_restart: bool = False
    """Whether something was written just now that the firmware reads, and so counts from the next start."""

    def __str__(self) -> str:
        """Return the report, without its head."""
        lines = []
        if self.mistakes:
            lines += [COMPLAINT, ""]
            lines += [f"  ! {text}" for text in self.mistakes] + [""]
        lines += [f"  - {text}" for text in self.done or ([] if self.mistakes else ["there is nothing to mend"])]
        return "\n".join(lines).rstrip() + "\n"

    def attempt(self, what: str, step: Callable[[], None]) -> None:
        """Do a step; what keeps it from its end is a mistake like others."""
        try:
            step()
        except Exception as error:  # noqa: BLE001
            # The last resort, for what is foreseen is told where it happens. Nobody sees a program end on a speaker:
            # its owner must learn of it, and what stands beside it must be taken in. What the exception says is left
            # out, since there may be a secret in it.
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__}, {Path(place.filename).name} line {place.lineno}"
            self.mistakes.append(f"{what}: {UNFORESEEN} ({where})")


class Provision:
    """One look at the card."""

    def __init__(self, boot: Boot, root: Path, run: Run) -> None:
        """Prepare; what is written goes below ``root``."""
        self._boot = boot
        self._run = run
        self._root = root
        self._file = root / "etc" / "speakerd" / "speakerd.yaml"
        self._drop_in = self._file.with_name(f"{self._file.name}.d") / DROP_IN
        self._taken = Taken()

    def take_in(self) -> Taken:
        """Take in what there is; what has mistakes is left as it is, and so is all that was in force before."""
        if not self._boot.is_there:
            self._taken.mistakes.append(UNREADABLE)
            return self._taken
        self._taken.attempt("the card", self._boot.make_room)
        if is_in_memory(self._root / STATE):
            self._taken.mistakes.append(FORGETFUL)
        for name, take in (
            (preseed.NAME, self._take_preseed),
            (SETTINGS, self._take_settings),
            (KEY, self._take_key),
        ):
            self._taken.attempt(name, partial(self._take, name, take))
        self._taken.attempt("the card", self._tell_examples)
        self._taken.attempt("the card", self._tell_slips)
        self._taken.attempt(SETTINGS, self._forget_settings)
        self._taken.attempt("panel.board", self._tell_firmware)
        return self._taken

    @property
    def lacks_key(self) -> bool:
        """Whether there is nothing to open the service with, and nothing was said of that yet."""
        if not self._boot.is_there or any(KEY in text for text in self._taken.mistakes):
            return False
        if Store(self._file, self._root / "etc").has_key:
            return False
        try:
            return not load(self._file).live.token.given
        except SettingsError:
            return True

    def _take(self, name: str, take: Callable[[Path, str], bool]) -> None:
        files = self._boot.find(name)
        if name != SETTINGS:  # which are never wiped
            files = [file for file in files if not self._boot.is_wiped(file)]
        if not files:
            return
        file = files[0]
        try:
            texts = {self._boot.read(each) for each in files}
            if len(texts) > 1:
                raise ValueError(f"there is also {files[1].name}, which says something else; keep one of the two")
            is_secret = take(file, texts.pop())
        except (ValueError, SettingsError) as error:
            lines = error.problems if isinstance(error, SettingsError) else str(error).splitlines()
            self._taken.mistakes += [f"{file.name}: {line}" for line in lines]
            return
        except (OSError, SpeakerdError) as error:
            self._taken.mistakes.append(f"{file.name}: it could not be taken in: {error}")
            return
        if is_secret and not is_in_memory(self._root / STATE) and self._is_kept(file):
            for each in files:
                self._wipe(each)

    def _is_kept(self, file: Path) -> bool:
        """Wait until all that was written is on the card, by whatever program; a power cut cannot undo it then."""
        try:
            if (self._root / STATE).exists():
                self._run(["sync", "--file-system", f"/{STATE}"], "")  # which, unlike sync(2), tells of errors
        except OSError as error:
            self._taken.mistakes.append(
                f"{file.name}: it was taken in, but the card does not keep it ({error}); use another card"
            )
            return False
        return True

    def _tell_examples(self) -> None:
        for example, (name, digest) in EXAMPLES.items():
            for file in self._boot.find(example):
                try:
                    is_ours = hashlib.sha256(self._boot.read(file).strip().encode()).hexdigest() == digest
                except ValueError:  # too long for what it was
                    is_ours = False
                if not is_ours:
                    self._taken.mistakes.append(
                        f"{file.name}: you changed the example, which nothing reads; save it as {name}, "
                        "and remove the example"
                    )

    def _tell_slips(self) -> None:
        read = [file for name in (*NAMES, *EXAMPLES) for file in self._boot.find(name)]
        keys = {name for name, file in self._boot.matching(LOOKS_LIKE_A_KEY).items() if file not in read}
        for name in sorted(keys):
            self._taken.mistakes.append(
                f"{name}: what looks like an API key is in it, and nothing reads a file of this name; "
                f"save it as {KEY}, and remove this one"
            )
        for slip, meant in self._boot.slips(NAMES).items():
            if slip not in keys:
                self._taken.mistakes.append(f"{slip}: nothing reads a file of this name; it may have to be {meant}")

    def _wipe(self, file: Path) -> None:
        try:
            self._boot.wipe(file)
        except OSError as error:
            self._taken.mistakes.append(
                f"{file.name}: it was taken in, but it cannot be removed ({error.strerror}); "
                "please remove it yourself, for there are secrets in it"
            )
        else:
            self._taken.done.append(f"{file.name} was removed, for there were secrets in it")

    def _take_preseed(self, file: Path, text: str) -> bool:
        if LOOKS_LIKE_A_KEY.search(text):
            raise ValueError(f"an API key does not belong in this file; put it into {KEY}")
        told = preseed.parse(text)
        self._taken.done += System(self._root, self._run).take(told)
        self._taken.done += told.unused
        return True

    def _forget_settings(self) -> None:
        """Let the settings count no more whose file was removed; one with a name much like it is a slip."""
        drop_in = self._drop_in
        if drop_in.exists() and not self._boot.find(SETTINGS) and SETTINGS not in self._boot.slips(NAMES).values():
            drop_in.unlink()
            settle(drop_in.parent)
            self._taken.done.append(f"{SETTINGS} was removed, so what was set in it counts no more")

    def _take_settings(self, file: Path, text: str) -> bool:
        """Put the file in force; it stays where it is, to be changed again."""
        drop_in, drop_ins = self._drop_in, self._drop_in.parent
        if drop_in.exists() and drop_in.read_bytes() == text.encode():
            return False
        drop_ins.mkdir(parents=True, exist_ok=True)
        self._try(drop_ins, text)
        write(drop_in, text.encode())
        self._taken.done.append(f"the settings in {file.name} are in force")
        return False

    def _try(self, drop_ins: Path, text: str) -> None:
        """See whether these would be good settings, beside all the others, before a power cut could leave them.

        Raises:
            SettingsError: they have mistakes.
        """
        with tempfile.TemporaryDirectory() as directory:
            for other in drop_ins.glob("*.yaml"):
                (Path(directory) / other.name).symlink_to(other.absolute())
            tried = Path(directory) / DROP_IN
            tried.unlink(missing_ok=True)
            tried.write_text(text, encoding="utf-8")
            try:
                load(self._file, Path(directory))
            except SettingsError as error:
                raise SettingsError([_told(problem, tried, drop_ins) for problem in error.problems]) from None

    def _tell_firmware(self) -> None:
        """Let the firmware know the board that the settings in force name."""
        try:
            board = load(self._file).panel.board
            lines = firmware_lines(board, self._file.with_name("boards")) if board else []
        except SettingsError:
            return  # the speaker itself tells what is wrong with them; until then all stays as it is
        try:
            done = hat.tell(self._boot, board, lines)
        except (OSError, ValueError) as error:
            self._taken.mistakes.append(f"panel.board: {error}")
            return
        if done and is_in_memory(self._root / STATE):
            self._taken.done.append(f"{done}; {OFF_AND_ON}")
            return
        started, wanted = self._root / STARTED, "\n".join(lines).encode()
        if done is None:
            started.unlink(missing_ok=True)
        elif started.exists() and started.read_bytes() == wanted:
            self._taken.mistakes.append(f"{hat.FILE}: the card does not keep what is written on it; use another one")
        else:
            write(started, wanted)
            self._taken.done.append(f"{done}; the speaker starts once more by itself, so that it counts")
            self._taken.needs_restart = True

    def _take_key(self, file: Path, text: str) -> bool:
        key = clean_key(text, file.name)
        why = Store(self._file, self._root / "etc").keep_key(key)
        if why is not None:
            with contextlib.suppress(OSError):  # the next boot reads the unit's drop-in anyway
                self._run(["systemctl", "daemon-reload"], "")
        stored = "encrypted for this card" if why is None else f"but not encrypted: {why}"
        self._taken.done.append(f"the key is stored, {stored}")
        return True


def is_in_memory(state: Path) -> bool:
    """Say whether what is stored is lost with the power: the initramfs mounts a tmpfs where the disk is of no use."""
    if not state.exists():
        return False  # a system that stores elsewhere
    device = state.stat().st_dev
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    number = f"{os.major(device)}:{os.minor(device)}"
    return "tmpfs" in [mount[mount.index("-") + 1] for mount in mounts if mount[2] == number]


def _told(problem: str, tried: Path, drop_ins: Path) -> str:
    """Return what is wrong with the settings in words for somebody who sees the card's own part only."""
    problem = problem.replace(ELSEWHERE, f"put it into {KEY}")
    if not problem.startswith(f"{tried}:"):
        return problem.replace(str(tried.parent), str(drop_ins))
    said = problem.removeprefix(f"{tried}:").strip()
    return f"line {said}" if said[:1].isdigit() else said


def main() -> int:
    """Take in what is new; return 1 where the owner has something to mend."""
    parser = argparse.ArgumentParser(prog="python -m speakerd.provision", description=__doc__)
    parser.add_argument(
        "--boot", type=Path, default=Path("/boot/firmware"), metavar="DIR", help="the card's own part"
    )
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="where its system is; / else")
    arguments = parser.parse_args()
    boot = Boot(arguments.boot, partial(_writable, arguments.boot), partial(_room, arguments.boot))
    provision = Provision(boot, arguments.root, run)
    taken = provision.take_in()
    taken.attempt(KEY, lambda: miss_key(provision, taken))
    directory = Path(os.environ.get("RUNTIME_DIRECTORY", card.DIRECTORY))
    tell(boot, taken, directory)
    for text in taken.done:
        print(text, flush=True)
    # What remains of the free space is nothing that the speaker waits for; where it starts once more, the next start
    # ends it.
    ready = partial(service.tell, "READY=1")
    for step in (partial(start_again, taken, run), ready, partial(sweep, boot, taken)):
        said = str(taken)
        taken.attempt("the card", step)
        if str(taken) != said:
            tell(boot, taken, directory)
    for text in taken.mistakes:
        print(text, file=sys.stderr)
    return int(bool(taken.mistakes))


def miss_key(provision: Provision, taken: Taken) -> None:
    """Tell that there is no key, where there is none."""
    if provision.lacks_key:
        taken.mistakes.append(f"{KEY}: there is no such file, and no key yet; without one nobody answers")


def tell(boot: Boot, taken: Taken, directory: Path) -> None:
    """Tell the owner, and the speaker, what came of it."""
    taken.attempt(REPORT, lambda: leave(boot, taken, devices()))
    tell_speaker(taken.mistakes, directory)


def sweep(boot: Boot, taken: Taken) -> None:
    """Overwrite the free space where something was wiped; that this fails is a mistake like others."""
    try:
        boot.sweep()
    except OSError as error:
        taken.mistakes.append(f"the card: its free space cannot be overwritten ({error.strerror}); use another card")


def start_again(taken: Taken, run: Run) -> None:
    """Start once more where the firmware must read something; that this fails is a mistake like others."""
    if taken.needs_restart and (mistake := restart(run)):
        taken.mistakes.append(mistake)


def restart(run: Run) -> str | None:
    """Ask for one more start; return what the owner must do where that fails."""
    try:
        run(RESTART, "")
    except OSError as error:
        return f"{hat.FILE}: {OFF_AND_ON}, for it cannot itself: {error}"
    return None


def leave(boot: Boot, taken: Taken, sound: Sequence[Device]) -> None:
    """Leave a report for the owner where there is something new; that this fails is a mistake like others."""
    if not boot.is_there:
        return
    before = boot.said().partition(SOUND)[0]
    # What was done at an earlier boot is worth more than that nothing is new; mistakes of then may be mended.
    is_new = taken.done or taken.mistakes or COMPLAINT in before or not before.strip()
    news = str(taken) if is_new else before
    head = f"speakerd read this card on {dt.datetime.now().astimezone():%Y-%m-%d %H:%M} (its clock may be wrong)."
    try:
        boot.report(head, f"{news.rstrip()}\n\n{SOUND}\n\n{sound_cards(sound)}")
    except OSError as error:
        why = (
            f"{REPORT}: no report can be left ({error.strerror}); make room on the card, or see whether it is locked"
        )
        taken.mistakes += [why] if why not in taken.mistakes else []


def sound_cards(sound: Sequence[Device]) -> str:
    """Return a line for each sound card, with the name that the settings know it by; else what to do."""
    lines = [
        f"{device.name}: {' and '.join(_uses(device))}" for device in sound if device.name.startswith("plughw:CARD=")
    ]
    return "".join(f"  - {line}\n" for line in lines or [NO_SOUND])


def _uses(device: Device) -> list[str]:
    return ["microphone"] * device.microphone + ["loudspeaker"] * device.speaker


def tell_speaker(mistakes: Sequence[str], directory: Path) -> None:
    """Leave the mistakes where the speaker finds them when it starts; it shows and says that there are some."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    file = directory / card.MISTAKES
    write(file, "".join(f"{text}\n" for text in mistakes).encode())


def run(command: Sequence[str], told: str) -> None:
    """Run a program of the system.

    Raises:
        OSError: it failed; the text has its last words, and nothing of what it was told.
    """
    try:
        done = subprocess.run(
            command, input=told, capture_output=True, text=True, timeout=STEP_S, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} does not come to an end") from error
    if done.returncode != 0:
        raise OSError(f"{command[0]} says: {' '.join(done.stderr.split())[-200:] or f'status {done.returncode}'}")


@contextlib.contextmanager
def _writable(directory: Path) -> Iterator[None]:
    """Make the card's own part writable for the block, where it is a part of its own."""
    with contextlib.suppress(OSError):
        run(["mount", "-o", "remount,rw", str(directory)], "")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            run(["mount", "-o", "remount,ro", str(directory)], "")


def _room(directory: Path) -> int:
    """Return how many bytes are free in the card's own part, where it is a part of its own."""
    about = os.statvfs(directory)
    return about.f_bavail * about.f_frsize if directory.is_mount() else 0
