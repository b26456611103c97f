"""What can go wrong with a speaker, made to happen: one list, and what plays it against the real daemon."""
