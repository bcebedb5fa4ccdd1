"""Text from the templates of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finnmake.templating import environment


def render(template: str, **values: Any) -> str:
    """A template of `templates/` with these values; a name that it does not know is an error."""
    return environment(Path(__file__).parent / "templates").get_template(template).render(**values)
