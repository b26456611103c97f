"""From card to kitchen: what the page promises is there."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from speakerd.cli import main
from speakerd.host import card
from speakerd.panel.light import PATTERNS, Rhythm
from speakerd.provision import preseed
from speakerd.provision.provision import SETTINGS
from speakerd.settings import Settings, load
from speakerd.state import State

CHECKOUT = Path(__file__).parents[2]
FILE = CHECKOUT / "docs" / "from-card-to-kitchen.md"
PAGE = FILE.read_text(encoding="utf-8")

RHYTHMS = {
    Rhythm.OFF: "off",
    Rhythm.STEADY: "steady",
    Rhythm.FAST_BLINK: "fast blink",
    Rhythm.SLOW_PULSE: "slow pulse",
    Rhythm.QUICK_PULSE: "quick pulse",
    Rhythm.BREATHING: "breathing",
    Rhythm.ONE_FLASH: "one flash",
    Rhythm.TWO_FLASHES: "two flashes",
    Rhythm.THREE_FLASHES: "three flashes",
}

HEADER = {17: 11, 27: 13}
"""GPIO numbers and their pins of the 40-pin header (https://pinout.xyz)."""

GROUND = {6, 9, 14, 20, 25, 30, 34, 39}
"""The pins of the header that are ground."""


def _table(heading: str) -> list[list[str]]:
    """Return the cells of the table that begins with this heading, a list for each row."""
    rows = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows]


def _blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def test_the_light_means_what_the_page_says() -> None:
    """Every state is there, with the light that the panel really shows."""
    told = {state: (single, colours) for state, single, colours, _ in _table("state")}

    shown = {}
    for state, pattern in PATTERNS.items():
        rhythm = RHYTHMS[pattern.rgb]
        colours = rhythm if pattern.colour == "off" else f"{pattern.colour}, {rhythm}"
        shown[state.value] = (RHYTHMS[pattern.single], colours)
    assert told == shown
    assert set(told) == {state.value for state in State}


def test_every_board_has_its_row() -> None:
    """All boards that have settings are in the table, with the lines that their files name."""
    told = {
        cells[0].strip("`"): set(re.findall(r"`([^`]+)`", cells[2])) for cells in _table("sound card (`panel.board`)")
    }

    files = sorted((CHECKOUT / "config" / "boards").glob("*.yaml"))
    assert told == {
        file.stem: set(re.findall(r"^# config.txt: (.+)$", file.read_text(), re.MULTILINE)) for file in files
    }


def test_every_sentence_that_it_says_is_explained() -> None:
    """Whoever hears the speaker complain finds these very words."""
    notices = yaml.safe_load((CHECKOUT / "speakerd" / "sound" / "notices.yaml").read_text(encoding="utf-8"))["en"]

    assert {cells[0].strip('"') for cells in _table("it says")} == set(notices.values()) - {notices["voice"]}


def test_the_advice_is_the_catalogs() -> None:
    """What the page says of an event is what the journal says of it, word for word."""
    events = yaml.safe_load((CHECKOUT / "speakerd" / "host" / "events.yaml").read_text(encoding="utf-8"))
    advice = {event["title"]: " ".join(event["do"].split()) for event in events.values() if "do" in event}

    rows = _table("what happened")
    assert len(rows) > 5
    for title, do in rows:
        assert advice[title] == do


def test_the_settings_are_settings(tmp_path: Path) -> None:
    """What is to be copied is taken without a complaint."""
    file = tmp_path / "speakerd.yaml"
    (text,) = _blocks("yaml")
    file.write_text(text)

    assert load(file).panel.board == "button-led"


@pytest.mark.parametrize("name", ["assistant", "microphone.device", "panel.board"])
def test_the_settings_that_are_named_exist(name: str) -> None:
    """A name of a setting in the text is one that there is."""
    assert f"`{name}`" in PAGE
    at: object = Settings()
    for part in name.split("."):
        at = getattr(at, part)


def test_the_network_is_taken() -> None:
    """What is to be copied for the Wi-Fi is valid."""
    (text,) = _blocks("toml")

    told = preseed.parse(text)
    assert told.unused == []
    assert told.wlan is not None


def test_the_files_on_the_card_are_those() -> None:
    """The names under which the speaker looks for files, and the examples, are those of the page."""
    told = set(re.findall(r"`([a-z-]+(?:\.example)?\.(?:txt|yaml|toml))`", PAGE))

    examples = {file.name for file in (CHECKOUT / "image" / "boot").iterdir()}
    assert told - examples == {SETTINGS, card.KEY, preseed.NAME, card.REPORT, "config.txt"}
    assert "-n BOOTFS " in (CHECKOUT / "image" / "debian" / "card").read_text()


def test_the_targets_exist() -> None:
    """Each `make` of the page is one of the Makefile's."""
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    told = set(
        re.findall(r"\bmake ([a-z-]+)", "\n".join(_blocks("console")) + " ".join(re.findall(r"`[^`]+`", PAGE)))
    )
    assert "image" in told
    assert told <= targets


@pytest.mark.parametrize("command", ["devices", "doctor"])
def test_the_commands_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command of the page is one of the program's, and no other is named."""
    assert set(re.findall(r"speakerd ([a-z]+)`", PAGE)) == {"devices", "doctor"}
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert command in capsys.readouterr().out


def test_links_within_the_project_lead_somewhere() -> None:
    """No link of the page is dead, and the README leads to the page."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGE):
        assert (FILE.parent / target).exists()
    assert "(docs/from-card-to-kitchen.md)" in (CHECKOUT / "README.md").read_text(encoding="utf-8")


def test_the_drawing_is_the_board() -> None:
    """The wires of the drawing begin at the pins that the board button-led names, and at ground."""
    root = ET.parse(FILE.with_name("wiring.svg")).getroot()
    shapes = {shape.get("id"): shape for shape in root.iter() if shape.get("id")}
    pins = {(shapes[f"pin-{n}"].get("cx"), shapes[f"pin-{n}"].get("cy")): n for n in range(1, 41)}
    board = yaml.safe_load((CHECKOUT / "config" / "boards" / "button-led.yaml").read_text())["panel"]

    def pin_of(wire: str) -> int:
        begin = re.match(r"M(\d+) (\d+) ", shapes[wire].get("d") or "")
        assert begin is not None
        return pins[begin[1], begin[2]]

    assert pin_of("button-signal") == HEADER[board["mute_button"]["pin"]]
    assert pin_of("light-signal") == HEADER[board["led"]["pin"]]
    assert {pin_of("button-ground"), pin_of("light-ground")} <= GROUND
    for gpio, pin in HEADER.items():
        assert f"GPIO {gpio} (pin {pin})" in PAGE.replace("\n", " ")
