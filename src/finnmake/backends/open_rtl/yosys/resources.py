"""What a netlist of Xilinx' cells takes of a device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

#: LUTs that a cell takes. Memories in LUTs by UG474 (7 series) and UG574 (UltraScale+): a LUT6 holds 64 bits
#: of a port, RAM32M and RAM64M take the four LUTs of a slice, RAM32M16 and RAM64M8 all eight. An inverter
#: counts as a LUT; MUXF7 to MUXF9 are no LUTs.
_LUTS = {
    **{f"LUT{inputs}": 1 for inputs in range(1, 7)},
    "LUT6_2": 1,
    "INV": 1,
    "SRL16E": 1,
    "SRLC32E": 1,
    **{"RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8},
    **{"RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8},
    **{"RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM64X8SW": 8, "RAM32X16DR8": 8},
}

#: The other resources: the cells that take one, or so many.
_OTHERS: Mapping[str, Mapping[str, int]] = {
    "FF": {"FDRE": 1, "FDSE": 1, "FDCE": 1, "FDPE": 1, "LDCE": 1, "LDPE": 1},
    "DSP": {"DSP48E1": 1, "DSP48E2": 1},
    "BRAM_18K": {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2},
    "URAM": {"URAM288": 1},
    "CARRY": {"CARRY4": 1, "CARRY8": 2},
}

#: Cells that take nothing that is counted.
_FREE = frozenset(("MUXF7", "MUXF8", "MUXF9", "GND", "VCC", "BUFG"))

#: All cells that a netlist may have.
KINDS = frozenset((*_LUTS, *(kind for kinds in _OTHERS.values() for kind in kinds), *_FREE))


@dataclass(frozen=True)
class Resources:
    """What a design takes, or a part of it.

    Attributes:
        LUT: look-up tables, those used as memory and shift registers too. Each LUT of the netlist counts,
            though placement can put two small ones into one place: it is an upper bound.
        FF: flip-flops.
        DSP: DSP slices.
        BRAM_18K: block RAMs of 18 Kb; one of 36 Kb counts as two.
        URAM: UltraRAMs of 288 Kb.
        CARRY: carry chains of 4 bits.
    """

    LUT: int = 0
    FF: int = 0
    DSP: int = 0
    BRAM_18K: int = 0
    URAM: int = 0
    CARRY: int = 0

    def counts(self) -> dict[str, int]:
        """The counts by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def total(parts: Iterable[Resources]) -> Resources:
    """The sum."""
    counts = [part.counts() for part in parts]
    return Resources(**{field.name: sum(part[field.name] for part in counts) for field in fields(Resources)})


def of_cells(cells: Mapping[str, int]) -> Resources:
    """What cells take. Raises ValueError for a kind that is not known: nothing goes uncounted.

    Args:
        cells: kind -> how many.
    """
    unknown = cells.keys() - KINDS
    if unknown:
        raise ValueError(f"cells of unknown kind: {', '.join(sorted(unknown))}")
    counts = {
        name: sum(cells.get(kind, 0) * each for kind, each in kinds.items())
        for name, kinds in _OTHERS.items()
    }
    return Resources(LUT=sum(cells.get(kind, 0) * luts for kind, luts in _LUTS.items()), **counts)
