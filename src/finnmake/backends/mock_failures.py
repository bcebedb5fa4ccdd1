"""What `mock` of a blueprint asks for: which calls of a simulated build wait, and how it fails.

Runs where the flow is made, not in the worker: a failure is a parameter of the call that it strikes, so that
configurations share all the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from finnmake.engine.state import StepCall
from finnmake.hashing import digest_value
from finnmake.records import BuildConfig

#: Hexadecimal digits of the draw.
_DIGITS = 13


def behaving(config: BuildConfig, calls: Sequence[StepCall]) -> list[StepCall]:
    """The calls of a configuration, each waiting, and the last of them failing, as its blueprint asks.

    What a step's own parameters say comes first.
    """
    asked: Mapping[str, Any] = config.global_config.get("mock", {})
    waits = {"sleep": asked["delay"]} if "delay" in asked else {}
    found = [replace(call, parameters={**waits, **call.parameters}) for call in calls]
    category = drawn(config.content_id, asked.get("failures", {}))
    if found and category is not None:
        found[-1] = replace(found[-1], parameters={"fail": category, **found[-1].parameters})
    return found


def drawn(content_id: str, rates: Mapping[str, float]) -> str | None:
    """The category that a configuration fails with, or None: by its content alone, the same each time.

    Args:
        rates: category -> the part of all configurations, 0 to 1, that fails with it. One that fails still
            does when its rate is raised; changing the rate of one category may move others.
    """
    draw = int(digest_value("mock failure", content_id)[:_DIGITS], 16) / 16**_DIGITS
    for category, rate in sorted(rates.items()):
        if draw < rate:
            return category
        draw -= rate
    return None
