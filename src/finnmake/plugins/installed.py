"""The plugins of installed packages, found by the entry points of the group `finnmake.plugins`."""

from __future__ import annotations

from collections.abc import Iterator

from finnmake.errors import Location, PluginError
from finnmake.plugins.definitions import definitions, parse
from finnmake.plugins.entry_points import PLUGINS, EntryPointInfo, entry_points
from finnmake.plugins.locate import source_of
from finnmake.plugins.plugin import INSTALLED, Plugin, unreadable, without_stage

_CURE = "Mend the package, install another version of it, or uninstall it."


def installed_plugins() -> Iterator[Plugin | PluginError]:
    """Every plugin that an installed package brings, and an error for each entry point that brings none."""
    for entry in entry_points(PLUGINS):
        yield from _plugins_of(entry)


def _plugins_of(entry: EntryPointInfo) -> Iterator[Plugin | PluginError]:
    module, _, attribute = entry.value.partition(":")
    path = source_of(module) if all(part.isidentifier() for part in module.split(".")) else None
    if path is None:
        yield _broken(entry, f"there is no module {module!r}")
        return
    try:
        found = list(definitions(parse(path)))
    except (SyntaxError, OSError, ValueError) as error:
        yield unreadable(error, path, f"a plugin of the package {entry.package}", _CURE)
        return
    wanted = [each for each in found if attribute in ("", each.name)]
    if not wanted:
        what = repr(attribute) if attribute else "no function or class"
        yield _broken(entry, f"{what} in {path} carries {'no' if attribute else 'a'} decorator of {PLUGINS}")
    for each in wanted:
        if each.stage is None:
            yield without_stage(each, path, entry.package, _CURE)
            continue
        yield Plugin(
            name=each.name,
            kind=each.kind,
            stage=each.stage,
            target=f"{module}:{each.name}",
            origin=INSTALLED,
            path=path,
            line=each.line,
            package=entry.distribution,
            version=entry.version,
        )


def _broken(entry: EntryPointInfo, why: str) -> PluginError:
    return PluginError(
        f"the package {entry.package} brings no plugin by its entry point {entry.name!r}: {why}",
        where=Location(key=f"{PLUGINS}: {entry.name} = {entry.value}"),
        cure=_CURE,
    )
