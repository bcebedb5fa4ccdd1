"""Whatever is edited: an incremental build equals a build from scratch."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FILES = ["data/a", "data/b", "data/sub/c"]
LINK = "data/link"
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
    f"read({LINK!r})",
    f"read({LINK + '/c'!r})",
    f"os.path.realpath('project/{LINK}').endswith('a')",
    "os.stat('project/data/a').st_size if Path('project/data/a').exists() else None",
    "[e.name for e in os.scandir('project/data/sub')] if Path('project/data/sub').is_dir() else None",
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
        return getattr(importlib.import_module(name), "VALUE", "none")
    except ImportError:
        return None

def write(config):
    Path("artifacts/o").write_text(read("artifacts/o") + str(config.get("y")))

def override(config):
    config["x"] = config.get("y", 0)
"""

step = st.lists(st.sampled_from(ATOMS), min_size=1, max_size=3)
texts = st.sampled_from(["VALUE = 1\n", "VALUE = 2\n", "# 2\nVALUE = 2\n", None])
edit = st.one_of(
    st.tuples(st.just("file"), st.sampled_from(FILES), st.sampled_from(["1", "2", None])),
    st.tuples(st.sampled_from(["helper", "package", "shadow"]), st.sampled_from(HELPERS), texts),
    st.tuples(st.just("link"), st.just(LINK), st.sampled_from(["a", "b", "sub", "nowhere", None])),
    st.tuples(st.just("folder"), st.sampled_from(FILES), st.none()),
    st.tuples(st.just("rename"), st.sampled_from(FILES), st.sampled_from(FILES)),
    st.tuples(st.just("time"), st.sampled_from(FILES), st.sampled_from([0, 1e9, 4e9])),
    st.tuples(st.just("secretly"), st.sampled_from(FILES), st.sampled_from(["1", "2"])),
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
    elif kind == "rename":
        if name != value and (bench.root / name).exists():
            clear(bench.root / value)
            (bench.root / value).parent.mkdir(exist_ok=True)
            (bench.root / name).rename(bench.root / value)
    elif kind == "time":
        if (bench.root / name).exists():
            os.utime(bench.root / name, (value, value))
    elif kind == "secretly":
        same_size_and_time(bench.root / name, value)
    else:
        place = bench.root / PLACES[kind].format(name)
        clear(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link" and value is not None:
            place.symlink_to(value)
        elif kind == "folder":
            place.mkdir()
        elif value is not None:
            bench.write(str(place), plugin(value) if kind == "step" else value)


#: Kind of an edit -> what it makes, or removes.
PLACES = {
    "file": "{}",
    "folder": "{}",
    "link": "{}",
    "helper": "plugins/{}.py",
    "package": "plugins/{}/__init__.py",
    "shadow": "{}.py",
    "step": "plugins/s{}.py",
}


def clear(place: Path) -> None:
    """Remove whatever is at a path, and a file where one of its folders should be."""
    if place.parent.is_file():
        place.parent.unlink()
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def same_size_and_time(path: Path, text: str) -> None:
    """Another content for a file, as large and as old as the one before."""
    if path.is_file() and path.stat().st_size == len(text):
        before = path.stat()
        path.write_text(text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


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
