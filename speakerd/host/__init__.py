"""The machine we live on: service manager, journal, credentials."""
