"""The text of `doit why`: from the task that was asked for down to what is not as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from finnmake.engine.explain import Difference, Lines
from finnmake.exploration.drawing import cut, printable
from finnmake.tasks.reasons import Reason, StepReason
from finnmake.tasks.standing import FRESH

#: So many lines of a text, and so many differences, are shown.
_LINES = 6
_SHOWN = 12

#: Characters of a value, and of a line of text.
_LONGEST = 80

#: So many hexadecimal digits of a digest.
_DIGITS = 12


def why_text(task: str, chain: Sequence[Reason], everything: bool) -> str:
    """Why one task would run.

    Args:
        task: the one that was asked for.
        chain: it, and all before it that would run, the first ones first.
        everything: whether no difference is left out.
    """
    return "".join(f"{line}\n" for line in _lines(task, chain, everything))


def _lines(task: str, chain: Sequence[Reason], everything: bool) -> Iterator[str]:
    asked = chain[-1]
    if asked.stands == FRESH:
        yield f"{task} is up to date"
        yield from (f"  it uses {printable(name)}" for name in _some(asked.uses, everything, "files"))
        return
    own = [reason for reason in chain if reason.differences]
    if not asked.differences:
        yield f"{task} would run if {_and(asked.because, 'or')} leaves something else than before"
    for same in _alike(own):
        names = [reason.task for reason in same]
        yield f"{_tasks(names)} would run:"
        yield from differences_lines(same[0].differences, everything)
        yield from _near(same[0], everything)
        steps = [reason.step for reason in same if reason.step is not None]
        yield from _step(steps[0] if steps else None, same[0].differences, everything)
    yield from _links(task, chain)


def _alike(reasons: Sequence[Reason]) -> list[list[Reason]]:
    """Tasks that would run for the same reason, together."""
    found: dict[tuple[Difference, ...], list[Reason]] = {}
    for reason in reasons:
        told = tuple(each for each in reason.differences if each.kind != "output") or reason.differences
        found.setdefault(_hashable(told), []).append(reason)
    return list(found.values())


def _hashable(differences: Sequence[Difference]) -> Any:
    return tuple((each.kind, each.name, repr(each.old), repr(each.new)) for each in differences)


def _links(task: str, chain: Sequence[Reason]) -> Iterator[str]:
    """How the first reason leads to the task."""
    by_name = {reason.task: reason for reason in chain}
    name, path = task, [task]
    while by_name[name].because:
        name = by_name[name].because[-1]
        path.append(name)
    if len(path) > 2:
        yield f"the chain: {' -> '.join(reversed(path))}"


def _near(reason: Reason, everything: bool) -> Iterator[str]:
    if reason.near:
        yield f"  the nearest that was built is {reason.near}; this one differs in:"
        yield from _indented(differences_lines(reason.unlike, everything))


def _step(step: StepReason | None, told: Sequence[Difference], everything: bool) -> Iterator[str]:
    if step is None:
        return
    head = f"  the first step to run is {step.name}, step {step.position} of {step.count}"
    new = [
        each for each in step.differences if (each.kind, each.name) not in {(d.kind, d.name) for d in told}
    ]
    if len(new) < len(step.differences):
        same = _and([_named(each) for each in step.differences if each not in new])
        yield f"{head}, for {same}{', and:' if new else ''}"
    else:
        yield f"{head}:"
    yield from _indented(differences_lines(new, everything))


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def differences_lines(differences: Sequence[Difference], everything: bool) -> Iterator[str]:
    """Differences one below the other; of many the first, unless nothing is to be left out."""
    shown = differences if everything else differences[:_SHOWN]
    for each in shown:
        yield from (f"  {line}" for line in difference_lines(each, everything))
    if len(shown) < len(differences):
        yield f"  and {len(differences) - len(shown):,} more (--all shows them)"


def difference_lines(each: Difference, everything: bool = False) -> Iterator[str]:
    """One difference: what, where, old and new value."""
    if each.lines:
        for at, lines in enumerate(each.lines):
            yield f"{'file ' if not at else '     '}{printable(each.name)} {_range(lines)}"
            yield from _old_and_new(lines, everything)
        return
    yield _SENTENCES.get(each.kind, _values)(each)


def _range(lines: Lines) -> str:
    if lines.last < lines.first:
        return f"before line {lines.first}"
    return f"line {lines.first}" if lines.first == lines.last else f"lines {lines.first}-{lines.last}"


def _old_and_new(lines: Lines, everything: bool) -> Iterator[str]:
    for mark, texts in (("-", lines.old), ("+", lines.new)):
        shown = texts if everything else texts[:_LINES]
        yield from (f"  {mark} {cut(printable(text), _LONGEST)}".rstrip() for text in shown)
        if len(shown) < len(texts):
            yield f"  {mark} … {len(texts) - len(shown):,} more lines"


def _values(each: Difference) -> str:
    return f"{_named(each)}: {_value(each.old)} -> {_value(each.new)}"


def _named(each: Difference) -> str:
    return f"{each.kind} {printable(each.name)}"


def _value(value: Any) -> str:
    return "not set" if value is None else cut(printable(json.dumps(value, ensure_ascii=False)), _LONGEST)


def _file(each: Difference) -> str:
    if each.old is None:
        return f"{_named(each)}: it was not there"
    if each.new is None:
        return f"{_named(each)}: it is gone"
    return f"{_named(each)}: content {each.old[:_DIGITS]}… -> {each.new[:_DIGITS]}…"


def _folder(each: Difference) -> str:
    if each.known:
        return f"{_named(each)}: it {'was not there' if each.old is None else 'is gone'}"
    return f"{_named(each)}: other names are in it"


def _fields(each: Difference) -> str:
    old, new = set(each.old or ()), set(each.new or ())
    came = [f"{name} is set now" for name in sorted(new - old)]
    went = [f"{name} is not set any more" for name in sorted(old - new)]
    return f"the fields that are set: {', '.join([*came, *went])}"


def _step_list(each: Difference) -> str:
    old, new = (", ".join(value) if value else "none" for value in (each.old, each.new))
    return cut(printable(f"{each.name}: {old} -> {new}"), 3 * _LONGEST)


def _toolchain(each: Difference) -> str:
    if not each.known:
        return "toolchain: it is another one; the parts of the old one are not kept"
    if each.name in _DIGESTS or each.name.startswith("contents."):
        return f"toolchain {each.name}: {_DIGESTS.get(each.name, 'other sources than before')}"
    return _values(each)


#: Parts of the toolchain that are digests, and what it says that one is another.
_DIGESTS = {
    "finnmake": "finnmake's own modules that run inside steps are others",
    "adapter.modules": "the backend's own modules are others",
    "adapter.sources": "the backend's own sources are others",
}

_RECORDS = {
    "never": "it has not been built in this folder yet, or did not end well",
    "unsteady": "a file changed while it last ran, or not all that it read is known",
    "unknown": "its record does not say; `doit info` may",
}

#: Kind of a difference -> how it is told.
_SENTENCES: dict[str, Callable[[Difference], str]] = {
    "file": _file,
    "folder": _folder,
    "fields": _fields,
    "step": _step_list,
    "toolchain": _toolchain,
    "record": lambda each: (
        _RECORDS.get(each.name) or f"its last build ended as {each.old}: {printable(each.new)}"
    ),
    "output": lambda each: f"{_named(each)}: it {'is' if each.new == 'missing' else 'was'} {each.new}",
    "presence": lambda each: f"presence of {printable(each.name)}: {each.old} -> {each.new}",
    "paths": lambda each: (
        f"paths {each.name}, which generated code holds: {_value(each.old)} -> {_value(each.new)}"
    ),
    "modules": lambda each: "finnmake's own modules that write the outputs are others",
    "dependency": lambda each: (
        f"{_named(each)}: it is {'used now' if each.old is None else 'not used any more'}"
    ),
    "result": lambda each: f"the result of {each.name} in the store is damaged or incomplete",
    "model": lambda each: f"the model it starts from: {each.name} left another one than in the last build",
    "made": lambda each: f"{each.name}: another model came of it",
    "trace": lambda each: f"the store knows no run of {each.name} on this model with this toolchain",
}


def _some(names: Sequence[str], everything: bool, noun: str) -> Iterator[str]:
    shown = names if everything else names[:_SHOWN]
    yield from shown
    if len(shown) < len(names):
        yield f"{len(names) - len(shown):,} more {noun} (--all shows them)"


def _tasks(names: Sequence[str]) -> str:
    """Tasks of one configuration: `preprocess and finn of config_001`."""
    groups, owners = zip(*(name.split(":", 1) for name in names), strict=True)
    if len(names) == 1 or len(set(owners)) > 1:
        return _and(names)
    return f"{_and(groups)} of {owners[0]}"


def _and(names: Sequence[str], word: str = "and") -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"
