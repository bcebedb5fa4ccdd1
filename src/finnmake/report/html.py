"""The pages of one build: each an HTML file that needs nothing else, equal for equal builds."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.errors import Location, WorkspaceError
from finnmake.records import BuildConfig, BuildResult
from finnmake.report.failure import failure_page
from finnmake.report.view import page
from finnmake.templating import environment

if TYPE_CHECKING:
    import jinja2

TEMPLATE = "report.html.j2"
FAILURE_TEMPLATE = "failure.html.j2"


@dataclass(frozen=True)
class Pages:
    """The pages of builds, from the project's folder of templates: a `runner.build.Pages`."""

    templates: Path

    def report(self, folder: Path) -> str:
        """The report of the build in `folder`, see `render`."""
        return render(folder, self.templates)

    def failure(self, result: BuildResult, config: BuildConfig) -> str:
        """What went wrong in a build, see `render_failure`."""
        return render_failure(result, config, self.templates)


def render(build_dir: Path, templates: Path) -> str:
    """The report of the build in `build_dir`, as the text of an HTML page.

    Args:
        build_dir: holds `config.json`, `metrics.json`, `manifest.json`, `artifacts/report/` and
            `postprocessing/`; what is missing or not readable is said on the page.
        templates: the project's folder of templates, with `report.html.j2`.

    Raises:
        WorkspaceError: the template is missing or has an error.
    """
    return _rendered(TEMPLATE, page(build_dir), templates)


def render_failure(result: BuildResult, config: BuildConfig, templates: Path) -> str:
    """What went wrong in a build, as the text of an HTML page.

    Args:
        templates: the project's folder of templates, with `failure.html.j2`.

    Raises:
        WorkspaceError: the template is missing or has an error.
    """
    return _rendered(FAILURE_TEMPLATE, failure_page(result, config), templates)


def _rendered(name: str, values: Mapping[str, Any], templates: Path) -> str:
    import jinja2

    try:
        html = _environment(templates).get_template(name).render(values)
    except jinja2.TemplateError as error:
        where = Location(templates / name, line=getattr(error, "lineno", None))
        raise _unusable(error.message or type(error).__name__, where) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise _unusable(f"{type(error).__name__}: {error}", _place(error, templates / name)) from error
    return html.encode("utf-8", "replace").decode("utf-8")  # JSON text may hold halves of surrogate pairs


def _unusable(reason: str, where: Location) -> WorkspaceError:
    return WorkspaceError(
        f"the report template cannot be used ({reason})", where=where, cure="Mend or restore it."
    )


def _place(error: Exception, template: Path) -> Location:
    """The line of the template that raised: Jinja puts the template's own lines into the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(template)]
    return Location(template, line=lines[-1] if lines else None)


@functools.cache
def _environment(templates: Path) -> jinja2.Environment:
    """Jinja's environment, which compiles a template once and again only when its file changes."""
    from finnmake.report.bytecode import Bytecode

    found = environment(templates, autoescape=True)
    found.bytecode_cache = Bytecode(templates)
    return found
