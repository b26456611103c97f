"""The way to the server: its name, the route, the Wi-Fi."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from speakerd.doctor.finding import Finding, bad, note, ok
from speakerd.live.trouble import GOOGLE, proxy_to, trouble
from speakerd.settings import Settings

DNS, ROUTE, WIFI = "DNS", "route", "Wi-Fi"

DNS_S = 5.0
"""A resolver asks its second server after five seconds (resolv.conf(5)); who talks does not want to wait for that."""

SLOW_S = 1.0

WEAK_DBM = -75.0
"""Below that, Wi-Fi loses much and sends it again."""

_CHECK_ROUTER = "is the router on, and is Wi-Fi or the cable connected? See: ip address; nmcli device"

Address = tuple[socket.AddressFamily, str]


async def examine(settings: Settings) -> list[Finding]:
    """Look the server up, or the proxy in front of it, and see whether a route leads there."""
    server = urlsplit(settings.live.base_url or GOOGLE)
    host, port = server.hostname or "", server.port or 443
    try:
        proxy = proxy_to(host, port)
    except ValueError as error:
        what = trouble(error, DNS_S, settings.live.base_url)
        return [bad("proxy", str(what), what.advice)]
    if proxy:
        host, port = proxy.host, proxy.port
    found, addresses = await _look_up(settings, host, port)
    return [found, *([await asyncio.to_thread(_route, addresses, port)] if addresses else []), *_wifi()]


async def _look_up(settings: Settings, host: str, port: int) -> tuple[Finding, list[Address]]:
    began = time.monotonic()
    try:
        async with asyncio.timeout(DNS_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # TimeoutError is one, a name that is none the other
        what = trouble(error, DNS_S, settings.live.base_url)
        text = f"nobody says within {DNS_S:g} s where {host} is" if isinstance(error, TimeoutError) else str(what)
        cause, _, where = text.partition(": if that lasts, ")
        own = f"{where}; or " if settings.live.base_url and where else ""
        advice = f"{own}try another name: getent hosts debian.org; if none is found, look at the router"
        return bad(DNS, cause, advice), []
    took = time.monotonic() - began
    addresses: list[Address] = list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))
    kinds = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
    known = " and ".join(sorted({kinds.get(family, "?") for family, _ in addresses}))
    if [host] == [address for _, address in addresses]:
        return ok(DNS, f"{host} is an address: there is nothing to look up"), addresses
    text = f"{host} has {len(addresses)} address{'es' * (len(addresses) > 1)} ({known})"
    if took > SLOW_S:
        return note(DNS, f"{text}, after {took:.1f} s", "that is slow; try another DNS server"), addresses
    return ok(DNS, text), addresses


def _route(addresses: list[Address], port: int) -> Finding:
    """Ask the kernel which way it would send; nothing is sent, for these are datagrams."""
    failures = []
    for family, address in addresses:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, port))
                return ok(ROUTE, f"leads out from {probe.getsockname()[0]}")
        except OSError as error:
            failures.append(error)
    if any(error.errno == errno.ENETUNREACH for error in failures):
        return bad(ROUTE, "this machine is in no network that leads to the server", _CHECK_ROUTER)
    return bad(ROUTE, f"nothing leads to the server: {failures[0].strerror}", _CHECK_ROUTER)


def _wifi(wireless: Path = Path("/proc/net/wireless")) -> list[Finding]:
    try:
        return judge_wifi(wireless.read_text())
    except OSError:  # a kernel without Wi-Fi
        return []


def judge_wifi(wireless: str) -> list[Finding]:
    """Return how strong each Wi-Fi is, from the kernel's table (/proc/net/wireless)."""
    findings = []
    for name, dbm in re.findall(r"^ *(\w+): +\d+ +[-\d.]+ +(-\d+)", wireless, re.MULTILINE):
        text = f"{name} receives {dbm} dBm"
        weak = float(dbm) < WEAK_DBM
        findings.append(
            note(WIFI, f"{text}: weak", "move the speaker or the router, or use 2.4 GHz")
            if weak
            else ok(WIFI, f"{text}: strong enough")
        )
    return findings
