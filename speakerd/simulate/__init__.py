"""The world without a Pi: a stand-in Live API, a simulated sound card, a room."""
