"""In what an image differs from the pinned one, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finnmake.engine.runtime.image_lock import Layer, PinnedImage

#: Of one kind of difference no more than this is listed.
_LISTED = 10


def differences(pinned: PinnedImage, found: PinnedImage) -> list[str]:
    """In what an image differs from the pinned one, the cause before the effect; empty where it does not."""
    if pinned.id == found.id:
        return []
    told = _contents(pinned, found) if found.fingerprint else []
    alike = bool(found.fingerprint) and not told
    told += _layers(pinned.layers, found.layers)
    if alike:
        what = "time stamps or other bytes of files" if pinned.layers != found.layers else "its time stamps"
        told.append(f"all packages are the same: only {what}, and so its id, differ")
    return [*told, f"id: pinned {pinned.id}, found {found.id}"]


def _contents(pinned: PinnedImage, found: PinnedImage) -> list[str]:
    told = [
        *_changed("Debian package", pinned.system, found.system),
        *_toolchain(pinned.toolchain, found.toolchain),
    ]
    if not told and pinned.fingerprint != found.fingerprint:
        told.append("it was made from another base image, requirements.lock or Dockerfile")
    return told


def _toolchain(pinned: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    told = _changed("Python package", pinned["packages"], found["packages"])
    if pinned["python"] != found["python"]:
        told.append(f"Python: pinned {pinned['python']}, found {found['python']}")
    for name, digest in pinned["contents"].items():
        if name in found["contents"] and found["contents"][name] != digest:
            told.append(f"the files of the Python package {name} differ")
    return told


def _changed(kind: str, pinned: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    told = []
    for name in sorted({*pinned, *found}):
        before, now = pinned.get(name), found.get(name)
        if before != now:
            told.append(f"{kind} {name}: pinned {before or 'not there'}, found {now or 'not there'}")
    more = len(told) - _LISTED
    return [*told[:_LISTED], f"… and {more} more of them"] if more > 0 else told


def _layers(pinned: tuple[Layer, ...], found: tuple[Layer, ...]) -> list[str]:
    for number, (before, now) in enumerate(zip(pinned, found, strict=False), 1):
        if before.id != now.id:
            by = _brief(now.made_by)
            return [f"the first layer that differs is {number} of {len(found)}, made by: {by}"]
    if len(pinned) != len(found):
        return [f"it has {len(found)} layers, the pinned one has {len(pinned)}"]
    return []


def _brief(instruction: str) -> str:
    text = " ".join(instruction.split())
    return text if len(text) <= 120 else f"{text[:119]}…"
