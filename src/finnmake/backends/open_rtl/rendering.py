"""Text from the templates of this package."""

from __future__ import annotations

from typing import Any


def render(template: str, **values: Any) -> str:
    """A template of `templates/` with these values; a name that it does not know is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("finnmake.backends.open_rtl"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(template).render(**values)
