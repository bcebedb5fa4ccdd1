"""Runs share a store; a clean-up has it alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from finnmake.engine import sharing
from finnmake.engine.store import Store
from finnmake.errors import StoreError

HOLDER = """
import sys, time
from pathlib import Path
from finnmake.engine.store import Store
store = Store(Path(sys.argv[1]))
store.open() if sys.argv[2] == "run" else store.open_to_clean()
print("open", flush=True)
sys.stdin.read()
"""


def holder(root: Path, how: str, cwd: Path) -> subprocess.Popen[str]:
    """Another process that has the store open."""
    command = [sys.executable, "-c", HOLDER, str(root), how]
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_runs_share_and_a_clean_up_says_who_is_there(root, tmp_path):
    with holder(root, "run", tmp_path) as run:
        mine = Store(root).open()
        mine.close()
        with pytest.raises(StoreError, match=f"in use by process {run.pid} in {tmp_path}") as caught:
            Store(root).open_to_clean()
        assert "Wait" in str(caught.value)
        look = Store(root).open_to_clean(alone=False)
        look.close()
        run.kill()
        run.wait()
        Store(root).open_to_clean().close()
        for stream in (run.stdin, run.stdout):
            stream.close()


def test_run_waits_for_a_clean_up_and_says_so(root, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "_SAYS", 0.1)
    said: list[str] = []
    with holder(root, "gc", tmp_path) as cleaner:
        timer = threading.Timer(0.5, cleaner.kill)
        timer.start()
        store = Store(root, told=said.append).open()
        timer.join()
        for stream in (cleaner.stdin, cleaner.stdout):
            stream.close()
    store.close()
    assert said == [
        f"waiting for the store, which is being cleaned up by process {cleaner.pid} in {tmp_path}"
    ]


def test_run_gives_up_on_a_clean_up_without_end(root, monkeypatch):
    monkeypatch.setattr(sharing, "_GIVES_UP", 0.2)
    cleaner = Store(root).open_to_clean()
    with pytest.raises(StoreError, match=f"being cleaned up by process {os.getpid()}"):
        Store(root).open()
    cleaner.close()
    Store(root).open().close()


def test_store_that_nobody_refers_to_any_more_is_free(root):
    Store(root).open()
    store = Store(root).open_to_clean()
    assert store.open_to_clean() is store
    store.close()
    store.close()


def test_holders_that_cannot_be_seen_are_elsewhere(root, monkeypatch):
    monkeypatch.setattr(sharing, "_holders", lambda path: set())
    held = Store(root).open()
    with pytest.raises(StoreError, match="from another machine or container"):
        Store(root).open_to_clean()
    held.close()


def test_waiting_for_the_lock_is_not_holding_it(root, tmp_path):
    cleaner = Store(root).open_to_clean()
    other = subprocess.Popen(["flock", "-s", str(root / "locks/store"), "true"])
    time.sleep(0.3)
    assert sharing._holders(root / "locks/store") == {os.getpid()}
    cleaner.close()
    assert other.wait(10) == 0
