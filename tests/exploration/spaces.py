"""Design spaces for tests: a small one, and random ones of every kind of slot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from finnmake.blueprint.expressions import Expression
from finnmake.blueprint.slots import FIELD, KERNEL, STEP, TRANSFORM, HWCompilerSpace, Slot
from finnmake.blueprint.space import MAX_COMBINATIONS, DesignSpace, SearchConfig
from finnmake.errors import Location


def fields(values: Mapping[str, Sequence[Any]]) -> list[Slot]:
    return [
        Slot(FIELD, name, tuple(options), f"design_space.config.{name}") for name, options in values.items()
    ]


def steps(*places: Sequence[Sequence[Any]]) -> list[Slot]:
    return _sequences(STEP, "", "design_space.steps", places)


def transforms(stage: str, *places: Sequence[Sequence[Any]]) -> list[Slot]:
    return _sequences(TRANSFORM, stage, f"design_space.transforms.{stage}", places)


def kernel(name: str, *options: tuple[Sequence[str], Mapping[str, Any]]) -> Slot:
    made = tuple({"backends": list(backends), "attributes": dict(attrs)} for backends, attrs in options)
    return Slot(KERNEL, name, made, f"design_space.kernels.{name}")


def _sequences(kind: str, name: str, key: str, places: Sequence[Sequence[Sequence[Any]]]) -> list[Slot]:
    return [
        Slot(kind, name, tuple(tuple(option) for option in options), f"{key}[{at}]")
        for at, options in enumerate(places)
    ]


def space_of(slots: Sequence[Slot], **changes: Any) -> DesignSpace:
    """A design space of these slots, else like the blueprint `small`."""
    given = {
        "name": "small",
        "path": Path("/project/blueprints/small.yaml"),
        "model_path": "models/net.onnx",
        "hw_compiler_space": HWCompilerSpace(tuple(slots), changes.pop("stages", ("pre_proc", "post_proc"))),
        "search_config": SearchConfig(),
        "backend": "finn",
        "global_config": {"output_stage": "ESTIMATES", "timeout_seconds": 60},
        "lines": {"name": Location(Path("blueprints/small.yaml"), 1, 7, "name")},
    }
    return DesignSpace(**{**given, **changes})


CLOCKS = {"synth_clk_period_ns": (5.0, 10.0), "target_fps": (1, 2, 3)}


def small(
    flags: Mapping[str, Sequence[Any]] = CLOCKS, fpga_part: str = "xc7z020clg400-1", **changes: Any
) -> DesignSpace:
    """Two clocks and three targets, one transform and one step, unless other fields are given."""
    fixed = [*transforms("pre_proc", [["FoldConstants"]]), *steps([["step_tidy_up"]])]
    slots = [*fields({"fpga_part": [fpga_part], **flags}), *changes.pop("slots", fixed)]
    return space_of(slots, **changes)


_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
_values = (
    _scalars | st.lists(_scalars, max_size=2) | st.dictionaries(st.text(max_size=3), _scalars, max_size=2)
)
_names = st.sampled_from("abcd")


def _entries(key: str) -> st.SearchStrategy[Any]:
    parameters = st.dictionaries(st.sampled_from("xy"), _values, min_size=1, max_size=2)
    return _names | st.builds(lambda name, given: {key: name, "parameters": given}, _names, parameters)


def _options(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=3, unique_by=partial(json.dumps, sort_keys=True))


def _places(key: str) -> st.SearchStrategy[list[list[list[Any]]]]:
    return st.lists(_options(st.lists(_entries(key), max_size=2)), max_size=3)


_kernel_options = _options(
    st.tuples(
        st.lists(st.sampled_from(["MVAU_hls", "MVAU_rtl"]), max_size=2, unique=True),
        st.dictionaries(
            st.sampled_from(["ram_style", "resType"]), st.integers() | st.text(max_size=5), max_size=2
        ),
    )
)

#: Constraints over what `random_spaces` always have.
_constraints = st.lists(
    st.sampled_from(["speed > 1 or speed == 0", "'a' in steps", "speed < 2", "not ('b' in pre_proc)"]),
    max_size=2,
    unique=True,
)


def _pruned(slots: Sequence[Slot]) -> list[Slot]:
    """The slots, of the last ones the first option alone, so that there are at most 200 points."""
    size, found = 1, []
    for slot in slots:
        kept = slot if size * len(slot.options) <= 200 else slot._replace(options=slot.options[:1])
        size *= len(kept.options)
        found.append(kept)
    return found


@st.composite
def random_spaces(draw: st.DrawFn, constrained: bool = True) -> DesignSpace:
    """Spaces of at most 200 points, with slots of all kinds in any order, and a named stage."""
    other = draw(st.dictionaries(st.sampled_from(["board", "folds", "mode"]), _options(_values), max_size=2))
    slots = fields({"speed": draw(_options(st.integers(0, 3))), **other})
    slots += transforms("pre_proc", *draw(_places("name")))[:2]
    slots += transforms("late", *draw(_places("name")))[:1]
    places = draw(_places("step"))
    slots += steps(*places[:2], [[{"stage": "late"}]])
    slots += [kernel("MVAU", *options) for options in draw(st.lists(_kernel_options, max_size=1))]
    slots = _pruned(draw(st.permutations(slots)))
    texts = draw(_constraints) if constrained else []
    return space_of(
        slots,
        stages=("pre_proc", "late", "post_proc"),
        constraints=tuple(map(Expression, texts)),
        limits=(Expression("lut_utilization <= 0.7"),),
        objectives=(("throughput", "max"), ("latency", "min")),
        description=draw(st.text(max_size=5)),
        notes=tuple(draw(st.lists(st.text(max_size=5), max_size=2))),
        search_config=draw(
            st.builds(
                SearchConfig,
                strategy=st.sampled_from(["exhaustive", "random"]),
                samples=st.none() | st.integers(1, 5),
                seed=st.integers(0, 99),
                max_builds=st.none(),
                max_combinations=st.just(MAX_COMBINATIONS),
                timeout_seconds=st.none() | st.integers(1, 9),
            )
        ),
    )
