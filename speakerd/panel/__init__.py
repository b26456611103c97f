"""The front panel: button and light."""
