"""Is the clock right? A board without a battery has none until it has found the network."""

import ctypes
import datetime as dt

from speakerd.doctor.finding import Finding, bad, note, ok

NAME = "clock"

FIRST_YEAR = 2025
"""There was no speakerd before; a Pi that has not been told the time shows 1970, or when its image was built."""

SLIGHTLY_OFF_S = 30.0
"""More than what the network takes."""

WRONG_S = 3600.0
"""Tokens and certificates are made for hours at least."""

UNSYNCHRONISED_US = 16_000_000
"""The kernel's bound of its own error from which on systemd and timedatectl call a clock not synchronised."""

SET_IT = "turn time synchronisation on: sudo timedatectl set-ntp true; UDP port 123 must be open to the network"


def judge(now: float, servers: float | None, *, synchronised: bool | None) -> Finding:
    """Return how the clock is.

    ``now`` is what it shows and ``servers`` what the server showed at that moment, both in seconds since 1970; None
    where nobody knows.
    """
    shown = dt.datetime.fromtimestamp(now, dt.UTC)
    if servers is not None and abs(now - servers) > WRONG_S:
        return bad(NAME, f"shows {shown:%Y-%m-%d %H:%M} UTC and is wrong by {_long(now - servers)}", SET_IT)
    if shown.year < FIRST_YEAR:
        return bad(NAME, f"shows {shown:%Y-%m-%d}, so it was never set; no certificate is good then", SET_IT)
    if servers is not None and abs(now - servers) > SLIGHTLY_OFF_S:
        return note(NAME, f"is wrong by {_long(now - servers)}", SET_IT)
    agrees = "the server shows the same time" if servers is not None else "no server was there to compare with"
    match synchronised:
        case True:
            return ok(NAME, f"is synchronised; {agrees}")
        case False:
            return note(NAME, f"is not synchronised, and will drift; {agrees}", SET_IT)
        case None:
            return ok(NAME, f"shows {shown:%Y-%m-%d %H:%M} UTC; {agrees}")


def is_synchronised() -> bool | None:
    """Ask the kernel whether something keeps the clock right; None where it does not say (adjtimex(2))."""
    # struct timex: modes, offset, freq, maxerror in microseconds, …; modes is as wide as a long, and 0 sets nothing.
    timex = (ctypes.c_long * 64)()
    if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
        return None
    return int(timex[3]) < UNSYNCHRONISED_US


def _long(seconds: float) -> str:
    direction = "fast" if seconds > 0 else "slow"
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if abs(seconds) >= 2 * length:
            return f"{abs(seconds) / length:.0f} {unit} ({direction})"
    return f"{abs(seconds):.0f} seconds ({direction})"
