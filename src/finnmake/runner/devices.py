"""FPGA devices: which one a part name means, and how much it holds.

The numbers and their sources are in `devices.json`. They are totals of the whole device: on an Alveo card the
shell takes a part of them, which is why FINN's `finn.util.platforms` lists less for the same card.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

_PACKAGE = r"[a-z]{2,4}\d{3,4}"


class _Naming(NamedTuple):
    """How a part name goes on after the device, in lower case.

    Attributes:
        rest: what follows the device in a whole part name.
        start: what follows at least, for the device to be recognised.
        form: the same for a reader.
    """

    rest: re.Pattern[str]
    start: re.Pattern[str]
    form: str


#: Part names as Vivado's `get_parts` lists them, by generation (ordering information of DS180, DS890, DS950).
_NAMINGS = {
    "7series": _Naming(
        re.compile(rf"i?{_PACKAGE}-[123][a-z]*"),
        re.compile(rf"-|i?{_PACKAGE}(-|$)|$"),
        "{device}<package>-<speed>",
    ),
    "ultrascale": _Naming(
        re.compile(rf"-{_PACKAGE}-[123][a-z]*-[a-z](-es\d)?"),
        re.compile(r"-|$"),
        "{device}-<package>-<speed>-<grade>",
    ),
    "versal": _Naming(
        re.compile(rf"-{_PACKAGE}-[123][a-z]*-[a-z]-[a-z](-es\d)?"),
        re.compile(r"-|$"),
        "{device}-<package>-<speed>-<grade>-<screen>",
    ),
}


class DeviceTotals(NamedTuple):
    """What one device holds.

    Attributes:
        device: name without package and speed, e.g. `xc7z020`.
        lut: CLB (7 series: slice) look-up tables.
        ff: CLB flip-flops.
        dsp: DSP slices (DSP48E1, DSP48E2) or engines (DSP58).
        bram_18k: block RAMs of 18 Kb: twice the number of 36 Kb blocks in the data sheet.
        uram: UltraRAMs of 288 Kb.
        source: AMD's document.
    """

    device: str
    lut: int
    ff: int
    dsp: int
    bram_18k: int
    uram: int
    source: str

    def counts(self) -> dict[str, int]:
        """The totals under the names that FINN's reports use."""
        return {
            "LUT": self.lut,
            "FF": self.ff,
            "DSP": self.dsp,
            "BRAM_18K": self.bram_18k,
            "URAM": self.uram,
        }


class _Device(NamedTuple):
    totals: DeviceTotals
    naming: _Naming


@cache
def _devices() -> dict[str, _Device]:
    """The table of `devices.json` by device name."""
    text = Path(__file__).with_name("devices.json").read_text(encoding="utf-8")
    return {name: _device(name, row) for name, row in json.loads(text)["devices"].items()}


def _device(name: str, row: dict[str, int | str]) -> _Device:
    totals = DeviceTotals(
        device=name,
        lut=int(row["LUT"]),
        ff=int(row["FF"]),
        dsp=int(row["DSP"]),
        bram_18k=int(row["BRAM_18K"]),
        uram=int(row["URAM"]),
        source=str(row["source"]),
    )
    return _Device(totals, _NAMINGS[str(row["naming"])])


def device_of(part: str) -> str | None:
    """The device of a part name in any case (`xc7z020clg400-1` -> `xc7z020`), or of the bare device name.

    Returns:
        `None` where the device is not in the table. The rest of the name is not judged: see `is_known_part`.
    """
    name = part.strip().lower()
    fitting = (
        device
        for device, entry in _devices().items()
        if name.startswith(device) and entry.naming.start.match(name, len(device))
    )
    return max(fitting, key=len, default=None)


def totals(part: str) -> DeviceTotals | None:
    """What the device of `part` (a part or device name, any case) holds; `None` where it is not known."""
    device = device_of(part)
    return None if device is None else _devices()[device].totals


def is_known_part(part: str) -> bool:
    """Whether `part` is a whole part name: a known device, then package, speed and the grades it has."""
    device = device_of(part)
    if device is None:
        return False
    return _devices()[device].naming.rest.fullmatch(part.strip().lower(), len(device)) is not None


def known_parts_hint(part: str, limit: int = 3) -> list[str]:
    """What `part` may have been meant to be, best first.

    Returns:
        The form of a whole part name where only what follows the device is wrong, else up to `limit` names of
        devices that are written alike; empty where none is.
    """
    from difflib import get_close_matches  # only errors need it

    device = device_of(part)
    if device is not None:
        return [_devices()[device].naming.form.format(device=device)]
    head = part.strip().lower().partition("-")[0]
    stem = re.sub(rf"{_PACKAGE}$", "", head) if head.startswith("xc7") else head
    return get_close_matches(stem, _devices(), n=limit, cutoff=0.7)
