"""The service manager: told when we are ready, what we do, and that we stop."""

import contextlib

from systemd import daemon


def tell(*assignments: str) -> None:
    """Send assignments such as ``READY=1`` to the service manager; without one, nothing happens (sd_notify(3))."""
    with contextlib.suppress(OSError):  # a manager that has gone, left behind in the environment, needs no news
        daemon.notify("\n".join(assignments))
