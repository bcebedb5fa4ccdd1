"""What the built-in transforms say of parameters that cannot be, and of models that they cannot work on."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Any

from finnmake.errors import BlueprintError, FinnmakeError, Location

#: What ONNX Runtime, which has no exception of its own for it, says where memory runs out.
_MEMORY = re.compile(r"bad[_ ]alloc|failed to allocate memory|out of memory", re.IGNORECASE)


class TransformError(FinnmakeError):
    """A transform cannot do with this model what it is for."""

    category = "preprocessing"


def refused(parameter: str, message: str, cure: str) -> BlueprintError:
    """The error for a parameter, `transform.parameter`."""
    return BlueprintError(message, where=Location(key=parameter), cure=cure)


def raise_if_memory_ran_out(error: Exception) -> None:
    """Raise MemoryError where ONNX Runtime failed for that: no fault of the model, and to be tried again."""
    if isinstance(error, MemoryError) or _MEMORY.search(str(error)):
        raise MemoryError(f"ONNX Runtime: {error}") from error


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
