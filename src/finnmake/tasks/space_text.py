"""The design space in words and tables, for a terminal: the text of `doit space`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finnmake.blueprint.slots import FIELD, KERNEL, STEP
from finnmake.exploration.drawing import collapsed, cut, entry_text, printable

if TYPE_CHECKING:
    from rich.table import Table

#: Options of an axis that are shown, and characters of each; the number of options stands beside them.
_MOST_OPTIONS, _LONGEST_OPTION = 12, 60

#: Characters of a fixed value that are shown.
_LONGEST_VALUE = 200

_Rows = Iterator[tuple[str, str]]


def space_text(described: Mapping[str, Any], width: int, ascii_only: bool) -> str:
    """What `describe` gave, as text of so many columns."""
    from rich.console import Console
    from rich.text import Text

    stream = io.StringIO()
    console = Console(file=stream, width=max(width, 60), color_system=None, legacy_windows=False)
    title = described["name"] + (f": {described['description']}" if described["description"] else "")
    console.print(Text(printable(title)))
    console.print()
    console.print(_pairs(_head(described)))
    if described["axes"]:
        console.print()
        console.print(_axes(described["axes"]))
    if described["fixed"]:
        console.print()
        console.print(_pairs(_fixed(described["fixed"]), "fixed"))
    console.print()
    console.print(_pairs(_search(described)))
    for note in described["notes"]:
        console.print(Text(f"\nnote: {printable(note)}"))
    text = "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())
    return text.replace("…", "...") if ascii_only else text


def _pairs(rows: _Rows, heading: str = "") -> Table:
    """Two columns without lines."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=bool(heading))
    table.add_column(heading, no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in rows:
        table.add_row(Text(key), Text(value))
    return table


def _axes(axes: Sequence[Mapping[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("axis", no_wrap=True)
    table.add_column("options", justify="right")
    table.add_column("", overflow="fold")
    for axis in axes:
        texts = [cut(_option(axis["kind"], option), _LONGEST_OPTION) for option in axis["options"]]
        if len(texts) > _MOST_OPTIONS:
            texts = [*texts[: _MOST_OPTIONS - 2], "…", texts[-1]]
        table.add_row(Text(_key(axis)), Text(f"{len(axis['options']):,}"), Text(" | ".join(texts)))
    return table


def _head(described: Mapping[str, Any]) -> _Rows:
    yield "blueprint", printable(described["blueprint"])
    yield "model", printable(described["model"])
    if described["model_info"]:
        yield from _model(described["model_info"])
    settings = described["global_config"]
    yield "backend", f"{described['backend']}, up to {settings['output_stage']}"
    if settings.get("timeout_seconds"):
        yield "timeout", f"{settings['timeout_seconds']:,} s a step"


def _model(info: Mapping[str, Any]) -> _Rows:
    for key in ("inputs", "outputs"):
        for tensor in info[key]:
            shape = " x ".join(str(size or "?") for size in tensor["shape"])
            yield (
                f"  {key.removesuffix('s')}",
                f"{printable(tensor['name'])}: {shape or 'scalar'} {tensor['datatype']}",
            )
    yield "  operators", _tally(info["operators"])
    for what, types in info["quantisation"].items():
        yield f"  {what}", _tally(types) or "not quantised"
    yield "  parameters", f"{info['parameters']:,} ({info['parameter_bits'] / 8192:,.1f} KiB)"
    macs = info["macs"]
    yield (
        "  MACs",
        "not known: a dimension of the input is open" if macs is None else f"{macs:,} an inference",
    )


def _tally(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{printable(name)} ({count:,})" for name, count in counts.items())


def _fixed(slots: Sequence[Mapping[str, Any]]) -> _Rows:
    """What has no choice: fields and kernels one by one, the others by the list that they belong to."""
    lists: dict[str, list[Any]] = {}
    for slot in slots:
        if slot["kind"] in (FIELD, KERNEL):
            yield _key(slot), cut(_option(slot["kind"], slot["option"]), _LONGEST_VALUE)
        else:
            lists.setdefault("steps" if slot["kind"] == STEP else f"transforms.{slot['name']}", []).extend(
                slot["option"]
            )
    for name, entries in lists.items():
        if entries:
            yield name, ", ".join(collapsed(entries))


def _search(described: Mapping[str, Any]) -> _Rows:
    for name in ("constraints", "limits"):
        for at, text in enumerate(described[name]):
            yield "" if at else name, printable(text)
    if described["objectives"]:
        yield "objectives", ", ".join(f"{each['goal']} {each['metric']}" for each in described["objectives"])
    yield "search", _strategy(described["search"])
    product, combinations, selected = (described[key] for key in ("product", "combinations", "selected"))
    yield "combinations", f"{product:,}"
    if described["constraints"]:
        yield "  allowed", "not counted" if combinations is None else f"{combinations:,}"
    yield "  selected", "none, see the error" if selected is None else f"{selected:,}"


def _strategy(search: Mapping[str, Any]) -> str:
    parts = [search["strategy"]]
    if search["strategy"] == "random":
        parts = [f"random: {search['samples']:,} samples, seed {search['seed']}"]
    if search["max_builds"] is not None:
        parts.append(f"the first {search['max_builds']:,} builds")
    if search["timeout_seconds"] is not None:
        parts.append(f"{search['timeout_seconds']:,} s a build")
    parts += [name.replace("_", " ") for name in ("fail_fast", "early_stop") if search[name]]
    return ", ".join(parts)


def _key(slot: Mapping[str, Any]) -> str:
    key = f"kernels.{slot['name']}" if slot["kind"] == KERNEL else slot["key"].removeprefix("design_space.")
    return printable(key)


def _option(kind: str, option: Any) -> str:
    """One option as in a blueprint: `~` for nothing."""
    if kind == FIELD:
        return printable(option if isinstance(option, str) else json.dumps(option, ensure_ascii=False))
    if kind == KERNEL:
        attributes = [f"{name}={json.dumps(value)}" for name, value in option["attributes"].items()]
        return printable(", ".join([*option["backends"], *attributes])) or "~"
    return ", ".join(map(entry_text, option)) or "~"
