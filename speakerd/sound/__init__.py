"""Everything that knows PCM."""
