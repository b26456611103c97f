"""Everything that knows the Live API."""
