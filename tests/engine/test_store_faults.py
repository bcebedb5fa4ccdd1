"""A disk that is full at any write, or that can only be read: an error in words, and nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from finnmake.engine.store import Store
from finnmake.errors import FinnmakeError, StoreError
from tests.disks import PAGE, disk
from tests.engine.conftest import Bench
from tests.waiting import until

STEP = """
Path("artifacts/r.txt").write_text("r" * 5000 + str(len(model)))
(config.work / "gen.c").write_text("c" * 5000)
return [*model, "m" * 3000]
"""


@pytest.mark.slow
def test_full_at_any_write(tmp_path: Path, make_bench: Callable[..., Bench]) -> None:
    """Every page more gets a step further; with room, the next run is as one from scratch."""
    steps = ("p:f", "p:f")
    whole = make_bench(tmp_path / "project", tmp_path / "whole")
    whole.step(STEP)
    wanted = [outcome.state.model for outcome in whole.run(*steps)]
    failed = 0
    for pages in range(1, 40, 2):
        with disk(tmp_path / "disk", pages * PAGE) as small:
            root = small.path / "store"
            try:
                bench = make_bench(tmp_path / "project", root)
                bench.run(*steps)
            except (FinnmakeError, OSError) as error:
                failed += 1
                assert "space" in str(error) or "not whole" in str(error), str(error)
            held = set(root.glob("actions/*/*/*/*.json"))
            small.resize(1 << 24)
            bench = make_bench(tmp_path / "project", root)
            outcomes = bench.run(*steps)
            assert [outcome.state.model for outcome in outcomes] == wanted
            assert held <= set(root.glob("actions/*/*/*/*.json")), "a result was lost"
            assert sum(outcome.hit for outcome in outcomes) == len(held)
            assert all(bench.store.has(state.state.model) for state in outcomes)
            bench.pool.close()
            bench.store.sweep(os.getpid())
            # The worker that met the full disk sweeps up as soon as its child has ended.
            until(partial(_empty, bench.store.tmp))
            bench.store.close()
    assert failed >= 5


def _empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def test_full_disk_is_told_with_what_to_do(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", 2 * PAGE) as small:
        (small.path / "other").write_bytes(b"x" * 2 * PAGE)
        with pytest.raises(StoreError, match="No space left") as caught:
            Store(small.path / "store").open()
        assert "doit gc" in str(caught.value)


def test_clean_up_works_where_the_disk_is_full(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", 1 << 20) as small:
        store = Store(small.path / "store").open()
        ref = store.put_bytes(b"x")
        store.close()
        with pytest.raises(OSError, match="space"):
            (small.path / "other").write_bytes(b"x" * (1 << 20))
        store.open_to_clean()
        store.blob_path(ref).unlink()
        store.close()


def test_store_that_can_only_be_read_is_told(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", 1 << 20) as medium:
        store = Store(medium.path / "store").open()
        path = store.add_trace("ab" * 32, {"reads": {"fields": {}}, "output": {}, "info": {}, "step": {}})
        path.write_bytes(b"garbage")
        store.close()
        medium.read_only()
        for opened in (Store(medium.path / "store").open, Store(medium.path / "store").open_to_clean):
            with pytest.raises(StoreError, match="cannot be written: Read-only file system") as caught:
                opened()
            assert "FINNMAKE_STORE" in str(caught.value)
        assert store.trace("ab" * 32, path.name) is None
        assert path.read_bytes() == b"garbage"
