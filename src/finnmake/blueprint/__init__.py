"""Blueprints: YAML -> DesignSpace, checked against the facts of the installed FINN without importing it."""
