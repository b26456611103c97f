"""How the process ends."""

import subprocess
import sys

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
