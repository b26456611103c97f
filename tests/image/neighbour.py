"""Somebody in the same network as the machine, who knocks at its ports."""

import base64

from tests.image.machine import Machine

HOUSE, STRANGER = "192.0.2.1", "192.0.2.2"
"""The machine, and another one in its network (RFC 5737)."""

PORTS = 10000
"""How many are knocked at; the kernel's own list has the others."""

NEIGHBOUR = f"""\
ip netns add street
ip link add house type veth peer name door netns street
ip address add {HOUSE}/24 dev house
ip -n street address add {STRANGER}/24 dev door
ip link set house up
ip -n street link set door up
"""
"""Somebody in the same network, played by the machine itself, since QEMU's network has nobody else in it."""

KNOCK = f"""\
import socket
for port in range(1, {PORTS + 1}):
    with socket.socket() as door:
        door.settimeout(10)
        if not door.connect_ex(("{HOUSE}", port)):
            print(port)
"""


async def neighbour_finds(machine: Machine) -> list[str]:
    """Return the ports on which somebody in the same network is answered."""
    code = base64.b64encode(KNOCK.encode()).decode()
    python = "/usr/lib/speakerd/bin/python3"
    await machine.run(f"set -e; {NEIGHBOUR}")
    return (await machine.run(f"base64 -d <<<{code} | ip netns exec street {python} -")).split()
