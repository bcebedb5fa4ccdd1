"""The pages of an archive: its README, from the project's templates, and its script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from finnmake.errors import Location, WorkspaceError
from finnmake.tasks.archived import Archived
from finnmake.templating import environment

_FOLDER = "archive"
README, SCRIPT = "README.md", "reproduce.py"

#: Metric -> its words and how it is written.
_FIGURES = {
    "throughput": ("throughput", "{:,.0f} inferences/s"),
    "latency": ("latency", "{:,.2f} µs"),
    "clock_frequency": ("clock", "{:,.1f} MHz"),
    "lut_utilization": ("LUT", "{:.1%}"),
    "bram_utilization": ("BRAM", "{:.1%}"),
    "uram_utilization": ("URAM", "{:.1%}"),
    "dsp_utilization": ("DSP", "{:.1%}"),
    "total_power": ("power", "{:.2f} W"),
    "accuracy": ("accuracy (top-1)", "{:.2%}"),
}


def pages(
    templates: Path, archived: Archived, manifest: Mapping[str, Any], metrics: Mapping[str, Any]
) -> dict[str, bytes]:
    """Name -> content.

    Args:
        templates: the project's folder of templates.
        archived: what the archive says of itself.
        manifest: of the build.
        metrics: its metrics.json.

    Raises WorkspaceError where a template is missing or has an error.
    """
    values = {
        "name": archived.name,
        "blueprint": archived.blueprint,
        "config_id": archived.config_id,
        "backend": archived.backend,
        "simulated": archived.simulated,
        "runtime": archived.runtime,
        "model": manifest["model"]["path"],
        "python": manifest["toolchain"]["python"],
        "tools": _tools(manifest["toolchain"]["tools"]),
        "version": metadata.version("finnmake"),
        "figures": list(_figures(metrics)),
        "notes": list(_notes(archived)),
    }
    script = templates / _FOLDER / SCRIPT
    try:
        return {README: _rendered(templates, values).encode(), SCRIPT: script.read_bytes()}
    except OSError as error:
        raise WorkspaceError(
            f"the script cannot be read: {error.strerror}", where=Location(path=script), cure=_CURE
        ) from error


_CURE = "Restore it from version control."


def _rendered(templates: Path, values: Mapping[str, Any]) -> str:
    import jinja2

    name = f"{_FOLDER}/{README}.j2"
    try:
        return environment(templates).get_template(name).render(values)
    except jinja2.TemplateNotFound as error:
        raise WorkspaceError(
            "the template is missing", where=Location(path=templates / name), cure=_CURE
        ) from error
    except jinja2.TemplateError as error:
        raise WorkspaceError(
            f"the template has an error: {error}",
            where=Location(path=templates / name, line=getattr(error, "lineno", None)),
            cure="Correct it, or restore it from version control.",
        ) from error


def _figures(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, (label, form) in _FIGURES.items():
        value = metrics.get(name)
        if isinstance(value, int | float):
            yield label, form.format(value)


def _tools(tools: Mapping[str, Any]) -> str:
    return f"Vivado {tools['version']}" if "version" in tools else ""


def _notes(archived: Archived) -> Iterator[str]:
    if archived.switches:
        listed = ", ".join(f"`{name}={value}`" for name, value in sorted(archived.switches.items()))
        yield f"Variables that FINN reads were set: {listed}. The script sets them too."
    if archived.paths:
        yield (
            "Steps of this build generated code, whose files hold the path of the store. Only in a container "
            "or sandbox is that the same everywhere; elsewhere those files differ in it."
        )
    if archived.placeholders:
        listed = ", ".join(f"`{name}`" for name in archived.placeholders)
        yield f"Empty here, as the build saw their names and never read them: {listed}."
    if archived.beside:
        yield (
            "Installed where it was built, and not in `project/requirements.lock`: "
            f"{', '.join(archived.beside)}. They took no part if the rebuild is the same."
        )
