"""How many builds run at once: processors, the limits of control groups and containers, memory."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.settings import ContainerSettings
from finnmake.tasks.schedule_jobs import (
    Gate,
    Jobs,
    Limits,
    free_memory,
    limits_of,
    processors,
    within_memory,
)

GB = 1 << 30


def group(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text + "\n")
    return folder


def test_as_many_as_this_process_may_use(tmp_path: Path) -> None:
    assert processors(groups=tmp_path) == len(os.sched_getaffinity(0))
    assert processors(groups=group(tmp_path, cpu_max="max 100000")) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("quota", "count"), [("100000 100000", 1), ("50000 100000", 1), ("rubbish", None)])
def test_a_control_groups_quota_counts(tmp_path: Path, quota: str, count: int | None) -> None:
    assert processors(groups=group(tmp_path, cpu_max=quota)) == (count or len(os.sched_getaffinity(0)))


def test_the_containers_processors_count(tmp_path: Path) -> None:
    assert processors(Limits(cpus=1.5), tmp_path) == 1
    assert processors(Limits(cpus=0.2), tmp_path) == 1


def test_only_the_container_keeps_to_the_containers_limits() -> None:
    settings = ContainerSettings(memory=2 * GB, cpus=3.0)
    assert limits_of("container", settings) == Limits(2 * GB, 3.0)
    assert limits_of("bwrap", settings) == limits_of("local", settings) == Limits()


def test_free_memory_is_the_least_of_all(tmp_path: Path) -> None:
    available = psutil.virtual_memory().available
    assert abs(free_memory(groups=tmp_path) - available) < available / 2
    assert free_memory(Limits(memory=5 << 20), tmp_path) == 5 << 20
    assert free_memory(groups=group(tmp_path, memory_max="3000000", memory_current="1000000")) == 2_000_000
    assert free_memory(groups=group(tmp_path, memory_current="4000000")) == 0


def test_memory_allows_what_was_asked_for() -> None:
    assert within_memory(4, 16 * GB, 2 * GB) == Jobs(4)


def test_fewer_where_steps_took_much_and_why() -> None:
    found = within_memory(8, 21 * GB, 9 * GB)
    assert found.builds == 2
    assert found.why == (
        "2 builds at once instead of 8: a step took up to 9.0 GB in earlier runs, 21.0 GB of memory are free"
    )


def test_a_gigabyte_each_where_nothing_is_known() -> None:
    found = within_memory(8, 2 * GB, None)
    assert found == Jobs(
        1, "1 build at once instead of 8: a step is taken to need 1.0 GB, 2.0 GB of memory are free"
    )


@settings(deadline=None)
@given(
    asked=st.integers(1, 64),
    free=st.integers(0, 1 << 42),
    peak=st.none() | st.integers(1, 1 << 42),
)
def test_never_none_never_more_than_asked_for_and_never_too_much(
    asked: int, free: int, peak: int | None
) -> None:
    found = within_memory(asked, free, peak)
    assert 1 <= found.builds <= asked
    assert found.builds == 1 or found.builds * (peak or GB) <= free
    assert bool(found.why) == (found.builds < asked)


def most_inside(gate: Gate, threads: int) -> int:
    """The most threads that were inside at once."""
    inside, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(threads)

    def run() -> None:
        nonlocal inside, most
        together.wait()
        for _ in range(20):
            with gate.entered():
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1

    running = [threading.Thread(target=run) for _ in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join(30)
        assert not each.is_alive()
    return most


def test_the_gate_lets_no_more_in_than_it_was_told() -> None:
    gate = Gate()
    gate.limit(2)
    assert most_inside(gate, 6) <= 2


def test_the_gate_lets_all_in_before() -> None:
    gate = Gate()
    with gate.entered(), gate.entered(), gate.entered():
        pass


def test_a_higher_limit_lets_those_in_that_wait() -> None:
    gate, entered = Gate(), threading.Event()
    gate.limit(1)

    def run() -> None:
        with gate.entered():
            entered.set()

    with gate.entered():
        waiting = threading.Thread(target=run)
        waiting.start()
        gate.limit(2)
        assert entered.wait(30)
        waiting.join(30)
