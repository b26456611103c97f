"""The flashable card, booted: `python -m tests.image`."""
