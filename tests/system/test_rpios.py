"""What rpi-image-gen reads, and the card that genimage lays out from it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

IMAGE = Path(__file__).parents[2] / "image"
RPIOS = IMAGE / "rpios"
STAND_IN = """\
#!/bin/sh
# Takes the words of rpi-image-gen, and leaves a card and a system of one package where they say.
set -eu
printf '%s\\n' "$@" >"${0%/*}/words"
for word; do
    case $word in IGconf_*) eval "${word%%=*}=\\${word#*=}" ;; esac
done
mkdir -p "$IGconf_target_path/var/lib/dpkg"
cat >"$IGconf_target_path/var/lib/dpkg/status" <<END
Package: dpkg
Status: install ok installed
Architecture: arm64
Version: 1.22.21
Maintainer: Dpkg Developers <debian-dpkg@lists.debian.org>
Description: package manager
END
truncate -s 1M "$IGconf_image_outputdir/$IGconf_image_name.img"
"""

TOOLS = ("genimage", "mcopy", "mdir", "mkdosfs", "mke2fs", "sfdisk", "debugfs")


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out a card with a system of a few files, as rpi-image-gen lets genimage do it."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    assert not missing, f"no {', '.join(missing)}; run: apt-get install genimage mtools dosfstools e2fsprogs fdisk"
    work = tmp_path_factory.mktemp("card")
    firmware = work / "root" / "boot" / "firmware"
    (firmware / "overlays").mkdir(parents=True)
    for name in ("kernel8.img", "initramfs8", "bcm2710-rpi-3-b.dtb", "start.elf", "cmdline.txt", "overlays/one.dtbo"):
        (firmware / name).write_text("x")
    (work / "root" / "etc").mkdir()
    shutil.copy(IMAGE / "overlay" / "etc" / "fstab", work / "root" / "etc")
    (work / "output").mkdir()
    variables = {
        "IGconf_image_name": "speakerd-1-rpios",
        "IGconf_image_suffix": "img",
        "IGconf_image_root_part_size": "32M",
    }
    _run(RPIOS / "image" / "pre-image.sh", "root", "output", cwd=work, env=os.environ | variables)
    directories = ("--rootpath", "root", "--tmppath", "tmp", "--inputpath", "output", "--outputpath", "output")
    _run("genimage", *directories, "--config", "output/genimage.cfg", cwd=work)
    return work / "output" / "speakerd-1-rpios.img"


def test_both_bases_have_the_same_packages() -> None:
    """The list that Raspberry Pi's tool reads is the one from which the card of the tests is made."""
    layer = yaml.safe_load((RPIOS / "layer" / "speakerd.yaml").read_text())
    lines = (IMAGE / "packages.txt").read_text().splitlines()

    assert layer["mmdebstrap"]["packages"] == [line for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(
    "line", ["os_prefix=a/", "arm_64bit=1", "kernel=kernel8.img", "initramfs initramfs8 followkernel"]
)
def test_the_firmware_is_told_the_same_of_both_bases(line: str) -> None:
    """Both cards name the system that starts, its kernel and its initramfs alike."""
    for file in (RPIOS / "image" / "config.txt", IMAGE / "debian" / "config.txt"):
        assert line in file.read_text().splitlines()


def test_the_card_has_four_partitions(card: Path) -> None:
    """The firmware and the owner's files, two systems of one size, and the state, in an MBR."""
    table = _run("sfdisk", "--dump", card).splitlines()

    assert "label: dos" in table
    sizes = [int(line.split("size=")[1].split(",")[0]) for line in table if "size=" in line and "start=" in line]
    assert [size // 2048 for size in sizes] == [512, 32, 32, 64]


def test_the_firmware_finds_the_system_in_a_directory(card: Path) -> None:
    """All that belongs to one system is in a/, and its command line names the root of this very card, read-only."""
    fat = f"{card}@@{4 << 20}"
    assert set(_run("mdir", "-b", "-i", fat, "::").split()) >= {
        "::/a/",
        "::/config.txt",
        "::/hat.txt",
        "::/start.elf",
    }
    assert set(_run("mdir", "-b", "-i", fat, "::a").split()) == {
        f"::/a/{name}" for name in ("bcm2710-rpi-3-b.dtb", "cmdline.txt", "initramfs8", "kernel8.img", "overlays/")
    }
    assert "::/a/overlays/README" in _run("mdir", "-b", "-i", fat, "::a/overlays").split()

    label = next(line for line in _run("sfdisk", "--dump", card).splitlines() if line.startswith("label-id: 0x"))
    words = _run("mtype", "-i", fat, "::a/cmdline.txt").split()
    assert f"root=PARTUUID={label.removeprefix('label-id: 0x')}-02" in words
    assert "ro" in words


def test_the_owners_part_may_be_renamed(card: Path) -> None:
    """The system finds the FAT partition by the card that it is on, and not by a name that any computer changes."""
    label = next(line for line in _run("sfdisk", "--dump", card).splitlines() if line.startswith("label-id: 0x"))
    lines = _run("debugfs", "-R", "cat /etc/fstab", card.with_name("root-a.ext4")).splitlines()

    assert [line.split()[0] for line in lines if " /boot/firmware " in line and line[0] != "#"] == [
        f"PARTUUID={label.removeprefix('label-id: 0x')}-01"
    ]


def test_the_state_of_a_new_card_is_marked(card: Path) -> None:
    """The marker by which the card knows an empty state from a lost one is there, and nothing else."""
    state = card.with_name("state.ext4")

    names = [line.split("/")[5] for line in _run("debugfs", "-R", "ls -p", state).splitlines() if line]
    assert set(names) == {".", "..", "lost+found", "as-flashed"}


def test_without_rpi_image_gen_it_says_what_to_do(tmp_path: Path) -> None:
    """Whoever asks for this card without the tool that builds it is told how to have it."""
    done = _build("rpios", tmp_path, {})

    assert done.returncode == 1
    assert "make image BASE=rpios RPI_IMAGE_GEN=DIRECTORY" in done.stderr
    assert "git clone https://github.com/raspberrypi/rpi-image-gen" in done.stderr


def test_one_command_makes_the_card_and_its_papers(tmp_path: Path) -> None:
    """The card is built from our layers, and has beside it what that of the other base has."""
    tool = tmp_path / "rpi-image-gen"
    tool.mkdir()
    (tool / "rpi-image-gen").write_text(STAND_IN)
    (tool / "rpi-image-gen").chmod(0o755)
    package = tmp_path / "speakerd.deb"
    (tmp_path / "tree" / "DEBIAN").mkdir(parents=True)
    (tmp_path / "tree" / "DEBIAN" / "control").write_text(
        "Package: speakerd\nVersion: 7.8\nArchitecture: arm64\nMaintainer: us\nDescription: a speaker\n"
    )
    _run("dpkg-deb", "--root-owner-group", "--build", tmp_path / "tree", package)

    done = _build("rpios", package, {"RPI_IMAGE_GEN": str(tool), "OUTPUT": str(tmp_path / "out")})

    assert done.returncode == 0, done.stderr
    image = tmp_path / "out" / "speakerd-7.8-rpios.img"
    assert done.stdout.splitlines() == [str(image)]
    _run(IMAGE / "pack", image, "--url", "https://example.org/cards")
    words = (tool / "words").read_text().splitlines()
    assert words[:4] == ["build", "-S", str(RPIOS), "-B"]
    assert words[5:8] == ["-c", "speakerd.yaml", "--"]
    assert {f"IGconf_speakerd_package={package}", "IGconf_image_name=speakerd-7.8-rpios"} <= set(words[8:])
    ends = ("img", "img.xz", "img.xz.sha256", "img.bmap", "cdx.json", "buildinfo", "rpi-imager-manifest", "svg")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {f"speakerd-7.8-rpios.{end}" for end in ends}
    assert "rpi-image-gen: of no commit" in (tmp_path / "out" / "speakerd-7.8-rpios.buildinfo").read_text()
    entry = (tmp_path / "out" / "speakerd-7.8-rpios.rpi-imager-manifest").read_text()
    assert "https://example.org/cards/speakerd-7.8-rpios.img.xz" in entry
    assert "pkg:deb/debian/dpkg@1.22.21" in (tmp_path / "out" / "speakerd-7.8-rpios.cdx.json").read_text()


def _build(base: str, package: Path, places: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "RPI_IMAGE_GEN"}
    command: list[str | Path] = [IMAGE / "build", base, package]
    return subprocess.run(command, env=environment | places, capture_output=True, text=True, check=False)


def _run(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd, env=env).stdout
