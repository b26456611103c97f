"""The settings file that speakerd is delivered with, held to the settings that there are."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from speakerd.errors import SettingsError
from speakerd.settings import Settings, load
from speakerd.yaml_file import Where, read

SHIPPED = Path(__file__).parents[2] / "config" / "speakerd.yaml"


def uncommented() -> str:
    """Return the file with every setting switched on, as its first lines tell the owner to do it."""
    return re.sub(r"^( *)#(?! \S)", r"\1", SHIPPED.read_text("utf-8"), flags=re.MULTILINE)


def fields(model: type[BaseModel], section: Where = ()) -> Iterator[tuple[Where, str]]:
    """Walk through the settings of the models: where each stands, and its description."""
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields(kind, (*section, key))
        else:
            yield (*section, key), field.description or ""


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    file = tmp_path / "everything.yaml"
    file.write_text(uncommented(), "utf-8")
    return file


def test_the_shipped_file_changes_nothing() -> None:
    """As delivered, the file sets nothing, so that a later default reaches everybody who left it alone."""
    document = read(SHIPPED)
    assert not document.problems
    assert {where for where, _ in fields(Settings)}.isdisjoint(document.places)
    assert load(SHIPPED).model_dump() == Settings().model_dump()


def test_every_setting_is_in_the_shipped_file(everything: Path) -> None:
    """What can be set can be found in the file, and what is in the file can be set."""
    sections = {where[:length] for where, _ in fields(Settings) for length in range(1, len(where))}
    assert set(read(everything).places) == {where for where, _ in fields(Settings)} | sections


def test_switching_everything_on_gives_the_defaults(everything: Path) -> None:
    """The values in the file are those in force without it, to the letter."""
    assert load(everything).model_dump() == Settings().model_dump()


def test_every_setting_is_explained(everything: Path) -> None:
    """The line above a setting says what it is, in the words of ``speakerd config --schema``."""
    lines, places = everything.read_text("utf-8").splitlines(), read(everything).places
    explained = {where: lines[places[where].line - 2].strip() for where, _ in fields(Settings)}
    assert explained == {where: f"# {description}" for where, description in fields(Settings)}


def test_a_setting_that_is_no_more_would_be_noticed(everything: Path) -> None:
    """A name in the file that no setting has is refused, as it would be in an owner's file."""
    everything.write_text(everything.read_text("utf-8").replace("  voice:", "  vioce:"), "utf-8")
    with pytest.raises(SettingsError, match=r"assistant\.vioce: unknown setting; did you mean voice\?"):
        load(everything)
