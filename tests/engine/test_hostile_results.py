"""A step does what it likes in its own process and in the store; files elsewhere stay as they are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from finnmake.engine.store import DamagedBlob
from finnmake.errors import StepError
from finnmake.runner.outputs import log_of, place_artifacts

LISTING = """
from finnmake.engine.store import Store
keep = Store.put_tree
Store.put_tree = lambda self, tree: keep(self, {{**tree, {name!r}: self.put_bytes(b"evil")}})
return model
"""

ANSWER = """
from finnmake.engine import session
tell = session.json.dumps
def lie(answer, **how):
    if isinstance(answer, dict) and "ok" in answer:
        {lie}
    return tell(answer, **how)
session.json.dumps = lie
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that is none of the build's business."""
    folder = tmp_path / "home"
    (folder / "deep").mkdir(parents=True)
    for name in ("secret", "deep/secret"):
        (folder / name).write_text("SECRET")
    return folder


def untouched(home: Path) -> bool:
    found = {
        path.relative_to(home).as_posix(): path.read_text() for path in home.rglob("*") if path.is_file()
    }
    return found == {"secret": "SECRET", "deep/secret": "SECRET"}


def failure(bench, *targets: str) -> StepError:
    with pytest.raises(StepError) as caught:
        bench.run(*targets)
    assert caught.value.log is not None
    return caught.value


def link_log(to: str) -> str:
    """A step that puts something else in the place of its log."""
    return f"""
log = os.readlink("/proc/self/fd/1")
print("printed", flush=True)
os.unlink(log)
{to}
"""


# what it answers


@pytest.mark.parametrize("name", ["../../home/evil", "a/../../evil", "/evil", "a//b", "nul\0"])
def test_listing_with_a_file_elsewhere_fails_the_step(bench, home, name):
    bench.step(LISTING.format(name=name))
    error = failure(bench, "p:f")
    assert "outside its folder" in error.message
    assert "plugins" in error.cure
    assert not any(bench.store.actions.rglob("*.json"))
    assert untouched(home)


@pytest.mark.parametrize(
    "lie",
    [
        "answer['output']['work'] = {'../../home': answer['output']['tree']}",
        "answer['output']['work'] = {'0' * 32: answer['output']['tree']}",
        "answer['output']['model'] = '../../home/secret'",
        "answer['output']['tree'] = answer['output']['model']",
        "answer['output']['tree'] = '0' * 64 + '-3'",
        "answer['output']['overrides'] = None",
        "answer['output'] = []",
        "answer['reads'] = {}",
        "answer['reads']['files'] = {'a\\0b': None}",
        "answer['seconds'] = 'long'",
        "answer = {}",
        "answer = {'ok': True}",
        "answer = {'ok': False, 'message': [], 'category': [], 'cure': None, 'reads': 3}",
        "answer = {'ok': False, 'damaged': ['x']}",
    ],
)
def test_answer_that_cannot_be_fails_the_step(bench, home, lie):
    bench.step(ANSWER.format(lie=lie) + "return model")
    failure(bench, "p:f")
    assert not any(bench.store.actions.rglob("*.json"))
    assert untouched(home)


def test_trace_with_a_file_elsewhere_is_put_aside_and_made_again(bench, home):
    bench.step("Path('artifacts/x').write_text('x'); return model")
    (made,) = bench.run("p:f")
    bad = bench.store.put_bytes(b'{"../../home/evil":"' + made.state.model.encode() + b'"}')
    with pytest.raises(DamagedBlob):
        bench.store.read_tree(bad)
    for output in (
        {**made.state.to_dict(), "tree": bad},
        {**made.state.to_dict(), "work": {"../x": bad}},
        {},
    ):
        for path, trace in [bench.store.trace(made.key, name) for name in bench.store.all_traces(made.key)]:
            path.unlink()
            bench.store.add_trace(made.key, {**trace, "output": output})
        outcomes = bench.run("p:f")
        if output and output["tree"] == bad:
            with pytest.raises(DamagedBlob) as caught:
                place_artifacts(bench.store, outcomes, home.parent / "a/b", False)
            assert bench.engine.discard(caught.value)
            outcomes = bench.run("p:f")
        assert [outcome.hit for outcome in outcomes] == [False]
        assert bench.files(outcomes) == {"x": b"x"}
    assert untouched(home)


def test_listing_edited_in_the_store_is_made_again(bench):
    bench.step("Path('artifacts/x').write_text('x'); return model")
    (made,) = bench.run("p:f")
    path = bench.store.blob_path(made.state.tree)
    data = json.loads(path.read_bytes())
    path.chmod(0o644)
    path.write_text(json.dumps({"y": data["x"]}, separators=(",", ":")))
    os.utime(path, (1, 1))
    with pytest.raises(DamagedBlob) as caught:
        bench.files([made])
    assert bench.engine.discard(caught.value)
    assert bench.files(bench.run("p:f")) == {"x": b"x"}


# its log


@pytest.mark.parametrize("end", ["return model", "raise ValueError('bad thing')", "os._exit(3)"])
@pytest.mark.parametrize("to", ["os.symlink({secret!r}, log)", "os.mkfifo(log)", "os.mkdir(log)", "pass"])
def test_log_that_the_step_replaced_is_not_read(bench, home, to, end):
    bench.step(link_log(to.format(secret=str(home / "secret"))) + end)
    if end == "return model":
        outcomes = bench.run("p:f")
        said = log_of(bench.store, outcomes)
    else:
        error = failure(bench, "p:f")
        assert error.log is not None
        said = log_of(bench.store, [], error)
        assert not error.log.is_symlink()
        error.log.unlink()
    assert "printed" in said
    assert "SECRET" not in said
    assert untouched(home)
    bench.pool.close()
    bench.store.sweep(os.getpid())
    assert os.listdir(bench.store.tmp) == []


def test_log_that_is_a_link_or_pipe_when_it_is_shown(bench, home):
    (bench.root / "link").symlink_to(home / "secret")
    os.mkfifo(bench.root / "pipe")
    for name in ("link", "pipe", "none"):
        assert "is gone" in log_of(bench.store, [], StepError("s", "m", log=bench.root / name))


# its build folder


@pytest.mark.parametrize("where", ["", "gen", "gen/a.c"])
def test_link_in_place_of_a_build_folder_is_not_followed(bench, home, where):
    bench.step(
        """
        (config.work / "gen").mkdir()
        (config.work / "gen/a.c").write_text("code")
        return [str(config.work)]
        """
    )
    work = Path(bench.result(bench.run("p:f"))[0])
    place = work / where
    aside = work.parent / "aside"
    place.rename(aside)
    place.symlink_to(home / "secret" if where == "gen/a.c" else home)
    assert bench.hits("p:f") == [True]
    assert (work / "gen/a.c").read_text() == "code"
    assert not any(path.is_symlink() for path in (work, *work.rglob("*")))
    assert untouched(home)
