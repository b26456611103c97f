"""The service manager: told when we are ready, what we do, and that we stop."""

from systemd import daemon


def tell(*assignments: str) -> None:
    """Send assignments such as ``READY=1`` to the service manager; without one, nothing happens (sd_notify(3))."""
    daemon.notify("\n".join(assignments))
