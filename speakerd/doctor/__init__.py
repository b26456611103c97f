"""What is wrong with this speaker, and what to do about it."""
