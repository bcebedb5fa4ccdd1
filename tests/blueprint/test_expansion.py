"""Generated spaces of branches, ranges, kernels, stages and operations, against an expansion of their own."""

from __future__ import annotations

import operator
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import yaml
from blueprint_samples import KnownParts
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from finnmake.blueprint.loader import forge
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import FinnCatalog

same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

NAMES = [f"a.s{at}" for at in range(6)]
STAGE = "mid"

#: A place as it is written, and what may stand there.
Written = tuple[Any, list[tuple[Any, ...]]]


@st.composite
def entries(draw: st.DrawFn, key: str) -> Written:
    """A name, an optional one, or one with parameters."""
    name = draw(st.sampled_from(NAMES))
    form = draw(st.sampled_from(["name", "optional", "parameters"]))
    if form == "optional":
        return f"~{name}", [(name,), ()]
    if form == "name":
        return name, [(name,)]
    values = st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True)
    axes: dict[str, list[int]] = draw(st.dictionaries(st.sampled_from("kl"), values, min_size=1))
    options = [
        ({key: name, "parameters": dict(zip(axes, each, strict=True))},) for each in product(*axes.values())
    ]
    return {key: name, "parameters": axes}, options


@st.composite
def places(draw: st.DrawFn, key: str, depth: int = 2) -> Written:
    """What may stand in a list: an entry or a branch."""
    if depth == 0 or draw(st.booleans()):
        return draw(entries(key))
    written: list[Any] = []
    options: list[tuple[Any, ...]] = []
    for _ in range(draw(st.integers(1, 3))):
        form = draw(st.sampled_from(["nothing", "entry", "sequence"]))
        if form == "nothing":
            new: Written = draw(st.sampled_from([None, "~"])), [()]
        elif form == "entry":
            new = draw(entries(key))
        else:
            new = in_a_row(draw(st.lists(places(key, depth - 1), min_size=1, max_size=3)))
        if distinct([*options, *new[1]]):
            written.append(new[0])
            options += new[1]
    return (written, options) if written else draw(entries(key))


def in_a_row(parts: list[Written]) -> Written:
    """A sequence: one of each, one after the other."""
    options = [sum(each, ()) for each in product(*(options for _, options in parts))]
    return [written for written, _ in parts], options


def distinct(options: list[tuple[Any, ...]]) -> bool:
    return all(option not in options[:at] for at, option in enumerate(options))


@st.composite
def ranges(draw: st.DrawFn) -> tuple[Any, list[int]]:
    first, count = draw(st.integers(1, 50)), draw(st.integers(1, 4))
    if draw(st.booleans()):
        step = draw(st.integers(1, 9))
        last = first + step * (count - 1) + draw(st.integers(0, step - 1))
        return {"from": first, "to": last, "step": step}, [first + step * at for at in range(count)]
    factor = draw(st.integers(2, 4))
    values = [first * factor**at for at in range(count)]
    return {"from": first, "to": values[-1], "factor": factor}, values


@st.composite
def kernels(draw: st.DrawFn) -> tuple[Any, list[Any]]:
    orders = [["MVAU_rtl"], ["MVAU_hls"], ["MVAU_rtl", "MVAU_hls"], ["MVAU_hls", "MVAU_rtl"]]
    chosen = draw(st.lists(st.sampled_from(orders), max_size=3, unique_by=tuple))
    styles = draw(st.lists(st.sampled_from(["lut", "dsp", "auto"]), max_size=2, unique=True))
    spec: dict[str, Any] = (
        {"choose": [each[0] if len(each) == 1 else each for each in chosen]} if chosen else {}
    )
    if styles:
        spec["attributes"] = {"resType": styles}
    attributes: list[dict[str, str]] = [{"resType": style} for style in styles] or [{}]
    return spec, [{"backends": b, "attributes": a} for b in chosen or [[]] for a in attributes]


@st.composite
def step_lists(draw: st.DrawFn) -> tuple[list[Any], list[list[tuple[Any, ...]]]]:
    """Steps with the stage `mid` among them."""
    parts = draw(st.lists(places("step"), max_size=3))
    stage = {"stage": STAGE}
    at = draw(st.integers(0, len(parts)))
    staged: Written = (stage, [(stage,)])
    if draw(st.booleans()):
        staged = [stage, None], [(stage,), ()]
    parts.insert(at, staged)
    parts.append(("step_specialize_layers", [("step_specialize_layers",)]))  # it reads the kernels
    return [written for written, _ in parts], [options for _, options in parts]


@st.composite
def spaces(draw: st.DrawFn) -> tuple[dict[str, Any], list[tuple[str, str, list[Any]]]]:
    """`design_space` as written, and (kind, name, options) of every slot in order."""
    written: dict[str, Any] = {}
    slots: list[tuple[str, str, list[Any]]] = []
    for section in draw(st.permutations(["config", "transforms", "steps", "kernels"])):
        if section == "config":
            rates, values = draw(ranges())
            written["config"] = {"target_fps": rates, "mlo": [False, True]}
            slots += [("field", "target_fps", values), ("field", "mlo", [False, True])]
        elif section == "transforms":
            written["transforms"] = {}
            for stage in draw(st.permutations(["pre_proc", STAGE])):
                parts = draw(st.lists(places("name", 1), max_size=2))
                written["transforms"][stage] = [each for each, _ in parts]
                slots += [("transform", stage, options) for _, options in parts]
        elif section == "steps":
            written["steps"], options = draw(step_lists())
            slots += [("step", "", each) for each in options]
        else:
            spec, options = draw(kernels())
            written["kernels"] = {"MVAU": spec}
            slots += [("kernel", "MVAU", options)]
    assume(prod(len(options) for _, _, options in slots) <= 2000)
    return written, slots


def expanded(slots: list[tuple[str, str, list[Any]]]) -> list[dict[str, Any]]:
    """All points, the last slot varying fastest."""
    points = []
    for chosen in product(*(options for _, _, options in slots)):
        point: dict[str, Any] = {"flags": {}, "stages": {"pre_proc": [], STAGE: [], "post_proc": []}}
        point |= {"steps": [], "kernels": []}
        for (kind, name, _), option in zip(slots, chosen, strict=True):
            if kind == "field":
                point["flags"][name] = option
            elif kind == "transform":
                point["stages"][name] += option
            elif kind == "step":
                point["steps"] += option
            else:
                point["kernels"].append((name, option["backends"], option["attributes"]))
        points.append(point)
    return points


def read_points(space: DesignSpace) -> list[dict[str, Any]]:
    return [
        {
            "flags": point.flags,
            "stages": point.transforms_by_stage,
            "steps": list(point.build_steps),
            "kernels": [
                (name, list(backends), point.kernel_attributes.get(name, {}))
                for name, backends in point.kernels
            ],
        }
        for point in space
    ]


def load(project: Path, *files: dict[str, Any]) -> DesignSpace:
    """The last of some blueprints, each of which extends the one before."""
    for at, content in enumerate(files):
        extends = {"extends": f"b{at - 1}.yaml"} if at else {}
        whole = {"name": f"b{at}", "model": "../models/net.onnx", **extends, **content}
        (project / f"blueprints/b{at}.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    file = Path(f"blueprints/b{len(files) - 1}.yaml")
    return forge(file, project, known=FinnCatalog(), known_parts=KnownParts())


@same_folder
@given(spaces())
def test_every_point_and_no_other(
    project: Path, case: tuple[dict[str, Any], list[tuple[str, str, list[Any]]]]
) -> None:
    written, slots = case
    space = load(project, {"design_space": written})
    points = expanded(slots)
    assert read_points(space) == points
    assert space.get_total_combinations() == space.size == len(points)


def named(entry: Any) -> str:
    return entry if isinstance(entry, str) else entry.get("step") or entry.get("name") or entry["stage"]


#: A constraint, and what it means of a point.
constraints = st.one_of(
    st.tuples(st.sampled_from(["<", ">=", "=="]), st.integers(1, 60)).map(
        lambda each: (
            f"target_fps {each[0]} {each[1]}",
            lambda point: {"<": operator.lt, ">=": operator.ge, "==": operator.eq}[each[0]](
                point["flags"]["target_fps"], each[1]
            ),
        )
    ),
    st.sampled_from([*NAMES, STAGE]).map(
        lambda name: (
            f"'{name}' in steps or mlo",
            lambda point: name in map(named, point["steps"]) or point["flags"]["mlo"],
        )
    ),
    st.sampled_from(NAMES).map(
        lambda name: (
            f"'{name}' not in {STAGE}",
            lambda point: name not in map(named, point["stages"][STAGE]),
        )
    ),
    st.sampled_from(["MVAU_rtl", "MVAU_hls", ""]).map(
        lambda name: (f"MVAU != '{name}'", lambda point: [*point["kernels"][0][1], ""][0] != name)
    ),
)


@same_folder
@given(spaces(), st.lists(constraints, min_size=1, max_size=3))
def test_constraints_leave_what_they_say(
    project: Path,
    case: tuple[dict[str, Any], list[tuple[str, str, list[Any]]]],
    conditions: list[Any],
) -> None:
    written, slots = case
    space = load(project, {"design_space": written, "constraints": [text for text, _ in conditions]})
    points = [point for point in expanded(slots) if all(holds(point) for _, holds in conditions)]
    assert read_points(space) == points
    assert space.get_total_combinations() == len(points)
    assert bool(space.validate()) == (not points)


@st.composite
def edits(draw: st.DrawFn) -> tuple[list[list[Any]], list[str]]:
    """Lists of steps, each for a child of the one before, and the steps that are left at the end."""
    fresh = iter(f"b.s{at}" for at in range(1000))
    steps = [next(fresh) for _ in range(draw(st.integers(1, 4)))]
    layers: list[list[Any]] = [list(steps)]
    for _ in range(draw(st.integers(0, 3))):
        layer: list[Any] = []
        if draw(st.integers(0, 3)) == 0:
            steps = [next(fresh) for _ in range(2)]
            layer += steps
        for _ in range(draw(st.integers(1, 3))):
            operation, steps = draw(operations(steps, fresh))
            layer.insert(draw(st.integers(0, len(layer))) if not layer else len(layer), operation)
        layers.append(layer)
    return layers, steps


@st.composite
def operations(draw: st.DrawFn, steps: list[str], fresh: Any) -> tuple[dict[str, Any], list[str]]:
    new = [next(fresh) for _ in range(draw(st.integers(1, 2)))]
    content = new[0] if len(new) == 1 else new
    kind = draw(
        st.sampled_from(["at_start", "at_end", *(["after", "before", "replace", "remove"] if steps else [])])
    )
    if kind == "at_start":
        return {kind: {"insert": content}}, new + steps
    if kind == "at_end":
        return {kind: {"insert": content}}, steps + new
    at = draw(st.integers(0, len(steps) - 1))
    before, target, after = steps[:at], steps[at], steps[at + 1 :]
    if kind == "remove":
        return {kind: target}, before + after
    if kind == "replace":
        return {kind: target, "with": content}, before + new + after
    pair = [target, *new] if kind == "after" else [*new, target]
    return {kind: target, "insert": content}, before + pair + after


@same_folder
@given(edits())
def test_operations_through_any_number_of_files(
    project: Path, case: tuple[list[list[Any]], list[str]]
) -> None:
    layers, steps = case
    (point,) = load(project, *({"design_space": {"steps": layer}} for layer in layers))
    assert list(point.build_steps) == steps
