"""How the process ends."""

import ast
import subprocess
import sys
from pathlib import Path

import speakerd

THREAD = """
import asyncio, threading
from speakerd.app import run_until_signal
async def main():
    threading.Thread(target=lambda: 1 / 0).start()
    await asyncio.sleep(20)
run_until_signal(main())
"""

LOOKUP = """
import asyncio, time
from speakerd.app import run_until_signal
async def main():
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 20)  # as a name look-up without a network
    await asyncio.sleep(0.1)
    return 7
import sys
sys.exit(run_until_signal(main()))
"""


def end_of(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=10, check=False)


def test_a_thread_that_dies_takes_the_process_with_it() -> None:
    """A speaker that has lost the thread of its microphone is started anew, not left deaf."""
    done = end_of(THREAD)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_a_look_up_that_hangs_does_not_hold_up_the_end() -> None:
    """The process ends while a thread of it still waits for the network."""
    assert end_of(LOOKUP).returncode == 7


def test_nothing_is_raised_where_debian_12_would_wrap_it() -> None:
    """Out of an except* block Python 3.11.2 raises a group: there, a lost connection would end the process."""
    for file in Path(speakerd.__file__).parent.rglob("*.py"):
        for block in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(block, ast.TryStar):
                nodes = [node for handler in block.handlers for node in ast.walk(handler)]
                raises = [node for node in nodes if isinstance(node, ast.Raise)]
                assert not raises, f"{file.name}:{raises[0].lineno}"
