"""docs/backends.md: its package is installed and builds, its tables name what there is and nothing else."""

from __future__ import annotations

import dataclasses
import re
from inspect import isfunction
from pathlib import Path
from typing import Any

import pytest
import yaml

from finnmake.backends import ALIASES, BACKENDS, Backend, backend_names, qonnx_calls
from finnmake.blueprint import schema
from finnmake.engine.state import StepCall
from finnmake.errors import StepError
from tests.plugins.third_party import Environment, Source
from tests.projects import REPOSITORY, Project

PAGE = (REPOSITORY / "docs/backends.md").read_text()

#: File -> its text, of the package that the page shows.
SHOWN = dict(re.findall(r"^```(?:toml|python)\n# ([\w./]+)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.M))

INIT, ADAPTER = "finnmake_serial/__init__.py", "finnmake_serial/adapter.py"
CONFIG = {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": [5.0, 10.0]}
TRANSFORMS = {"pre_proc": ["GiveUniqueNodeNames"], "post_proc": ["performance_analysis"]}


def rows(head: str) -> list[list[str]]:
    """The cells of the table that starts with this line."""
    _, _, rest = PAGE.partition(f"{head}\n")
    table, _, _ = rest.partition("\n\n")
    lines = table.splitlines()[1:]
    assert lines, f"there is no table {head}"
    return [[cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """The source of the package."""
    return Source.write(tmp_path / "finnmake-serial", SHOWN)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "environment")


@pytest.fixture
def serial(tmp_path: Path, environment: Environment) -> Project:
    """A project that builds with the package's backend; it is not installed yet."""
    project = environment.project(tmp_path)
    project.blueprint(keys={"backend": "serial"}, config=CONFIG, transforms=TRANSFORMS)
    return project


@pytest.mark.finn
def test_the_package_of_the_page_builds(serial: Project, environment: Environment, source: Source) -> None:
    missing = serial.fail("build").output
    assert (
        "backend: there is no backend 'serial'" in missing and "There are finn, brainsmith, mock" in missing
    )

    environment.install(source)
    run = serial.succeed("build")
    assert run.steps.count("serial_estimate") == run.steps.count("performance_analysis") == 2
    assert run.steps.count("GiveUniqueNodeNames") == 1 and "loading serial, once a run" in run.output
    fast, slow = (serial.read("metrics.json", "tiny", f"config_00{number}") for number in (1, 2))
    analysis = serial.read("postprocessing/performance_analysis.json", "tiny")
    assert analysis["measured"]["throughput"] == fast["throughput"]
    assert fast["throughput"] == 2 * slow["throughput"] > 0
    assert serial.read("manifest.json", "tiny")["backend"] == "serial"
    assert serial.read("result.json", "tiny")["simulated"] is False
    assert "nothing to do" in serial.succeed("build").output

    source.change(ADAPTER, SHOWN[ADAPTER].replace("cycles = sum(weights)", "cycles = 2 * sum(weights)"))
    environment.install(source)
    assert serial.succeed("build").steps.count("serial_estimate") == 2
    assert serial.read("metrics.json", "tiny")["throughput"] == fast["throughput"] / 2


BROKEN = {
    "a module that cannot be imported": ({INIT: "import nothing_of_this_name"}, "No module named"),
    "no backend": ({INIT: "BACKEND = 1"}, "is no finnmake.backends.Backend"),
    "another name": ({INIT: SHOWN[INIT].replace('"serial"', '"parallel"')}, "calls itself 'parallel'"),
    "no adapter": ({INIT: SHOWN[INIT].replace(".adapter", ".gone")}, "there is no module"),
    "an adapter that cannot be imported": ({ADAPTER: "import nothing_of_this_name"}, "No module named"),
    "a name that is taken": (
        {"pyproject.toml": SHOWN["pyproject.toml"].replace("serial = ", 'mock = "a:B"\nserial = ')},
        "finnmake itself has a backend of this name",
    ),
}


@pytest.mark.finn
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_package_is_named(
    serial: Project, environment: Environment, source: Source, case: str
) -> None:
    changes, message = BROKEN[case]
    for name, text in changes.items():
        source.change(name, text)
    environment.install(source)
    output = serial.fail("build").output
    assert "finnmake-serial 1.0.0" in output and message in output


def test_the_table_of_backends_is_that_of_the_package() -> None:
    table = rows("| name | also called | what it runs | stages |")
    assert [quoted(name)[0] for name, *_ in table] == list(BACKENDS)
    assert {alias: quoted(name)[0] for name, also, *_ in table for alias in quoted(also)} == dict(ALIASES)
    for name, _, _, stages in table:
        backend = BACKENDS[quoted(name)[0]]
        assert quoted(stages) == [stage.value for stage in backend.output_stages]
    assert set(backend_names()) >= {*BACKENDS, *ALIASES}


def test_the_tables_of_attributes_are_those_of_the_records() -> None:
    shown = [quoted(name)[0] for name, _ in rows("| attribute of `Backend` | what |")]
    assert shown == list(Backend._fields)
    shown = [quoted(name)[0] for name, _ in rows("| attribute of `call` | what |")]
    assert shown == [field.name for field in dataclasses.fields(StepCall)][: len(shown)]


def test_the_table_of_shared_calls_is_that_of_the_module() -> None:
    shown = [
        name.partition("(")[0]
        for cell, _ in rows("| of `finnmake.backends.qonnx_calls` | what |")
        for name in quoted(cell)
    ]
    public = [name for name, each in vars(qonnx_calls).items() if isfunction(each)]
    assert shown == public


@pytest.mark.finn
def test_steps_are_refused_by_the_shared_calls() -> None:
    with pytest.raises(StepError, match="a step of the blueprint is none of transform and analysis"):
        qonnx_calls.run(StepCall("mine", "step", "m:mine", {}, 0), None, None, Path())  # type: ignore[arg-type]


def test_the_calls_of_brainsmith_are_shown() -> None:
    shown = [quoted(name)[0] for name, *_ in rows("| call | what | leaves |")]
    assert shown == [f"brainsmith_{function}" for function in BACKENDS["brainsmith"].calls]


def examples() -> list[dict[str, Any]]:
    """What is written in YAML on the page."""
    found = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.DOTALL | re.M)
    return [yaml.safe_load(text) for text in found]


def test_the_example_of_open_rtl_can_be_read(empty_project: Project) -> None:
    (values,) = (example for example in examples() if example.get("backend") == "open_rtl")
    config = values.pop("design_space")["config"]
    empty_project.blueprint(keys=values, config=config)
    shown = empty_project.succeed("list", "--all").output
    assert "config_001" in shown


def test_the_example_of_failures_can_be_read(empty_project: Project) -> None:
    (values,) = (example for example in examples() if "mock" in example)
    assert set(values["mock"]) == set(schema.MOCK_KEYS)
    empty_project.blueprint(keys={"backend": "mock", **values}, steps=["step_tidy_up"])
    assert empty_project.run("build").code in (0, 2)
