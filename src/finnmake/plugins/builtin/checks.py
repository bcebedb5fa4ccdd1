"""What the built-in transforms say of parameters that cannot be, and of models that they cannot work on."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from finnmake.errors import BlueprintError, FinnmakeError, Location


class TransformError(FinnmakeError):
    """A transform cannot do with this model what it is for."""

    category = "preprocessing"


def refused(parameter: str, message: str, cure: str) -> BlueprintError:
    """The error for a parameter, `transform.parameter`."""
    return BlueprintError(message, where=Location(key=parameter), cure=cure)


def whole_number(parameter: str, value: Any, least: int, most: int) -> int:
    """A whole number from `least` to `most`. Raises BlueprintError."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise refused(
            parameter, f"{value!r} is no possible value", f"Write a whole number, {least} to {most}."
        )
    return value


def number(parameter: str, value: Any) -> float:
    """A finite number. Raises BlueprintError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise refused(parameter, f"{value!r} is no finite number", "Write a number, e.g. 0.5.")
    return float(value)


def choice(parameter: str, value: Any, choices: Collection[str]) -> str:
    """One of some words. Raises BlueprintError."""
    if not isinstance(value, str) or value not in choices:
        raise refused(parameter, f"{value!r} is not known", f"Write one of {', '.join(choices)}.")
    return value
