"""The design that a build of the backend open_rtl left: taken out of its folder, as the manifest tells it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.errors import FinnmakeError, Location, WorkspaceError
from finnmake.hashing import digest_file
from finnmake.records import BuildConfig

if TYPE_CHECKING:
    from finnmake.backends.open_rtl.design import Design

#: In `artifacts/`, see `finnmake.backends.open_rtl.steps`.
_PLACE = "open_rtl/rtl/"


def take(build: Path, config: BuildConfig, folder: Path) -> Design:
    """Copy the design of a build, whether the build is up to date or not.

    Each file is compared with what the manifest says of it: a build that runs at the moment may replace them.

    Args:
        build: the configuration's folder.
        folder: for the design's files; it is made.

    Raises:
        WorkspaceError: it is not built, or not so far; a file is not what was built.
    """
    files = _files(build, config)
    folder.mkdir()
    for name, digest in files.items():
        source, copy = build / "artifacts" / _PLACE / name, folder / name
        try:
            shutil.copyfile(source, copy)
        except OSError as error:
            raise _wrong(config, f"{_PLACE}{name} cannot be read ({error.strerror or error})") from error
        if digest_file(copy) != digest:
            raise _wrong(config, f"{_PLACE}{name} is not what was built")
    return _read(folder, config)


def _files(build: Path, config: BuildConfig) -> Mapping[str, str]:
    """Name of each of the design's files -> its digest."""
    path = build / "manifest.json"
    try:
        outputs: Any = json.loads(path.read_bytes())["outputs"]
        files = {
            name.removeprefix(_PLACE): digest for name, digest in outputs.items() if name.startswith(_PLACE)
        }
    except FileNotFoundError as error:
        raise _wrong(config, "it is not built") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _wrong(config, "its manifest.json cannot be read") from error
    if "design.json" not in files:
        stage = config.global_config.get("output_stage")
        raise WorkspaceError(
            f"its build ends before the design is stitched (output_stage {stage})",
            where=Location(key=config.id),
            cure="Build it further: output_stage: RTL or STITCHED_IP in the blueprint.",
        )
    return files


def _read(folder: Path, config: BuildConfig) -> Design:
    from finnmake.backends.open_rtl import design as designs

    try:
        return designs.read(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _wrong(config, f"{_PLACE}{designs.FILE} is of another finnmake") from error


def _wrong(config: BuildConfig, why: str) -> FinnmakeError:
    return WorkspaceError(why, where=Location(key=config.id), cure=f"Build it first: doit build:{config.id}")
