"""Imports point one way: down."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import speakerd

PACKAGE = Path(speakerd.__file__).parent
LAYERS = [
    {"errors"},
    {"state", "stalls", "turns", "settings", "yaml_file", "mistakes", "boards"}
    | {"live.events", "live.verdict", "live.trouble"},
    {"sound", "panel", "host", "live.key", "live.token", "live.handle", "live.setup", "live.wire", "live.session"},
    {"live.link", "assistant", "troubles", "mute"},
    {"app", "ask", "mint", "panel_command", "status", "metrics", "doctor", "calibrate", "explain", "simulate"}
    | {"set_up", "provision"},
    {"cli", "__main__"},
]
"""Each module may import what stands above it here, and its neighbours of the same package or the same line."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def layer_of(module: str) -> int:
    """Return how far down a module stands; a package stands for what is in it unless its modules are named."""
    parts = module.split(".")
    for prefix in (".".join(parts[:length]) for length in range(len(parts), 0, -1)):
        for number, layer in enumerate(LAYERS):
            if prefix in layer:
                return number
    raise LookupError(f"{module} has no place in the layers")


def imports_of(path: Path) -> set[str]:
    """Return the modules of ours that a file imports, wherever in it, under ``speakerd.``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "speakerd":
            module = (node.module or "").removeprefix("speakerd").removeprefix(".")
            for alias in node.names:
                inner = f"{module}.{alias.name}".removeprefix(".")
                is_module = (PACKAGE / inner.replace(".", "/")).with_suffix(".py").exists()
                found.add(inner if is_module else module)
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("speakerd.") for alias in node.names if alias.name.startswith("speakerd.")
            }
    return found - {"", "__version__"}


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__init__.py"], ids=name_of)
def test_arrows_point_down(path: Path) -> None:
    """No module knows of those that stand on it."""
    here = layer_of(name_of(path))
    assert not {module for module in imports_of(path) if layer_of(module) > here}


def test_the_stand_in_does_not_know_the_daemon() -> None:
    """What judges the daemon must not share its understanding of the protocol or of sound."""
    known = set().union(*(imports_of(path) for path in (PACKAGE / "simulate").glob("*.py")))
    judged = {"app", "assistant", "live", "sound", "panel", "host"}
    allowed = {module for module in known if module.split(".")[0] not in judged}
    assert known - allowed <= {"panel.light"}  # the demo draws the light with the product's own patterns


def test_nothing_heavy_is_loaded_before_a_command_needs_it() -> None:
    """`speakerd --help` answers at once: the SDK, ALSA and arrays are loaded by who needs them."""
    heavy = {"google", "alsaaudio", "numpy", "pydantic", "matplotlib", "soundfile", "soxr", "websockets"}
    script = "import sys, speakerd.cli; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert not heavy & set(loaded.split())


def test_the_sdk_is_not_loaded_before_button_and_light() -> None:
    """The daemon's own modules do without the SDK; it is imported when the first connection is dialled."""
    script = "import sys, speakerd.app; print('google.genai' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert loaded == "False\n"
