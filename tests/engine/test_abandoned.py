"""A step whose run was killed works on for a moment, in a folder that the next run wants."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import standing_still, until, waiting_for

RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.engine.conftest import Bench
from finnmake.engine.store import Store
bench = Bench(Path(sys.argv[2]), Store(Path(sys.argv[3])).open())
bench.run("p:f")
"""

#: Seen by no trace: it all lies in the store.
ALONE = """
import fcntl, time
place = Path(os.environ["FINNMAKE_STORE"])
with open(place / "alone", "a") as held:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        (place / "twice").touch()
    (place / f"worker_{os.getppid()}").touch()
    while not (place / "go").exists():
        time.sleep(0.01)
return [*model, "p"]
"""


@pytest.fixture
def abandoned(bench: Any) -> Any:
    """The worker of a run that was killed in the middle of a step, stopped before it could notice."""
    bench.step(ALONE)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", textwrap.dedent(RUN), str(root), str(bench.root), str(bench.store.root)]
    with subprocess.Popen(command) as run:
        until(lambda: list(bench.store.root.glob("worker_*")))
        (seen,) = bench.store.root.glob("worker_*")
        worker = int(seen.name.partition("_")[2])
        with standing_still([worker]):
            run.kill()
            run.wait()
            yield worker


def test_step_is_not_run_while_it_still_runs_for_a_run_that_was_killed(bench: Any, abandoned: int) -> None:
    outcomes: list[Any] = []
    next_run = threading.Thread(target=lambda: outcomes.extend(bench.run("p:f")))
    next_run.start()
    try:
        until(lambda: waiting_for(bench.store.root) or list(bench.store.root.glob("twice")))
        assert not (bench.store.root / "twice").exists()
        os.kill(abandoned, signal.SIGCONT)  # now it kills what it has started
        until(lambda: len(list(bench.store.root.glob("worker_*"))) == 2)
    finally:
        (bench.store.root / "go").touch()
        next_run.join()
    assert not (bench.store.root / "twice").exists()
    assert bench.result(outcomes) == ["model", "p"]
    assert [outcome.hit for outcome in outcomes] == [False]
