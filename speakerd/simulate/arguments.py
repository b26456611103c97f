"""The arguments of `speakerd simulate` and `speakerd demo`; light, for every command loads it."""

import argparse
from pathlib import Path


def add_stand_in_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `speakerd simulate` takes."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8443, help="port for TLS, 0 for any (default: %(default)s)")
    parser.add_argument("--plain-port", type=int, default=8080, help="port without TLS (default: %(default)s)")
    parser.add_argument(
        "--directory", type=Path, default=Path("simulate-out"), metavar="DIR",
        help="where the certificate, the events and all sound go (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--script", type=Path, metavar="FILE.yaml", help="what to answer, and how to misbehave")
    parser.add_argument("--key", action="append", metavar="KEY", help="accept this key; repeatable (default: any)")


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `speakerd demo` takes."""
    parser.add_argument(
        "--output", type=Path, default=Path("demo-out"), metavar="DIR", help="where it goes (default: %(default)s)"
    )
    parser.add_argument("--live", action="store_true", help="talk to Google instead of the stand-in (GEMINI_API_KEY)")
    parser.add_argument("--microphone", metavar="DEVICE", help="a real microphone instead of the simulated room")
    parser.add_argument("--speaker", metavar="DEVICE", help="a real loudspeaker instead of the simulated room")
