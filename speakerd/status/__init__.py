"""How the running speaker is, as it says itself."""
