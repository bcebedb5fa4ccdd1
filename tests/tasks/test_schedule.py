"""The order of a run: what waits for what is doit's; of what is ready the longest build goes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from doit.task import Task
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.tasks.schedule import Control, Order, was_let_go

#: The groups of a configuration's tasks, each after the one before.
GROUPS = ("finn", "metrics", "build")


def task(name: str, *after: str, subtask_of: str | None = None) -> Task:
    return Task(name, [lambda: None], task_dep=list(after), subtask_of=subtask_of)


def group(name: str, members: Sequence[str]) -> Task:
    return Task(name, None, task_dep=list(members), has_subtask=True)


def space(configs: Sequence[str], segments: Mapping[str, Sequence[str]]) -> list[Task]:
    """The tasks of some configurations, as finnmake makes them; `segments`: id -> configurations."""
    tasks = [task(f"segment:{each}", subtask_of="segment") for each in segments]
    for config in configs:
        above = [f"segment:{name}" for name, members in segments.items() if config in members]
        for kind in GROUPS:
            tasks.append(task(f"{kind}:{config}", *above, subtask_of=kind))
            above = [f"{kind}:{config}"]
    for kind in GROUPS:
        tasks.append(group(kind, [f"{kind}:{config}" for config in configs]))
    return tasks


def dispatched(
    tasks: Sequence[Task],
    selected: Sequence[str],
    order: Order | None,
    *,
    at_once: int = 1,
    after: int = 0,
    lets_go: bool = False,
) -> Iterator[str]:
    """The tasks in the order in which a runner gets them, where each takes as long as the others.

    Args:
        at_once: tasks that run together.
        after: the order is known when so many have begun.
        lets_go: whether tasks that are done are let go.
    """
    control = Control(list(tasks))
    control.process(list(selected))
    dispatcher = control.task_dispatcher()
    dispatcher.lets_go = lets_go
    running: list[Any] = []
    completed, begun = None, 0
    while True:
        if order is not None and begun == after:
            dispatcher.keep_to(order)
            order = None
        try:
            node = dispatcher.generator.send(completed)
        except StopIteration:
            if not running:
                return
            node = "hold on"
        completed = None
        if node != "hold on":
            node.run_status = "run"
            begun += 1
            yield node.task.name
            running.append(node)
        if node == "hold on" or len(running) == at_once:
            completed = running.pop(0)
            completed.run_status = "successful"


CONFIGS = ["config_001", "config_002", "config_003"]
ALL = {"root": CONFIGS}


def test_a_group_is_built_one_configuration_after_the_other() -> None:
    found = list(dispatched(space(CONFIGS, ALL), ["build"], Order(CONFIGS, {}, ALL)))
    assert found == [
        "segment:root",
        *("finn:config_001", "metrics:config_001", "build:config_001"),
        *("finn:config_002", "metrics:config_002", "build:config_002"),
        *("finn:config_003", "metrics:config_003", "build:config_003"),
        "build",
    ]


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_is_done_is_let_go_and_nothing_else(at_once: int) -> None:
    def ran(lets_go: bool) -> tuple[list[str], list[str]]:
        """The tasks in their order, and those that were not let go."""
        tasks = [*space(CONFIGS, ALL), task("mine", "build:config_001")]  # one of the user's own dodo.py
        order, names = Order(CONFIGS, {}, ALL), []
        for name in dispatched(tasks, ["build", "mine"], order, at_once=at_once, lets_go=lets_go):
            names.append(name)
            assert not was_let_go(next(each for each in tasks if each.name == name))
        return names, [each.name for each in tasks if not was_let_go(each)]

    everything, all_of_them = ran(lets_go=False)
    same, left = ran(lets_go=True)
    assert same == everything
    assert sorted(all_of_them) == sorted({*everything, *GROUPS})
    assert left == [*GROUPS, "mine"]


def test_the_longest_goes_first() -> None:
    order = Order(CONFIGS, {"config_001": 1.0, "config_002": 2.0, "config_003": 3.0}, ALL)
    found = [each for each in dispatched(space(CONFIGS, ALL), ["build"], order) if each.startswith("build:")]
    assert found == ["build:config_003", "build:config_002", "build:config_001"]


def test_with_two_at_once_no_configuration_waits_for_a_shorter_one() -> None:
    order = Order(CONFIGS, {"config_003": 3.0}, ALL)
    found = list(dispatched(space(CONFIGS, ALL), ["build"], order, at_once=2))
    first_two = found.index("build:config_001"), found.index("build:config_003")
    assert max(first_two) < found.index("metrics:config_002")


def test_a_segment_goes_with_the_longest_configuration_that_needs_it() -> None:
    segments = {"short": ["config_001", "config_002"], "long": ["config_003"]}
    order = Order(CONFIGS, {"config_003": 3.0, "config_001": 1.0, "config_002": 1.0}, segments)
    found = dispatched(space(CONFIGS, segments), ["build"], order)
    assert next(found) == "segment:long"


def test_the_order_of_the_command_line_holds_where_nothing_is_known() -> None:
    asked = ["config_003", "config_001"]
    found = list(dispatched(space(CONFIGS, ALL), [f"build:{each}" for each in asked], Order(asked, {}, ALL)))
    assert [each for each in found if each.startswith("build")] == ["build:config_003", "build:config_001"]


def test_tasks_of_a_users_own_run_too() -> None:
    tasks = [*space(CONFIGS, ALL), task("own"), task("after", "build:config_002")]
    found = list(dispatched(tasks, ["own", "after"], Order(CONFIGS, {}, ALL)))
    assert set(found) == {"own", "after", "segment:root", *(f"{kind}:config_002" for kind in GROUPS)}


@pytest.mark.parametrize("at_once", [1, 2, 5])
@settings(deadline=None)
@given(
    seconds=st.lists(st.floats(0, 1e6), min_size=1, max_size=8),
    belongs=st.lists(st.integers(0, 3), min_size=8, max_size=8),
    after=st.integers(0, 6),
    selected=st.sampled_from(["build", "finn", "segment:0"]),
)
def test_every_task_runs_once_and_after_what_it_needs(
    at_once: int, seconds: list[float], belongs: list[int], after: int, selected: str
) -> None:
    configs = [f"config_{number:03}" for number in range(1, len(seconds) + 1)]
    segments = {
        str(number): [config for config, mine in zip(configs, belongs, strict=False) if mine == number]
        for number in range(4)
    }
    order = Order(configs, dict(zip(configs, seconds, strict=True)), segments)
    tasks = space(configs, segments)
    found = list(dispatched(tasks, [selected], order, at_once=at_once, after=after))
    assert sorted(found) == sorted(dispatched(space(configs, segments), [selected], None))
    place = {name: number for number, name in enumerate(found)}
    needs = {each.name: each.task_dep for each in tasks}
    assert all(place[need] < place[name] for name in found for need in needs[name])
