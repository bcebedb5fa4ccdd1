"""doit's state cut short, emptied or gone: nothing runs again, as the store knows."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from finnmake.tasks.state import StateDB
from tests.explorations import built_space
from tests.projects import Project
from tests.tasks.test_many_workspaces import built, differing


def cut(at: Callable[[int], int]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[: at(path.stat().st_size)])


def overwrite(path: Path) -> None:
    """Zeros in the middle, as after a crash of the system."""
    data = bytearray(path.read_bytes())
    middle = slice(len(data) // 3, len(data) // 2)
    data[middle] = bytes(middle.stop - middle.start)
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "half": cut(lambda size: size // 2),
    "one byte short": cut(lambda size: size - 1),
    "header": cut(lambda size: 100),
    "half a header": cut(lambda size: 50),
    "empty": cut(lambda size: 0),
    "zeros": overwrite,
    "garbage": lambda path: path.write_bytes(b"garbage" * 1000),
    "text in place of a journal": lambda path: path.with_name(path.name + "-wal").write_bytes(b"x" * 5000),
    "gone": Path.unlink,
}


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return built_space(tmp_path_factory.mktemp("once"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_state_is_made_again_from_the_store(once: Project, damage: str) -> None:
    before = built(once)
    DAMAGES[damage](once.root / "builds" / "tiny" / ".doit.sqlite")
    run = once.succeed("build")
    assert run.steps == []
    assert "Traceback" not in run.output
    once.folder("tiny", ".doit.sqlite.damaged").unlink(missing_ok=True)
    assert differing(built(once), before) == []
    assert "nothing to do" in once.succeed("build").output


@pytest.mark.parametrize("junk", [b"\0", b"\xff", b"{"], ids=["zeros", "ones", "brackets"])
def test_damage_anywhere_leaves_a_state_that_can_be_used(tmp_path: Path, junk: bytes) -> None:
    """What cannot be read counts as never run; what is kept from then on stays."""
    draw = random.Random(junk)
    path = tmp_path / "state"
    state = StateDB(str(path), None)
    for number in range(60):
        keep(state, f"task:{number}", "x" * 300)
    state.dump()
    whole = path.read_bytes()
    for _ in range(15):
        start, length = draw.randrange(len(whole)), draw.choice([1, 20, 1000, 9000])
        damaged = bytearray(whole)
        damaged[start : start + length] = junk * len(damaged[start : start + length])
        path.write_bytes(damaged)
        state = StateDB(str(path), None)
        for number in range(60):
            values = state.get(f"task:{number}", "_values_:")
            assert values is None or isinstance(values, dict)
        for number in (3, 700):
            state.remove(f"task:{number}")
            keep(state, f"task:{number}", "new")
        state.dump()
        again = StateDB(str(path), None)
        assert [again.get(f"task:{number}", "_values_:") for number in (3, 700)] == [{"value": "new"}] * 2
        again.dump()


def keep(state: StateDB, task: str, value: str) -> None:
    """What doit sets, in its order, when a task has succeeded."""
    state.set(task, "_values_:", {"value": value})
    state.set(task, "checker:", "ContentChecker")
    state.set(task, "deps:", ["a"])
