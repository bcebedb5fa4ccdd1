"""What a run costs that finds everything up to date: it loads, makes and reads as little as it can."""

from __future__ import annotations

import subprocess
from importlib.metadata import entry_points

import pytest

from tests.explorations import built_space
from tests.projects import Project

#: Dataclasses that every run makes: records that users know as such, and what holds more than its fields.
DATACLASSES = [
    "Build",
    "BuildConfig",
    "BuildMetrics",
    "BuildResult",
    "DesignSpace",
    "ExecutionTree",
    "HWCompilerSpace",
]

#: Modules that only a run needs in which something runs, fails or is found in the store.
NEEDLESS = (
    *("finnmake.engine.state", "finnmake.engine.store", "finnmake.error_patterns", "finnmake.runner.outputs"),
    *("finnmake.blueprint.brainsmith", "finnmake.blueprint.expressions", "finnmake.exploration.logging_hook"),
    *("finnmake.tasks.live_text", "finnmake.tasks.progress", "finnmake.tasks.summary"),
    *("difflib", "logging", "platform", "rich", "simpleeval", "sysconfig"),
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of which everything is built."""
    return built_space(tmp_path_factory.mktemp("tiny"))


def told(project: Project, before: str, after: str) -> list[str]:
    """The words of the last line that a null build prints, with code before and after it."""
    build = "import sys\nfrom finnmake.__main__ import main\nsys.argv[1:] = ['build']\nmain()"
    code = "\n".join([before, build, after])
    done = subprocess.run(
        [project.python, "-c", code],
        cwd=project.root,
        env=project.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    *said, last = done.stdout.splitlines()
    assert said[-1].startswith("nothing to do")
    return last.split()


def test_few_dataclasses_are_made(tiny: Project) -> None:
    """Making one takes 0.4 ms, a named tuple less than a fifth: 60 of them were 15 % of a null build."""
    noted = (
        "import dataclasses\n"
        "names, make = set(), dataclasses._process_class\n"
        "def noted(cls, *rest):\n"
        "    names.add(cls.__name__)\n"
        "    return make(cls, *rest)\n"
        "dataclasses._process_class = noted"
    )
    assert told(tiny, noted, "print(*sorted(names))") == DATACLASSES


def test_what_is_not_needed_is_not_loaded(tiny: Project) -> None:
    found = told(tiny, "", f"print('loaded:', *(name for name in {NEEDLESS!r} if name in sys.modules))")
    assert found == ["loaded:"]


def test_entry_points_are_read_once(tiny: Project) -> None:
    """doit asks for one group after another."""
    counted = (
        "from importlib import metadata\n"
        "asked, real = [], metadata.entry_points\n"
        "metadata.entry_points = lambda **given: asked.append(given) or real(**given)"
    )
    assert told(tiny, counted, "print(len(asked))") == ["1"]


@pytest.mark.parametrize("group", ["console_scripts", "pytest11", "no.such.group"])
def test_a_group_of_all_entry_points_is_what_doit_would_get(group: str) -> None:
    assert set(entry_points().select(group=group)) == set(entry_points(group=group))
