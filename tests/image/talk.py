"""The scene of a conversation on the card, through loopback sound cards and the stand-in Live API."""

import base64
import lzma
import time

from speakerd.sound.notices import SPOKEN
from tests.image.kitchen import Kitchen, until_ready

SETTINGS = """\
microphone: {device: "plughw:CARD=Mic,DEV=1"}
speaker: {device: "plughw:CARD=Speaker,DEV=0"}
echo: {mode: "off"}
listen: {gate: "off"}
"""
"""An ear costs more than the emulated processor has."""

DROP_IN = """\
[Service]
Environment=SSL_CERT_FILE=/run/scene/ca.pem
"""


async def it_talks(kitchen: Kitchen) -> str:
    """Say a sentence to its microphone: the server hears it, and its loudspeaker says the answer."""
    machine = await kitchen.running()
    sentence = lzma.decompress(next((SPOKEN / "en").glob("*.wav.xz")).read_bytes())
    files = {
        "/run/scene/ca.pem": kitchen.live.ca_file.read_bytes(),
        "/run/scene/sentence.wav": sentence,
        "/etc/speakerd/speakerd.yaml.d/90-scene.yaml": SETTINGS.encode(),
        "/run/systemd/system/speakerd.service.d/scene.conf": DROP_IN.encode(),
    }
    for name, content in files.items():
        text = base64.b64encode(content).decode()
        await machine.run(f"mkdir -p {name.rpartition('/')[0]}; base64 -d >{name} <<'END'\n{text}\nEND")
    await machine.run(
        "chmod -R a+rX /run/scene; modprobe snd-aloop enable=1,1 index=5,6 id=Mic,Speaker pcm_substreams=1,1"
    )
    await machine.run("echo not muted >/var/lib/speakerd/mute; systemctl daemon-reload; systemctl restart speakerd")
    await until_ready(machine)
    began = time.monotonic()
    heard = (
        "arecord -q -D plughw:CARD=Speaker,DEV=1 -t raw -f S16_LE -r 24000 -c 1 -d 60 /run/scene/heard.raw & "
        "for time in 1 2 3; do aplay -q -D plughw:CARD=Mic,DEV=0 /run/scene/sentence.wav; sleep 5; done; wait; "
        "od -An -v -t d2 -w2 /run/scene/heard.raw | awk '$1 > 500 || $1 < -500 {n++} END {print n + 0}'"
    )
    counted = await machine.run(heard)
    assert counted.isdecimal(), counted
    loud = int(counted)
    octets = sum(event.detail["bytes"] for event in kitchen.live.events if event.kind == "audio")
    said = await machine.run("journalctl -u speakerd -o cat -n 20")
    assert octets, f"the server heard nothing: {said}"
    assert any(event.kind == "turn_complete" for event in kitchen.live.events), f"no answer came to its end: {said}"
    assert loud > 2400, f"{loud} samples were loud: {said}"
    took = time.monotonic() - began
    return f"the server heard {octets} octets; {loud / 24000:.1f} s of the answer sounded; {took:.0f} s"


SCENES = (it_talks,)
