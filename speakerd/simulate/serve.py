"""The command `speakerd simulate`: the stand-in Live API, until somebody stops it."""

import argparse
import asyncio
import logging
import signal

from speakerd.simulate.live_api import LiveApi, LiveApiOptions
from speakerd.simulate.script import Script


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT and return 0. Raise SpeakerdError for what a person must correct first."""
    # Clients that vanish are what this is for; each is in the events, and none is worth a traceback.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    options = LiveApiOptions(
        directory=arguments.directory,
        script=Script.read(arguments.script) if arguments.script else Script(),
        host=arguments.host,
        port=arguments.port,
        plain_port=arguments.plain_port,
        keys=frozenset(arguments.key) if arguments.key else None,
        keep=False,
    )
    asyncio.run(_serve(options))
    return 0


async def _serve(options: LiveApiOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with LiveApi(options) as live:
        print(_welcome(live, options), flush=True)  # noqa: T201  # it is a command: this is for its user
        await stop.wait()


def _welcome(live: LiveApi, options: LiveApiOptions) -> str:
    """Return what somebody needs to know to use it."""
    keys = "any API key is good" if options.keys is None else f"{len(options.keys)} API key(s) are good"
    return "\n".join(
        (
            "The stand-in Live API is listening:",
            f"  with TLS     {live.url}",
            f"  without TLS  {live.plain_url}",
            f"Clients that use TLS trust it with: export SSL_CERT_FILE={live.ca_file.resolve()}",
            f"{keys[0].upper()}{keys[1:]}. Events and sound go to {options.directory.resolve()}",
            "Stop it with Ctrl-C, or with SIGTERM.",
        )
    )
