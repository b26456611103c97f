"""Boards: an owner names the hardware, and its pins and devices are known."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from speakerd.boards import OWN, boards, firmware_lines
from speakerd.errors import SettingsError
from speakerd.settings import DEFAULT_FILE, Led, Panel, Settings, describe, load

SHIPPED = Path(__file__).parents[2] / "config" / "boards"
NAMES = sorted(file.stem for file in SHIPPED.iterdir())

NEEDED_ELSEWHERE = {
    0: "the ID EEPROM",
    1: "the ID EEPROM",
    2: "I2C, by which codecs are set up",
    3: "I2C, by which codecs are set up",
    **dict.fromkeys((18, 19, 20, 21), "I2S"),
}
"""See https://pinout.xyz/pinout/i2c and https://pinout.xyz/pinout/pcm."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "speakerd.yaml"


def own_board(file: Path, name: str, text: str) -> Path:
    """Put a board into the directory beside ``file`` that is its owner's."""
    directory = file.with_name("boards")
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.yaml"
    path.write_text(text, "utf-8")
    return path


def drop_in(file: Path, text: str) -> Path:
    directory = file.with_name(f"{file.name}.d")
    directory.mkdir()
    path = directory / "a.yaml"
    path.write_text(text, "utf-8")
    return path


def loaded(file: Path, text: str) -> Settings:
    file.write_text(text, "utf-8")
    return load(file)


def told(file: Path, text: str) -> list[str]:
    """Return what the owner is told about ``text`` in ``file``."""
    with pytest.raises(SettingsError) as caught:
        loaded(file, text)
    return caught.value.problems


def line_of(path: Path, text: str) -> int:
    """Return the number of the only line that holds just this, besides blanks."""
    (number,) = [
        number for number, line in enumerate(path.read_text("utf-8").splitlines(), 1) if line.strip() == text
    ]
    return number


def pins(panel: Panel) -> Iterator[int]:
    led, dotstar = panel.led, panel.led.dotstar
    lights = (led.pin, led.red, led.green, led.blue, dotstar.data, dotstar.clock)
    for pin in (panel.mute_button.pin, panel.mute_switch.pin, *lights):
        if pin is not None:
            yield pin


class TestShipped:
    """The boards that speakerd is delivered with."""

    @pytest.mark.parametrize("name", NAMES)
    def test_each_can_be_named_as_it_is(self, file: Path, name: str) -> None:
        """One line in the owner's file is enough."""
        assert loaded(file, f"panel: {{board: {name}}}\n").panel.board == name

    @pytest.mark.parametrize("name", NAMES)
    def test_each_says_what_it_is_and_how_it_is_known(self, name: str) -> None:
        """The first line is a summary, and where its pins and names come from can be looked up."""
        lines = (SHIPPED / f"{name}.yaml").read_text("utf-8").splitlines()
        assert re.fullmatch(r"# [A-Z].*[^.]", lines[0])
        assert any(line.lstrip().startswith("#") and "https://" in line for line in lines)

    @pytest.mark.parametrize("name", NAMES)
    def test_none_takes_pins_that_sound_needs(self, file: Path, name: str) -> None:
        """A button or a light on a pin of I2S, I2C or the ID EEPROM would cost the sound."""
        taken = list(pins(loaded(file, f"panel: {{board: {name}}}\n").panel))
        assert not set(taken) & NEEDED_ELSEWHERE.keys()
        assert len(set(taken)) == len(taken)

    @pytest.mark.parametrize("name", NAMES)
    def test_cards_are_named_by_their_id(self, file: Path, name: str) -> None:
        """The sound does not go elsewhere when another card is plugged in first."""
        settings = loaded(file, f"panel: {{board: {name}}}\n")
        for device in (settings.microphone.device, settings.speaker.device):
            # ALSA makes ids of 15 letters and digits at most.
            assert re.fullmatch(r"default|plughw:CARD=[A-Za-z][A-Za-z0-9]{0,14}", device)

    @pytest.mark.parametrize("name", NAMES)
    def test_lines_for_the_firmware_can_be_found_by_a_program(self, name: str) -> None:
        """What the board needs in config.txt stands behind that word, each line as it is written there."""
        lines = (SHIPPED / f"{name}.yaml").read_text("utf-8").splitlines()
        firmware = [line for line in lines if line.startswith("# config.txt:")]
        assert all(re.fullmatch(r"# config\.txt: (dtoverlay|dtparam|gpio)=[\w.,=-]+", line) for line in firmware)
        assert [f"# config.txt: {line}" for line in firmware_lines(name)] == firmware
        # https://www.raspberrypi.com/documentation/computers/config_txt.html#file-format
        assert all(len(line) <= 98 for line in firmware_lines(name))
        on_the_header = any("CARD=" in line for line in lines) and name != "aiy-voice-bonnet"  # that has an EEPROM
        assert bool(firmware) is on_the_header

    def test_the_colours_are_no_other_boards_pins(self, file: Path) -> None:
        """An RGB LED can be added to any of them."""
        colours = {getattr(loaded(file, "panel: {board: button-rgb}\n").panel.led, name) for name in Led.model_fields}
        for name in set(NAMES) - {"button-rgb"}:
            assert colours.isdisjoint(pins(loaded(file, f"panel: {{board: {name}}}\n").panel))

    @pytest.mark.parametrize(("name", "wires"), [("respeaker-2mic", (10, 11)), ("adafruit-voice-bonnet", (5, 6))])
    def test_lights_in_a_row_need_no_setting_of_the_owner(
        self, file: Path, name: str, wires: tuple[int, int]
    ) -> None:
        """Boards with DotStars name their wires, and an owner may prefer an LED."""
        led = loaded(file, f"panel: {{board: {name}}}\n").panel.led
        assert (led.dotstar.data, led.dotstar.clock, led.dotstar.count) == (*wires, 3)
        assert (led.given, led.coloured) == (True, True)
        (problem,) = told(file, f"panel: {{board: {name}, led: {{pin: 12}}}}\n")
        assert (
            "panel.led.pin: pin and dotstar must not both be set; panel.led.dotstar.data is set by the board"
            in problem
        )
        own = loaded(file, f"panel: {{board: {name}, led: {{pin: 12, dotstar: {{data: null, clock: null}}}}}}\n")
        assert (own.panel.led.given, own.panel.led.coloured) == (True, False)

    def test_they_come_with_an_installation(self, tmp_path: Path) -> None:
        """An installed speakerd, with no repository around it, has its boards inside the package."""
        package = tmp_path / "speakerd"
        shutil.copytree(
            SHIPPED.parents[1] / "speakerd",
            package,
            ignore=shutil.ignore_patterns("__pycache__", "simulate", "sound"),
        )
        shutil.copytree(SHIPPED, package / "config" / "boards")
        script = "import pathlib, speakerd.boards as b; print(b.__file__, len(b.boards(pathlib.Path('none'))))"
        run = [sys.executable, "-c", script]
        done = subprocess.run(run, check=True, capture_output=True, text=True, cwd=tmp_path)
        assert done.stdout.split() == [str(package / "boards.py"), str(len(NAMES))]


class TestPrecedence:
    """The owner has the last word."""

    def test_a_board_brings_its_settings(self, file: Path) -> None:
        """What the owner need not look up is there, and the rest stays at its default."""
        settings = loaded(file, "panel: {board: aiy-voice-hat}\n")
        assert (settings.panel.mute_button.pin, settings.panel.led.pin) == (23, 25)
        assert (settings.microphone.device, settings.microphone.channels) == ("plughw:CARD=sndrpigooglevoi", 2)
        assert settings.speaker.device == "plughw:CARD=sndrpigooglevoi"
        assert settings.assistant == Settings().assistant

    def test_what_the_owner_sets_wins_one_by_one(self, file: Path) -> None:
        """A value of the owner's replaces the board's and leaves the rest of the board alone."""
        settings = loaded(file, "panel:\n  board: button-led\n  mute_button:\n    pin: 5\nmicrophone:\n")
        assert (settings.panel.mute_button.pin, settings.panel.led.pin) == (5, 27)

    def test_a_drop_in_can_name_the_board(self, file: Path) -> None:
        """The board comes before every file of the owner's, whichever of them names it."""
        drop_in(file, "panel: {board: button-led}\n")
        settings = loaded(file, "panel: {board: button-rgb, mute_button: {pin: 4}}\n")
        assert (settings.panel.mute_button.pin, settings.panel.led.pin, settings.panel.led.red) == (4, 27, None)

    def test_null_takes_a_part_away(self, file: Path) -> None:
        """A broken light of a board can be switched off, and a board as a whole."""
        settings = loaded(file, "panel:\n  board: button-led\n  led: {pin: null}\n")
        assert list(pins(settings.panel)) == [17]
        drop_in(file, "panel: {board: null}\n")
        assert load(file).panel == Panel()

    def test_an_empty_section_takes_nothing_away(self, file: Path) -> None:
        """A section whose settings are all switched off with # leaves the board's as they are."""
        assert loaded(file, "panel:\n  board: button-led\n  led:\n    # pin: 5\n").panel.led.pin == 27

    def test_it_is_shown_what_comes_from_the_board(self, file: Path) -> None:
        """`speakerd config` names the line of the board's file, as it does for the owner's."""
        shown = describe(loaded(file, "panel:\n  board: button-led\n  mute_button: {bounce_ms: 20}\n")).splitlines()
        board = SHIPPED / "button-led.yaml"
        assert f"    pin: 27  # {board}:{line_of(board, 'pin: 27')}" in shown
        assert f"    bounce_ms: 20  # {file}:3" in shown
        assert f"  board: button-led  # {file}:2" in shown
        assert "    brightness: 100  # default" in shown


class TestUnknown:
    """A board that there is not."""

    def test_an_unknown_board_is_told_with_those_there_are(self, file: Path) -> None:
        """A typing mistake does not silently leave the speaker without a button."""
        (problem,) = told(file, "panel:\n  board: buton-led\n")
        start = f"{file}:2: panel.board: unknown board; did you mean button-led? (there is "
        assert problem == f"{start}{', '.join(NAMES)})"

    def test_one_like_no_other_is_told_as_well(self, file: Path) -> None:
        """Where no name is near, the owner still sees what can be chosen."""
        (problem,) = told(file, "panel: {board: xyz}\n")
        assert problem.startswith(f"{file}:1: panel.board: unknown board; choose another (there is adafruit-voice")

    def test_the_drop_in_that_names_it_is_told(self, file: Path) -> None:
        """The line is that of the file that decided."""
        path = drop_in(file, "# mine\npanel: {board: xyz}\n")
        (problem,) = told(file, "panel: {board: button-led}\n")
        assert problem.startswith(f"{path}:2: panel.board: unknown board")

    @pytest.mark.parametrize("name", ["../button-led", "/etc/passwd", "Button", "7", "[button-led]", "''", "true"])
    def test_what_is_no_name_is_not_looked_for(self, file: Path, name: str) -> None:
        """No file elsewhere can be named, and the message is that for any wrong value."""
        (problem,) = told(file, f"panel: {{board: {name}}}\n")
        assert problem.startswith(f"{file}:1: panel.board: expected text such as button-led or null, not ")

    def test_other_mistakes_are_told_along_with_it(self, file: Path) -> None:
        """One look at the list is enough to put everything right."""
        problems = told(file, "panel: {board: xyz}\nlog: {level: loud}\n")
        assert [line.split(": ")[1] for line in problems] == ["panel.board", "log.level"]


class TestOwn:
    """Boards that an owner writes."""

    def test_an_own_board_is_found_beside_the_settings(self, file: Path) -> None:
        """What the owner soldered has a name, too."""
        own_board(file, "kitchen", "# Mine\npanel: {mute_button: {pin: 22}}\n")
        assert loaded(file, "panel: {board: kitchen}\n").panel.mute_button.pin == 22

    def test_an_own_board_wins_over_a_shipped_one(self, file: Path) -> None:
        """A mistake in a shipped board can be put right, for it is not read at all then."""
        own_board(file, "button-led", "panel: {mute_button: {pin: 22}}\n")
        assert list(pins(loaded(file, "panel: {board: button-led}\n").panel)) == [22]

    def test_own_boards_are_listed_with_the_shipped_ones(self, file: Path) -> None:
        """`speakerd panel --boards` shows each with its first line, sorted, an own one in place of a shipped one."""
        own_board(file, "kitchen", "# The one in the kitchen\n# and more\n")
        own_board(file, "button-led", "panel: {mute_button: {pin: 22}}\n")
        own_board(file, "attic", "\xef# no comment first\n")
        own_board(file, "No Name", "# Nothing that panel.board could be\n")
        own_board(file, "notes", "# Not a board\n").rename(file.with_name("boards") / "notes.txt")
        (file.with_name("boards") / "dir.yaml").mkdir()
        os.mkfifo(file.with_name("boards") / "pipe.yaml")
        listed = boards(file.with_name("boards"))
        assert [name for name, _ in listed] == sorted({*NAMES, "kitchen", "attic", "dir", "pipe"})
        summaries = dict(listed)
        assert (summaries["kitchen"], summaries["attic"]) == ("The one in the kitchen", "")
        assert (summaries["dir"], summaries["pipe"]) == ("not a file", "not a file")
        assert summaries["button-led"] == ""
        assert summaries["button-rgb"].startswith("A button from GPIO 17")

    def test_own_boards_are_looked_for_beside_the_default_file(self) -> None:
        """The list and the settings speak of the same directory."""
        assert DEFAULT_FILE.with_name("boards") == OWN

    def test_a_mistake_in_a_board_is_told_with_its_line(self, file: Path) -> None:
        """The owner is not sent to the settings for what is wrong in the board."""
        board = own_board(file, "kitchen", "# Mine\npanel:\n  mute_button:\n    pinn: 22\n")
        assert told(file, "panel: {board: kitchen}\n") == [
            f"{board}:4: panel.mute_button.pinn: unknown setting; did you mean pin?"
        ]

    def test_a_board_that_is_no_yaml_is_told(self, file: Path) -> None:
        """A board that cannot be read is not taken for an empty one."""
        board = own_board(file, "kitchen", "panel: [\n")
        (problem,) = told(file, "panel: {board: kitchen}\n")
        assert problem.startswith(f"{board}:2: column 1: ")

    def test_a_board_cannot_name_a_board(self, file: Path) -> None:
        """What is in force can be told from two files."""
        board = own_board(file, "kitchen", "panel:\n  board: button-led\n")
        assert told(file, "panel: {board: kitchen}\n") == [
            f"{board}:2: panel.board: a board cannot name a board; remove it"
        ]

    def test_a_file_in_place_of_the_directory_is_told_when_it_matters(self, file: Path) -> None:
        """Boards that cannot be looked for are not taken for none; nobody looks where none is named."""
        file.with_name("boards").write_text("")
        assert loaded(file, "log: {level: debug}\n").log.level == "debug"
        (problem,) = told(file, "panel: {board: button-led}\n")
        assert problem == f"{file.with_name('boards')}: cannot be read: Not a directory; it must be a directory"


class TestContradictions:
    """An owner's setting that does not fit the board."""

    @pytest.mark.parametrize(
        ("text", "mine", "theirs"),
        [
            ("led: {red: 5, green: 6, blue: 7}", "panel.led.red: pin and red must not both be set", "panel.led.pin"),
            (
                "mute_switch: {pin: 5}",
                "panel.mute_switch.pin: mute_button and mute_switch must not both have a pin",
                "panel.mute_button.pin",
            ),
            (
                "mute_button: {pull: floating}",
                "panel.mute_button.pull: active must be low or high where pull is floating",
                None,
            ),
        ],
    )
    def test_both_lines_are_told(self, file: Path, text: str, mine: str, theirs: str | None) -> None:
        """The owner sees their own line first, and where the board says otherwise, if it does."""
        board = own_board(file, "kitchen", "panel:\n  led:\n    pin: 27\n  mute_button:\n    pin: 17\n    pull: up\n")
        line = {"panel.led.pin": 3, "panel.mute_button.pin": 5}
        (problem,) = told(file, f"panel:\n  board: kitchen\n  {text}\n")
        other = f"; {theirs} is set by the board, {board}:{line[theirs]}" if theirs else ""
        assert problem == f"{file}:3: {mine}{other}"

    def test_a_colour_taken_away_is_told_with_those_that_stay(self, file: Path) -> None:
        """An RGB LED has three colours; without one of them the other two are named."""
        board = SHIPPED / "button-rgb.yaml"
        (problem,) = told(file, "panel:\n  board: button-rgb\n  led:\n    green: null\n")
        words = f"{file}:4: panel.led.green: with red, green must be set as well"
        assert problem == f"{words}; panel.led.red is set by the board, {board}:{line_of(board, 'red: 12')}"

    def test_the_owners_own_contradiction_is_theirs_alone(self, file: Path) -> None:
        """A board is not blamed for a value of its own that the owner has replaced."""
        problems = told(file, "panel:\n  board: button-led\n  led: {pin: 5, red: 6, green: 7, blue: 8}\n")
        assert problems == [f"{file}:3: panel.led.pin: pin and red must not both be set"]

    def test_a_board_that_contradicts_itself_is_told_alone(self, file: Path) -> None:
        """The owner's settings are not blamed for what the board says twice."""
        board = own_board(file, "kitchen", "panel:\n  led:\n    pin: 27\n    red: 5\n    green: 6\n    blue: 7\n")
        assert told(file, "panel: {board: kitchen}\n") == [
            f"{board}:3: panel.led.pin: pin and red must not both be set"
        ]
