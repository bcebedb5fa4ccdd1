"""The backends that a blueprint may name where nobody says what is installed: finnmake's own."""

from __future__ import annotations

from finnmake.blueprint import schema
from finnmake.blueprint.names import did_you_mean
from finnmake.errors import BlueprintError


class OwnBackends:
    """A `BackendCatalog` of finnmake's own backends."""

    def find(self, name: str) -> tuple[str, tuple[str, ...]]:
        """The backend's own name, and the output stages that it reaches. Raises BlueprintError."""
        own = schema.BACKEND_ALIASES.get(name, name)
        if own not in schema.BACKEND_STAGES:
            known = [*schema.BACKEND_STAGES, *schema.BACKEND_ALIASES]
            raise BlueprintError(
                f"there is no backend {name!r}",
                cure=f"{did_you_mean(name, known)} There are {', '.join(known)}.".strip(),
            )
        return own, schema.BACKEND_STAGES[own]
