"""What all modules of the library ask of a node: integers, results that fit, folding that divides."""

from __future__ import annotations

from typing import Any

from finnmake.errors import FinnmakeError

#: Value of a module's parameter.
Parameter = int | str

#: What makes a module a certain node: its parameters, and the files that it reads when it starts, as text.
Description = tuple[dict[str, Parameter], dict[str, str]]


class Unsupported(FinnmakeError):
    """A node for which there is no RTL here: what it asks for, and what to change."""

    category = "kernel"


def integer(datatype: Any) -> Any:
    """The datatype, if its bits are an integer in two's complement. Raises Unsupported."""
    if datatype.name == "BIPOLAR" or not datatype.name.startswith(("INT", "UINT", "BINARY", "TERNARY")):
        raise Unsupported(
            f"values of the type {datatype.name}",
            cure="Quantise to integers of 2 bits or more before this operator, or leave it to the host.",
        )
    return datatype


def holds(datatype: Any, low: int, high: int) -> Any:
    """The datatype of the output, if results from `low` to `high` fit it. Raises Unsupported."""
    target = integer(datatype)
    if low < target.min() or high > target.max():
        raise Unsupported(
            f"results from {low} to {high} do not fit the output's type {target.name}",
            cure="FINN derives too narrow a type for some inputs of mixed sign, and its own hardware would "
            "wrap around: swap the operands of an addition, or set a wider output type on the node.",
        )
    return target


def divides(lanes: Any, channels: Any, attribute: str = "PE") -> int:
    """The folding attribute, if it divides the channels. Raises Unsupported."""
    if int(lanes) < 1 or int(channels) % int(lanes):
        raise Unsupported(
            f"{attribute} = {lanes} does not divide {channels} channels",
            cure=f"Choose a divisor of {channels} for {attribute}.",
        )
    return int(lanes)


def at_most(limit: int, count: Any, what: str) -> int:
    """The count, if there are ports for so many. Raises Unsupported."""
    if int(count) > limit:
        raise Unsupported(f"{count} {what}", cure=f"There are modules for {limit}: do it in two steps.")
    return int(count)
