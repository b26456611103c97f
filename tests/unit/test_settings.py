"""The settings of a speaker: what an owner may write, and what they are told when it is wrong."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given
from hypothesis import settings as tries
from hypothesis import strategies as some
from pydantic import BaseModel

from speakerd.errors import SettingsError
from speakerd.mistakes import mistakes
from speakerd.settings import DEFAULT_FILE, Settings, describe, load, schema
from speakerd.yaml_file import read

KEY = "AIzaSyD-this_is_not_a_real_key_0123456789"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "speakerd.yaml"


def drop_in(file: Path, name: str, text: str) -> Path:
    """Put a file into the directory of drop-ins beside ``file``."""
    directory = file.with_name(f"{file.name}.d")
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(text, "utf-8")
    return path


def problems(file: Path, text: str | bytes | None = None) -> list[str]:
    """Return what the owner is told about ``text`` in ``file``, without the name of the file."""
    if text is not None:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    return [problem.removeprefix(str(file)).lstrip(": ") for problem in told(file)]


def told(file: Path) -> list[str]:
    """Return every line that the owner is told about ``file``; none if its settings are right."""
    try:
        load(file)
    except SettingsError as error:
        return error.problems
    return []


class TestFiles:
    """Which files are read, and in which order."""

    def test_what_is_not_set_keeps_its_default(self, file: Path) -> None:
        """One line in the file changes one setting."""
        file.write_text("assistant:\n  voice: Puck\n")
        expected = Settings().model_dump()
        expected["assistant"]["voice"] = "Puck"
        assert load(file).model_dump() == expected

    @pytest.mark.skipif(DEFAULT_FILE.exists(), reason="this machine has settings of its own")
    def test_a_speaker_without_a_file_has_the_defaults(self, tmp_path: Path) -> None:
        """Nobody has to write a file before the speaker works."""
        assert load(DEFAULT_FILE, tmp_path).model_dump() == Settings().model_dump()

    def test_a_file_given_by_hand_must_be_there(self, file: Path) -> None:
        """A typing mistake in a file's name does not silently give the defaults."""
        assert problems(file) == ["cannot be read: No such file or directory; check the name and the permissions"]

    def test_drop_ins_win_in_the_order_of_their_names(self, file: Path) -> None:
        """The last file wins, setting by setting, and leaves the rest of its section alone."""
        file.write_text("assistant: {voice: Puck, language: de-DE}\nlive: {retry: {first: 2.0, longest: 9}}\n")
        drop_in(file, "20-b.yaml", "assistant: {voice: Leda}\nlive: {retry: {first: 3.0}}\n")
        drop_in(file, "10-a.yaml", "assistant: {voice: Charon}\nlog:\n")
        drop_in(file, "30-c.yaml", "assistant:\n")
        drop_in(file, "30-c.yaml.bak", "assistant: {voice: Fenrir}\n")
        drop_in(file, ".hidden.yaml", "log: {level: error}\n")
        settings = load(file)
        assert (settings.assistant.voice, settings.assistant.language) == ("Leda", "de-DE")
        assert (settings.live.retry.first, settings.live.retry.longest) == (3.0, 9.0)
        assert settings.log.level == "info"

    def test_a_directory_of_drop_ins_given_by_hand_must_be_there(self, file: Path, tmp_path: Path) -> None:
        """A mistyped directory is not taken for an empty one."""
        file.write_text("log: {level: debug}\n")
        with pytest.raises(SettingsError, match="nowhere: cannot be read: No such file or directory"):
            load(file, tmp_path / "nowhere")

    def test_a_value_can_be_taken_back(self, file: Path) -> None:
        """A drop-in can set null where null is a value."""
        file.write_text("live: {base_url: 'https://127.0.0.1:8443'}\n")
        drop_in(file, "a.yaml", "live: {base_url: null}\n")
        assert load(file).live.base_url is None

    def test_all_mistakes_of_all_files_are_told_at_once(self, file: Path) -> None:
        """One look at the list is enough to put everything right, also what another file overrides."""
        second = drop_in(file, "b.yaml", "# a drop-in\nspeaker:\n  buffer_ms: 160\n  colour: red\n")
        first = drop_in(file, "a.yaml", "log: [\n")
        told = problems(file, "speaker:\n  prebuffer_ms: 5\n  buffer_ms: large\nlog:\n  level: loud\n")
        assert [line.partition(";")[0] for line in told] == [
            "2: speaker.prebuffer_ms: expected a whole number from 60 to 120, not the number 5",
            "3: speaker.buffer_ms: expected a whole number from 80 to 1000, not the text 'large'",
            "5: log.level: expected debug, info, warning or error, not the text 'loud'",
            f"{first}:2: column 1: expected the node content, but found '<stream end>'".removeprefix(str(file)),
            f"{second}:4: speaker.colour: unknown setting".removeprefix(str(file)),
        ]


class TestYaml:
    """What is understood as YAML."""

    def test_off_is_a_word(self, file: Path) -> None:
        """Nobody has to know that other YAML readers take off and yes for truth values."""
        file.write_text("echo: {mode: off}\nlisten: {gate: off}\nassistant: {voice: yes}\n")
        settings = load(file)
        assert (settings.echo.mode, settings.listen.gate, settings.assistant.voice) == ("off", "off", "yes")

    @pytest.mark.parametrize("word", ["true", "false"])
    def test_true_and_false_are_truth_values(self, file: Path, word: str) -> None:
        """The two words mean what they say."""
        file.write_text(f"assistant: {{transcripts: {word}}}\n")
        assert load(file).assistant.transcripts is (word == "true")

    @pytest.mark.parametrize("word", ["yes", "on", "off", "'true'", "1", "null"])
    def test_nothing_else_is_a_truth_value(self, file: Path, word: str) -> None:
        """A setting that is true or false is written so."""
        (told,) = problems(file, f"assistant:\n  transcripts: {word}\n")
        assert told.startswith("2: assistant.transcripts: expected true or false, not ")

    def test_a_section_may_be_empty(self, file: Path) -> None:
        """A section whose settings are all switched off with # is left at its defaults."""
        file.write_text("assistant:\n  # voice: Puck\nlive:\n  retry:\n")
        assert load(file).model_dump() == Settings().model_dump()

    def test_a_byte_order_mark_does_no_harm(self, file: Path) -> None:
        """A file saved by a Windows editor is read like any other."""
        file.write_bytes(b"\xef\xbb\xbflog:\r\n  level: debug\r\n")
        assert load(file).log.level == "debug"

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (b"", "is empty; "),
            (b" \n\n", "is empty; "),
            (b"log:\n  level: \xff\n", "2: is not UTF-8; "),
            (b"log:\n  level: 'info\n", "3: column 1: found unexpected end of stream; "),
            (b"log:\n\tlevel: info\n", "2: column 1: found character '\\t' that cannot start any token; "),
            (b"log:\n  level: info\x00\n", "2: a control character; "),
            (b"- log\n", "1: expected settings; "),
            (b"info\n", "1: expected settings; "),
            (b"log: {level: info}\n---\nlog: {}\n", "2: a second document begins here; "),
            (b"log: &a {}\necho: *a\n", "1: anchors and aliases (& and *) are not used here; "),
            (b"log:\n  level: !!str info\n", "2: tags (words that begin with !) are not used here; "),
            (b"log:\n  ? [a, b]\n  : c\n", "2: expected a name before the colon; "),
            (b"log:\n  level: '\\\n", "3: column 1: found unexpected end of stream; "),
            (b'log: {level: "\\ud800"}\n', "1: half a character (\\ud800 to \\udfff); "),
            (b'log: {level: "\\UFFFFFFFF"}\n', "a number after \\U or %YAML is out of range; "),
            (b"%YAML 1." + b"9" * 5000 + b"\n---\nlog:\n", "a number after \\U or %YAML is out of range; "),
            (b"log: " + b"[" * 60000, "1: more than 16 levels; "),
            (b"log: [" + b"1, " * 2000 + b"]", "1: more than 1000 values; "),
            (b"#" * 65537, "is longer than 65536 bytes; "),
        ],
    )
    def test_what_is_no_settings_file_is_told_in_one_line(self, file: Path, text: bytes, told: str) -> None:
        """Whatever is in the file, the owner is told the line and what to do."""
        (problem,) = problems(file, text)
        assert problem.startswith(told)

    def test_a_name_twice_is_a_mistake(self, file: Path) -> None:
        """Neither of two values is silently dropped."""
        text = "log:\n  level: info\n  level: debug\necho: {}\nlog: {format: text}\n"
        assert problems(file, text) == [
            "3: log.level: is set twice, first in line 2; keep one of the two",
            "5: log: is set twice, first in line 1; keep one of the two",
        ]

    def test_only_files_are_read(self, tmp_path: Path) -> None:
        """A directory, a pipe that nobody writes to and a socket are refused at once."""
        os.mkfifo(tmp_path / "pipe")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "socket"))
            for path in (tmp_path, tmp_path / "pipe", tmp_path / "socket"):
                assert problems(path) == ["is not a file; name a YAML file"]

    def test_a_file_that_may_not_be_read_is_told(self, file: Path) -> None:
        """Settings that cannot be read are not taken for none."""
        file.write_text("log: {level: debug}\n")
        file.chmod(0)
        # Root may read every file, unless it runs without the capability to.
        humble = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        check = [*humble, sys.executable, "-m", "speakerd", "check", "--config", str(file)]
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        words = "cannot be read: Permission denied; check the name and the permissions"
        assert (done.returncode, done.stderr) == (78, f"speakerd: {file}: {words}\n")


class TestMistakes:
    """What an owner is told about a wrong value."""

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("assistant:\n  voise: Puck", "2: assistant.voise: unknown setting; did you mean voice?"),
            ("asistant:\n  voice: Puck", "1: asistant: unknown setting; did you mean assistant?"),
            ("voice: Puck", "1: voice: unknown setting here; did you mean voice in assistant?"),
            ("live:\n  first: 2", "2: live.first: unknown setting here; did you mean first in live.retry?"),
            ("log:\n  mode: off", "2: log.mode: unknown setting here; did you mean mode in echo or listen?"),
            ("log:\n  'a b': 1", '2: log."…": unknown setting; remove it (there is level, format)'),
            ("log:\n  xyz: 1", "2: log.xyz: unknown setting; remove it (there is level, format)"),
            ("speaker: {loudness: 3}", "1: speaker.loudness: unknown setting; remove it (there is device, "),
            (
                "panel: {led: {pin: 54}}",
                "1: panel.led.pin: expected a whole number from 0 to 53 or null, not the number 54",
            ),
            ("panel: {led: {red: 5, pin: 4}}", "1: panel.led.pin: pin and red must not both be set"),
            ("panel: {led: {red: 5, blue: 6}}", "1: panel.led.red: with red, green must be set as well"),
            ("panel: {led: {dotstar: {data: 5}}}", "1: panel.led.dotstar.data: data and clock must both be set"),
            (
                "panel: {led: {pin: 4, dotstar: {data: 5, clock: 6}}}",
                "1: panel.led.pin: pin and dotstar must not both be set",
            ),
            (
                "panel: {mute_button: {pull: floating}}",
                "1: panel.mute_button.pull: active must be low or high where pull",
            ),
            (
                "quiet_hours: {begin: 24:00, end: 07:00}",
                "1: quiet_hours.begin: expected text such as 22:00 or null, not",
            ),
            ("quiet_hours: {begin: 22:00}", "1: quiet_hours.begin: begin and end must both be set, or neither"),
            ("echo: {mode: on}", "1: echo.mode: expected auto, cancel, half-duplex or off, not the text 'on'"),
            ("listen: {mode: wake}", "1: listen.mode: expected open (the only choice), not the text 'wake'"),
            ("listen: {gate: off, turns: local}", "1: listen.turns: turns: local needs gate: voice"),
            (
                "live: {turn_detection: {silence_ms: 2000}}",
                "1: live.turn_detection.silence_ms: listen.trailing_ms (1500) must be above",
            ),
            ("log: loud", "1: log: expected a section with settings (level, format), not the text 'loud'"),
            (
                "live: {api_version: 1}",
                "1: live.api_version: expected text such as v1beta or v1alpha, not the number 1; put it in quotes",
            ),
            (
                "live: {connect_timeout: '5'}",
                "1: live.connect_timeout: expected a number from 1 to 300, not the text '5'",
            ),
            (
                "live: {connect_timeout: .inf}",
                "1: live.connect_timeout: expected a number from 1 to 300, not the text",
            ),
            (
                "live: {connect_timeout: 1e999}",
                "1: live.connect_timeout: expected a number from 1 to 300, not the num",
            ),
            (
                "live: {connect_timeout: " + "9" * 5000 + "}",
                "1: live.connect_timeout: expected a number from 1 to 300, ",
            ),
            ("live: {send_ms: 30}", "1: live.send_ms: expected 20, 40, 60, 80 or 100, not the number 30"),
            (
                "live: {turn_detection: {silence_ms: -1}}",
                "1: live.turn_detection.silence_ms: expected a whole number ",
            ),
            (
                "live: {turn_detection: {end_sensitivity: mid}}",
                "1: live.turn_detection.end_sensitivity: expected high, low or null, not the text 'mid'",
            ),
            ("microphone: {channels: true}", "1: microphone.channels: expected a whole number from 1 to 8, not true"),
            ("microphone: {device: ''}", "1: microphone.device: expected text such as default or plughw:CARD=Device"),
            (
                "assistant: {language: german}",
                "1: assistant.language: expected text such as en-US or de-DE, not the ",
            ),
            ("assistant: {voice: [a]}", "1: assistant.voice: expected text such as Kore or Puck, not a list"),
            ("assistant: {instructions: null}", "1: assistant.instructions: expected text, not null"),
        ],
    )
    def test_a_mistake_is_told_in_plain_words(self, file: Path, text: str, told: str) -> None:
        """The line says where, what was expected, and what is there instead."""
        (problem,) = problems(file, text)
        assert problem.startswith(told)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (
                "live:\n  context:\n    target_tokens: 25000",
                "3: live.context.target_tokens: target_tokens (25000) must be below trigger_tokens (25000)",
            ),
            ("live: {retry: {longest: 0.5}}", "1: live.retry.longest: first (1) must not be above longest (0.5)"),
            (
                "microphone: {period_ms: 15}",
                "1: microphone.period_ms: live.send_ms (20) must be a multiple of microphone.period_ms (15)",
            ),
            (
                "speaker:\n  buffer_ms: 100\n  prebuffer_ms: 90",
                "2: speaker.buffer_ms: buffer_ms (100) must be at least 20 more than prebuffer_ms (110)",
            ),
        ],
    )
    def test_values_that_do_not_fit_together_are_told(self, file: Path, text: str, told: str) -> None:
        """The message names both values, and the line of one that the owner wrote."""
        assert problems(file, text) == [told]

    def test_values_are_compared_across_files(self, file: Path) -> None:
        """Two files may fit together where each alone would not, and the other way round."""
        file.write_text("live: {context: {trigger_tokens: 5000}}\n")
        path = drop_in(file, "a.yaml", "live: {context: {target_tokens: 2000}}\n")
        assert load(file).live.context.target_tokens == 2000
        path.write_text("live: {context: {target_tokens: 7000}}\n")
        with pytest.raises(SettingsError, match=r"a\.yaml:1: live\.context\.target_tokens: .* below"):
            load(file)

    @pytest.mark.parametrize("url", ["https://127.0.0.1:8443", "https://gateway.example/gemini/", "https://[::1]:1"])
    def test_another_server_can_be_named(self, file: Path, url: str) -> None:
        """An https address is taken as it is."""
        file.write_text(f"live: {{base_url: '{url}'}}\n")
        assert load(file).live.base_url == url

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("http://127.0.0.1:8080", "http:// is not possible, because the SDK always uses TLS; "),
            ("https://me:hunter2@example.org", "must not have a query, a fragment, a name or a password; "),
            ("https://example.org/?a=hunter2", "must not have a query, a fragment, a name or a password; "),
            ("https://example.org:99999", "is not a URL; "),
            ("https://[hunter2", "is not a URL; "),
            ("https:///hunter2", "is not a URL; "),
            ("https://example.org/ hunter2", "is not a URL; "),
            ("wss://example.org", "is not a URL; "),
        ],
    )
    def test_an_address_that_cannot_work_is_refused(self, file: Path, url: str, told: str) -> None:
        """The owner is told what to write, and what is refused is not repeated: it may hold a password."""
        (problem,) = problems(file, f"live:\n  base_url: '{url}'\n")
        assert problem == f"2: live.base_url: {told}write https://HOST:PORT"

    @pytest.mark.parametrize(
        "source", ["url: https://home.example/token", "command: [ssh, home, speakerd, token, --minutes, '30']"]
    )
    def test_tokens_come_from_one_place(self, file: Path, source: str) -> None:
        """An address, or a program with its arguments; without either there is the API key."""
        assert not Settings().live.token.given
        file.write_text(f"live: {{token: {{{source}}}}}\n")
        settings = load(file)
        assert settings.live.token.given
        assert f"    {source}".replace("'", '"').split(": ")[0] in describe(settings)

    def test_a_list_of_words_is_shown_in_a_line(self, file: Path) -> None:
        """What is shown of a program can be written into the file again."""
        file.write_text("live:\n  token:\n    command:\n    - ssh\n    - home\n    - '30'\n")
        shown = describe(load(file))
        assert f'    command: ["ssh", "home", "30"]  # {file}:3\n' in shown
        file.write_text(shown)
        assert load(file).live.token.command == ["ssh", "home", "30"]

    @pytest.mark.parametrize(
        ("token", "told"),
        [
            ("{url: 'http://home.example/'}", "url: http:// is not possible, because a token is a secret; write"),
            (
                "{url: 'https://home.example/?key=hunter2'}",
                "url: must not have a query, a fragment, a name or a pass",
            ),
            ("{url: 'https://me:hunter2@home.example/'}", "url: must not have a query, a fragment, a name or a pass"),
            ("{url: home.example}", "url: is not a URL; write https://HOST/PATH; what it asks for is the credential"),
            ("{command: ssh home}", "command: must be a list of words, a number in quotes: [ssh, HOST,"),
            ("{command: [ssh, home, 30]}", "command: must be a list of words, a number in quotes: [ssh, HOST,"),
            ("{command: []}", "command: must be a list of words, a number in quotes: [ssh, HOST,"),
            ("{command: [a], url: 'https://b/'}", "url: url and command must not both be set"),
        ],
    )
    def test_a_source_of_tokens_that_cannot_work_is_refused(self, file: Path, token: str, told: str) -> None:
        """The owner is told what to write, and no secret in an address is repeated."""
        (problem,) = problems(file, f"live:\n  token: {token}\n")
        assert problem.startswith(f"2: live.token.{told}")
        assert "hunter2" not in problem


class TestSecrets:
    """An API key in a settings file is refused, and shown to nobody."""

    @pytest.mark.parametrize(
        "text",
        [
            "assistant:\n  api_key: hunter2",
            "live:\n  apikey: hunter2",
            "live:\n  GEMINI_API_KEY: hunter2",
            "live:\n  ephemeral_token: hunter2",
            "live:\n  access-token: hunter2",
            "gemini:\n  key: hunter2",
            f"assistant:\n  voice: {KEY}",
            f"assistant:\n  instructions: My key is {KEY}, keep it",
            "live:\n  api_version: auth_tokens/0123456789abcdef",
            f"live:\n  base_url: https://example.org/?key={KEY}",
            f"log:\n  level: [info, {KEY}]",
            f"log:\n  {KEY}: true",
        ],
    )
    def test_a_key_is_refused_and_not_shown(self, file: Path, text: str) -> None:
        """The owner is told where the key belongs; the key is in no message."""
        told = problems(file, text)
        assert any("credential gemini-api-key or in the variable GEMINI_API_KEY" in line for line in told)
        assert not any(secret in line for line in told for secret in ("hunter2", KEY, "abcdef"))
        named = [line.split(": ")[1] for line in told]
        assert len(set(named)) == len(named), "a setting is told twice"

    @pytest.mark.parametrize("token", ["hunter2", "auth_tokens/0123abcdef"])
    def test_a_token_has_no_place_in_the_file_either(self, file: Path, token: str) -> None:
        """What was put where its source belongs is refused and not shown."""
        (problem,) = problems(file, f"live:\n  token: {token}\n")
        assert "does not belong in this file; remove it" in problem
        assert token not in problem

    @pytest.mark.parametrize(
        "text",
        [
            f"assistant: {{voice: Puck, {KEY}",
            f"log: {{{KEY}: 1, {KEY}: 2}}",
            f"!{KEY}!a b: c",
            f"log: *{KEY}",
            f"? {KEY}\n? {KEY}",
            f"microphone: {KEY}",
            f"log: {{{KEY[::-1]}: 1}}",
            f"assistant: {{model: {KEY[::-1]}}}",
            f"live: {{retry: {{first: {KEY[::-1]}}}}}",
        ],
    )
    def test_a_key_where_the_file_is_wrong_is_not_shown(self, file: Path, text: str) -> None:
        """No message repeats anything as long as a key, however the file is broken."""
        assert not any(secret in line for line in problems(file, text) for secret in (KEY[:12], KEY[::-1]))

    def test_a_word_that_ends_in_key_is_no_secret(self, file: Path) -> None:
        """Only whole words such as key and token are taken for the names of secrets."""
        assert problems(file, "log: {monkey: banana}\n") == [
            "1: log.monkey: unknown setting; remove it (there is level, format)"
        ]

    def test_a_name_that_belongs_there_is_no_secret(self, file: Path) -> None:
        """Where names are free, as in the arguments of a tool in a script, key is a name like any other."""

        class Script(BaseModel):
            args: dict[str, str]

        file.write_text("args: {key: C major}\n")
        assert mistakes(read(file), Script) == []

    def test_a_mistyped_number_of_tokens_is_no_secret(self, file: Path) -> None:
        """A setting that is called tokens is not taken for a token."""
        (told,) = problems(file, "live: {context: {trigger_token: 30000}}\n")
        assert told.endswith("did you mean trigger_tokens?")


class TestDescription:
    """What ``speakerd config`` prints."""

    def test_each_value_says_where_it_comes_from(self, file: Path) -> None:
        """The owner sees which line of which file decided."""
        file.write_text("# mine\nassistant:\n  voice: Puck\n  language: de-DE\n")
        path = drop_in(file, "a.yaml", "assistant: {voice: Leda}\n")
        lines = describe(load(file)).splitlines()
        assert f"  voice: Leda  # {path}:1" in lines
        assert f"  language: de-DE  # {file}:4" in lines
        assert "  model: gemini-3.8-live  # default" in lines

    def test_the_schema_describes_every_setting(self) -> None:
        """An editor gets every setting with its default and a description."""
        described = json.loads(json.dumps(schema()))
        assert described["$defs"]["Retry"]["properties"]["first"]["default"] == 1.0
        properties = [each for section in described["$defs"].values() for each in section["properties"].values()]
        assert all("$ref" in each or each["description"] for each in properties)
        assert described["additionalProperties"] is False

    @example(text="1e3")
    @example(text="a word, " * 40)
    @example(text="\n")
    @example(text="two\nlines\u2028three")
    @given(text=some.text(min_size=1, max_size=300).filter(lambda text: "AIza" not in text))
    @tries(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
    def test_the_description_can_be_read_back(self, file: Path, text: str) -> None:
        """Each setting has its line, and the lines are a settings file that gives the same settings."""
        told = Settings.model_validate({"assistant": {"instructions": text}, "log": {"level": "debug"}})
        assert all(line.endswith((":", "# default")) for line in describe(told).splitlines())
        file.write_text(describe(told), "utf-8", newline="")
        assert load(file).model_dump() == told.model_dump()


WORDS = (
    "assistant live retry voice first api_key null true off 12 1e9 .5 0x1f 2026-11-22 << \\ud800 \\U FFFFFFFF &a *a"
)
MARKS = [*"[]{},'\"\\\t#?!|>é\x00", ": ", ":\n  ", "\n", "- ", "%YAML 1.1\n", "---\n", "...\n", "!!x ", KEY]
YAML_LIKE = some.lists(some.sampled_from([*WORDS.split(), *MARKS]), max_size=60).map("".join)


@given(some.one_of(some.text(), some.binary(), YAML_LIKE))
@tries(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2000, max_examples=300)
def test_any_text_is_settings_or_a_list_of_mistakes(file: Path, text: str | bytes) -> None:
    """Whatever is in the file, the answer comes soon, is printable in single lines, and never shows a key."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    for problem in told(file):
        assert problem.startswith(str(file))
        assert problem.isprintable()
        assert KEY not in problem


LARGEST = 65536


@pytest.mark.parametrize(
    "text",
    [
        "[" * LARGEST,
        "{" * LARGEST,
        "- " * (LARGEST // 2),
        "? " * (LARGEST // 2),
        "a: 1\n" * (LARGEST // 5),
        "".join(f"settting_{number}: 1\n" for number in range(4000))[:LARGEST],
        "a: &a [" + "*a, " * 9000 + "]",
        "'" + "x" * (LARGEST - 1),
        "x" * LARGEST,
        "x" * 65000 + ": 1",
        "a: " + "\\" * 65000,
        "a: >\n" + " \n" * 32000,
        "a: " + "1" * 65000,
        "assistant: {instructions: " + "-" * 65000 + "}",
        "AQ." * 20000 + ": 1",
        yaml.safe_dump({"assistant": {f"vioce{number}": KEY for number in range(900)}}),
    ],
    ids=range(16),
)
def test_a_hostile_file_is_refused_soon(file: Path, text: str) -> None:
    """The largest file that is read at all costs seconds at the most, however it is made."""
    started = time.process_time()
    file.write_text(text)
    told(file)
    # Five seconds of computing are far more than it takes, and far less than PyYAML takes for depth alone.
    assert time.process_time() - started < 5
