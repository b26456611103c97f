"""The questions of `speakerd setup`, on a terminal."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from pathlib import Path

from speakerd.boards import boards
from speakerd.errors import SpeakerdError
from speakerd.live.key import WHERE_KEYS_ARE, clean_key
from speakerd.set_up.answers import NO_BOARD, Answers
from speakerd.settings import Settings
from speakerd.sound.devices import devices

Refuses = Callable[[str], str | None]
"""Tries a key; returns why it cannot be used, if it cannot."""

_OWN_PINS = "pins of my own"


def ask(settings: Settings, own_boards: Path, refuses: Refuses, *, has_key: bool) -> Answers:
    """Ask a person for everything; nothing is changed meanwhile.

    Raises:
        KeyboardInterrupt: they do not want to go on.
    """
    try:
        key = _key(refuses, has_key=has_key)
        found = devices()
        microphones = [(device.name, "") for device in found if device.microphone]
        loudspeakers = [(device.name, "") for device in found if device.speaker]
        microphone = _choice("Which microphone?", microphones, settings.microphone.device)
        loudspeaker = _choice("Which loudspeaker?", loudspeakers, settings.speaker.device)
        offered = [*boards(own_boards), (_OWN_PINS, "a button and an LED"), (NO_BOARD, "no button, no light")]
        board = _choice("Which board has the button and the light?", offered, settings.panel.board or NO_BOARD)
        button = light = None
        if board == _OWN_PINS:
            board = NO_BOARD
            button, light = _pin("Button at which GPIO?"), _pin("LED at which GPIO?")
        return Answers(
            key=key, microphone=microphone, loudspeaker=loudspeaker, board=board, button=button, light=light
        )  # fmt: skip
    except EOFError:
        raise KeyboardInterrupt from None


def _key(refuses: Refuses, *, has_key: bool) -> str | None:
    print(f"The API key, from {WHERE_KEYS_ARE}; it is not shown while you paste it.")
    if has_key:
        print("There is one; Enter keeps it.")
    while True:
        pasted = getpass.getpass("Key: ")
        if not pasted.strip() and has_key:
            return None
        try:
            key = clean_key(pasted, "what was pasted")
        except SpeakerdError as error:
            print(error)
            continue
        if (why := refuses(key)) is None:
            return key
        print(f"{why}\nPaste another one, or press Ctrl-C to leave everything as it was.")


def _choice(question: str, offered: Sequence[tuple[str, str]], now: str) -> str | None:
    """Let a person choose one of these names; return it, or None to keep what is in force."""
    print(f"\n{question}")
    if not offered:
        print(f"None is there. It stays {now}; run this again when one is plugged in.")
        return None
    for number, (name, about) in enumerate(offered, 1):
        print(f"{number:>3}  {name}{f': {about}' if about else ''}{'  (now)' if name == now else ''}")
    while answer := input(f"Number, or Enter for {now}: ").strip():
        if answer.isdecimal() and 1 <= int(answer) <= len(offered):
            return offered[int(answer) - 1][0]
        print(f"A number from 1 to {len(offered)}, please.")
    return None


def _pin(question: str) -> int | None:
    while answer := input(f"{question} Its number, or Enter for none: ").strip():
        if answer.isdecimal():
            return int(answer)
        print("A number, please; GPIO 17 is 17.")
    return None
