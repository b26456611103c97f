"""Why it was silent, slow, cut off or offline: read from the journal, and from nothing else."""
