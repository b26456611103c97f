"""Does the board get enough power, and is it cool enough? A Raspberry Pi says so itself."""

import re
from pathlib import Path

from speakerd.doctor.finding import Finding, bad, note, ok

POWER, HEAT = "power", "heat"

_THROTTLED = Path("devices/platform/soc/soc:firmware/get_throttled")

_SUPPLY = "use the power supply that was made for this board, and a short, thick cable"
_COOL = "give the board air, a heat sink, or a place away from the stove"

# Bits of get_throttled (https://www.raspberrypi.com/documentation/computers/os.html#get_throttled).
_UNDER_VOLTAGE, _CAPPED, _THROTTLING, _SOFT_LIMIT = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_SINCE_START = 16
"""So many bits further up stands whether it was ever so since the start."""

HOT_C = 80.0
"""From 80 °C on a Raspberry Pi slows itself down."""

WARM_C = 70.0


def examine(sys: Path = Path("/sys"), device_tree: Path = Path("/proc/device-tree")) -> list[Finding]:
    """Return how power and heat are."""
    model = _text(device_tree / "model").rstrip("\0")
    heat = _heat(_text(sys / "class/thermal/thermal_zone0/temp"))
    if not model.startswith("Raspberry Pi"):
        return [note(POWER, "this is no Raspberry Pi: nobody says whether its power is enough"), *heat]
    throttled = _text(sys / _THROTTLED)
    if re.fullmatch(r"(0x)?[0-9a-fA-F]+", throttled):
        return [judge(int(throttled, 16), model), *heat]
    return [_of_alarm(sys, model), *heat]


def judge(throttled: int, model: str) -> Finding:
    """Return what the firmware's bits say."""
    then = throttled >> _SINCE_START
    if throttled & _UNDER_VOLTAGE:
        return bad(POWER, f"{model}: too low a voltage right now", _SUPPLY)
    if throttled & (_CAPPED | _THROTTLING | _SOFT_LIMIT):
        return bad(POWER, f"{model}: slowed down right now, by heat or a weak supply", _COOL)
    if then & _UNDER_VOLTAGE:
        return note(POWER, f"{model}: the voltage was too low at least once since the start", _SUPPLY)
    if then & (_CAPPED | _THROTTLING | _SOFT_LIMIT):
        return note(POWER, f"{model}: it was slowed down at least once since the start", _COOL)
    return ok(POWER, f"{model}: enough voltage and full speed since the start")


def _of_alarm(sys: Path, model: str) -> Finding:
    """Return what the kernel's own sensor says, where the firmware's bits cannot be read."""
    for sensor in sys.glob("class/hwmon/hwmon*"):
        if _text(sensor / "name") == "rpi_volt":
            if _text(sensor / "in0_lcrit_alarm") == "1":
                return bad(POWER, f"{model}: the voltage was too low since it was last asked", _SUPPLY)
            return ok(POWER, f"{model}: enough voltage")
    return note(POWER, f"{model}: its firmware does not say whether power is enough")


def _heat(millidegrees: str) -> list[Finding]:
    if not millidegrees.lstrip("-").isdecimal():
        return []
    degrees = int(millidegrees) / 1000
    if degrees >= HOT_C:
        return [bad(HEAT, f"{degrees:.0f} °C: so hot that it slows down", _COOL)]
    if degrees >= WARM_C:
        return [note(HEAT, f"{degrees:.0f} °C: warm; from {HOT_C:.0f} °C on it slows down", _COOL)]
    return [ok(HEAT, f"{degrees:.0f} °C")]


def _text(path: Path) -> str:
    """Return what a small file of the kernel says, or nothing."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
