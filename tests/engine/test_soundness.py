"""Whatever is edited: an incremental build equals a build from scratch."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FILES = ["data/a", "data/b", "data/sub/c"]
HELPERS = ["h1", "h2"]
FIELDS = ["x", "y"]

#: What a step may do; `{}` is a file, a helper or a field.
ATOMS = [
    *(f"read({name!r})" for name in FILES),
    *(f"Path('project', {name!r}).exists()" for name in FILES),
    *(f"helper({name!r})" for name in HELPERS),
    *(f"config.get({name!r})" for name in FIELDS),
    "sorted(os.listdir('project/data'))",
    "[str(p) for p in sorted(Path('project/data').rglob('*'))]",
    "(config.get('x') == 1 and read('data/a'))",
    "(Path('project/data/b').exists() or helper('h1'))",
    "[read('artifacts/o')]",
    "write(config)",
    "override(config)",
]

PRELUDE = """
import os, importlib
from pathlib import Path

def read(name):
    try:
        return Path("project" if name.startswith("data") else ".", name).read_text()
    except OSError as error:
        return type(error).__name__

def helper(name):
    try:
        return importlib.import_module(name).VALUE
    except ImportError:
        return None

def write(config):
    Path("artifacts/o").write_text(read("artifacts/o") + str(config.get("y")))

def override(config):
    config["x"] = config.get("y", 0)
"""

step = st.lists(st.sampled_from(ATOMS), min_size=1, max_size=3)
edit = st.one_of(
    st.tuples(st.just("file"), st.sampled_from(FILES), st.sampled_from(["1", "2", None])),
    st.tuples(
        st.just("helper"),
        st.sampled_from(HELPERS),
        st.sampled_from(["VALUE = 1\n", "VALUE = 2\n", "# 2\nVALUE = 2\n", None]),
    ),
    st.tuples(st.just("field"), st.sampled_from(FIELDS), st.sampled_from([1, 2, 1.0, True, None])),
    st.tuples(st.just("step"), st.integers(0, 2), step),
)


def plugin(atoms: list[str]) -> str:
    return f"{PRELUDE}\ndef f(model, config):\n    return [*model, repr([{', '.join(atoms)}])]\n"


def apply(bench, flags: dict[str, Any], change: tuple[str, Any, Any]) -> None:
    kind, name, value = change
    if kind == "field":
        flags.pop(name, None)
        if value is not None:
            flags[name] = value
        return
    place = {"file": name, "helper": f"plugins/{name}.py", "step": f"plugins/s{name}.py"}[kind]
    if value is None:
        (bench.root / place).unlink(missing_ok=True)
    else:
        bench.write(place, plugin(value) if kind == "step" else value)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base: Path = tmp_path_factory.mktemp("soundness")
    return (base / f"{number}" for number in itertools.count())


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(step, min_size=3, max_size=3),
    rounds=st.lists(st.lists(edit, min_size=1, max_size=3), min_size=1, max_size=3),
)
def test_incremental_build_equals_build_from_scratch(bench, make_bench, tmp_path, folders, steps, rounds):
    shutil.rmtree(bench.root)
    (bench.root / "data/sub").mkdir(parents=True)
    flags: dict[str, Any] = {}
    targets = [f"s{number}:f" for number in range(3)]
    for number, atoms in enumerate(steps):
        apply(bench, flags, ("step", number, atoms))
    bench.run(*targets, **flags)
    for changes in rounds:
        for change in changes:
            apply(bench, flags, change)
        incremental = bench.run(*targets, **flags)
        fresh = make_bench(bench.root, next(folders))
        scratch = fresh.run(*targets, **flags)
        fresh.pool.close()
        assert fresh.result(scratch) == bench.result(incremental)
        assert scratch[-1].state == incremental[-1].state
        assert bench.hits(*targets, **flags) == [True] * 3
