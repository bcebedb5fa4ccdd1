"""What runs again, what does not, and what comes out."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from finnmake.engine.realize import StepOutcome
from finnmake.engine.store import DamagedBlob
from finnmake.errors import StepError
from tests.waiting import ends

APPEND = "def {name}(model, config):\n    return [*model, {value!r}]\n"


@pytest.fixture
def three(bench):
    for name in "abc":
        bench.plugin(name, APPEND.format(name=name, value=name))
    return ("a:a", "b:b", "c:c")


def test_second_run_hits_everywhere_and_starts_no_worker(bench, three):
    first = bench.run(*three)
    assert [outcome.hit for outcome in first] == [False] * 3
    assert bench.result(first) == ["model", "a", "b", "c"]
    bench.pool = bench.new_pool()
    assert bench.hits(*three) == [True] * 3
    assert bench.pool._worker is None
    assert bench.pool._worker is None


def test_comment_reruns_only_its_step(bench, three):
    bench.run(*three)
    bench.plugin("b", "# a comment\n" + APPEND.format(name="b", value="b"))
    assert bench.hits(*three) == [True, False, True]
    assert bench.hits(*three) == [True] * 3


def test_behaviour_reruns_its_step_and_what_follows(bench, three):
    bench.run(*three)
    bench.plugin("b", APPEND.format(name="b", value="B"))
    outcomes = bench.run(*three)
    assert [outcome.hit for outcome in outcomes] == [True, False, False]
    assert bench.result(outcomes) == ["model", "a", "B", "c"]


def test_edit_taken_back_hits_again(bench, three):
    bench.run(*three)
    old = (bench.root / "plugins/b.py").read_text()
    bench.plugin("b", APPEND.format(name="b", value="B"))
    bench.run(*three)
    bench.plugin("b", old)
    assert bench.hits(*three) == [True] * 3


def test_unrelated_plugin_reruns_nothing(bench, three):
    bench.plugin("other", "x = 1\n")
    bench.run(*three)
    bench.plugin("other", "x = 2\n")
    bench.plugin("another", "x = 2\n")
    assert bench.hits(*three) == [True] * 3


@pytest.mark.parametrize(
    "changed",
    [{"position": 1}, {"parameters": {"x": 2}}, {"target": "p:g"}],
    ids=lambda changed: next(iter(changed)),
)
def test_another_call_is_another_action(bench, changed):
    from dataclasses import replace

    from tests.engine.conftest import call

    bench.step("return model")
    with (bench.root / "plugins/p.py").open("a") as stream:
        stream.write("g = f\n")
    bench.run(call("p:f", 0, x=1))
    assert bench.hits(replace(call("p:f", 0, x=1), **changed)) == [False]


def test_two_checkouts_share_everything(tmp_path, make_bench, three, bench):
    bench.write("data/x.txt", "x")
    bench.step(
        """
        os.listdir("project")
        os.path.exists("project/none")
        return [ROOT.joinpath("data/x.txt").read_text()]
        """
    )
    first = bench.run(*three, "p:f")
    other = make_bench(tmp_path / "deep" / "elsewhere", bench.store.root)
    for path in bench.root.rglob("*.*"):
        other.write(path.relative_to(bench.root).as_posix(), path.read_text())
    second = other.run(*three, "p:f")
    assert [outcome.hit for outcome in second] == [True] * 4
    assert str(bench.root) not in json.dumps([outcome.trace for outcome in first])


def test_checkouts_do_not_hide_each_others_edits(tmp_path, make_bench, bench):
    body = "return sorted(os.listdir('project'))"
    bench.step(body)
    bench.run("p:f")
    other = make_bench(tmp_path / "other", bench.store.root)
    other.step(body)
    other.write("more.txt", "")
    assert other.result(other.run("p:f")) == ["more.txt", "plugins"]


def test_two_stores_from_scratch_hold_the_same_bytes(tmp_path, make_bench):
    blobs = []
    for name in "xy":
        bench = make_bench(tmp_path / name / "project", tmp_path / name / "store")
        bench.step(
            """
            import random, tempfile
            Path("artifacts/r.txt").write_text(f"{random.random()} {os.path.basename(tempfile.mkdtemp())}")
            (config.work / "gen.c").write_text("x")
            return [*model, str(random.random()), str(hash("text"))]
            """
        )
        outcomes = bench.run("p:f", "p:f")
        blobs.append([outcome.state.to_dict() for outcome in outcomes])
        numbers = bench.result(outcomes)
        assert numbers[1] != numbers[3], "the second step must not repeat the numbers of the first"
    assert blobs[0] == blobs[1]


# configuration


def test_only_fields_that_were_read_count(bench):
    bench.step("return [*model, str(config['b']) if config['a'] else 'no']")
    assert bench.hits("p:f", a=0, b=1) == [False]
    assert bench.hits("p:f", a=0, b=2, c=3) == [True]
    assert bench.hits("p:f", a=1, b=2) == [False]
    assert bench.hits("p:f", a=1, b=3) == [False]
    assert bench.hits("p:f", a=1, b=2, c=4) == [True]


@pytest.mark.parametrize(("before", "after"), [(1, 1.0), (1, True), (0, False), (None, 0), ([1], [1.0])])
def test_values_that_python_calls_equal_are_told_apart(bench, before, after):
    bench.step("return [repr(config['a'])]")
    bench.run("p:f", a=before)
    assert bench.result(bench.run("p:f", a=after)) == [repr(after)]


def test_absent_field_counts(bench):
    bench.step("return [str(config.get('a', 'default'))]")
    assert bench.result(bench.run("p:f")) == ["default"]
    assert bench.result(bench.run("p:f", a=1)) == ["1"]
    assert bench.hits("p:f", b=1) == [True]


@pytest.mark.parametrize("expression", ["sorted(config)", "[str(len(config))]", "[str(bool(config))]"])
def test_all_names_count_where_a_step_walks_them(bench, expression):
    bench.step(f"return {expression}")
    first = bench.result(bench.run("p:f"))
    assert bench.result(bench.run("p:f", b=2)) != first


def test_field_set_by_a_step_is_seen_by_the_next(bench):
    bench.step("config['a'] = config['a'] + 1\nreturn [*model, str(config['a'])]")
    outcomes = bench.run("p:f", "p:f", a=1)
    assert bench.result(outcomes) == ["model", "2", "3"]
    assert outcomes[-1].state.overrides == {"a": 3}
    assert bench.hits("p:f", "p:f", a=1) == [True, True]


# failures


def failure(bench, *targets, **flags) -> StepError:
    with pytest.raises(StepError) as caught:
        bench.run(*targets, **flags)
    return caught.value


def test_exception_names_the_users_line(bench):
    bench.step("raise ValueError('bad thing')")
    error = failure(bench, "p:f")
    assert error.step == "f"
    assert error.message == "plugins/p.py:5: ValueError: bad thing"
    assert "bad thing" in error.log.read_text()


def test_syntax_error_names_the_users_line(bench):
    bench.plugin("p", "x = 1\ndef f(:\n")
    assert failure(bench, "p:f").message.startswith("plugins/p.py:2: SyntaxError")


def test_exit_is_a_failed_step(bench):
    bench.step("sys.exit('enough')")
    assert failure(bench, "p:f").message == "plugins/p.py:5: it called exit('enough')"


def test_cure_of_an_error_is_said_once(bench):
    bench.step(
        "from finnmake.errors import StepError\n"
        "raise StepError('f', 'No module named x', category='kernel', cure='Do this.')"
    )
    error = failure(bench, "p:f")
    assert (error.category, error.cure) == ("kernel", "Do this.")
    assert str(error).count("Do this.") == 1


@pytest.mark.parametrize(
    ("body", "words", "category"),
    [
        ("os._exit(7)", "exit code 7", "unknown"),
        ("import signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV", "unknown"),
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", "killed", "memory"),
        (
            "import signal; os.kill(os.getppid(), signal.SIGKILL); signal.pause()",
            "worker process",
            "environment",
        ),
    ],
    ids=["exit", "segv", "kill", "worker killed"],
)
def test_death_of_the_child_fails_its_step_alone(bench, body, words, category):
    bench.step("return [*model, 'good']", "good")
    bench.step(body)
    error = failure(bench, "good:f", "p:f")
    assert words in error.message
    assert error.category == category
    assert not error.timed_out
    assert bench.hits("good:f", "good:f") == [True, False]


def test_failure_is_not_kept_and_not_tried_twice_in_one_process(bench, tmp_path):
    bench.step(
        f"os.close(os.open('{tmp_path}/count', os.O_WRONLY | os.O_CREAT | os.O_APPEND))\n"
        f"os.system('echo >> {tmp_path}/count')\nraise ValueError"
    )
    for _ in range(3):
        with pytest.raises(StepError):
            bench.again("p:f")
    assert (tmp_path / "count").read_text() == "\n"
    failure(bench, "p:f")
    assert (tmp_path / "count").read_text() == "\n\n"


def test_timeout_ends_the_step_and_what_it_started(bench, tmp_path):
    bench.timeout = 2.0
    bench.step(
        f"""
        import subprocess, time
        child = subprocess.Popen(["sleep", "1000"])
        shared = "/dev/shm/{tmp_path.parent.name}-{os.getpid()}"
        os.write(os.open(shared, os.O_WRONLY | os.O_CREAT), b"%d" % child.pid)
        time.sleep(1000)
        """
    )
    shared = Path(f"/dev/shm/{tmp_path.parent.name}-{os.getpid()}")
    try:
        error = failure(bench, "p:f")
        assert error.timed_out
        assert error.category == "timeout"
        sleeper = int(shared.read_text())
        ends(sleeper)
    finally:
        shared.unlink(missing_ok=True)


# the child between steps


def test_steps_of_the_toolchain_share_a_child_and_plugins_do_not(bench):
    bench.step("print('pid', os.getpid()); return [*model, 'p']")
    steps = ["toy_adapter:pid", "toy_adapter:pid", "p:f", "toy_adapter:pid"]
    pids = [bench.log(outcome) for outcome in bench.run(*steps)]
    assert pids[0] == pids[1] == pids[2] != pids[3]


def test_nothing_a_step_leaves_behind_reaches_the_next(bench):
    messy = bench.run("toy_adapter:mess_up", "toy_adapter:look_around")
    around = json.loads(bench.result(messy)[-1])
    assert around[:3] == [["artifacts", "project", "reads", "tmp"], "", False]
    assert bench.log(messy[1]) == "look\n"
    assert bench.files(messy) == {}
    bench.run("toy_adapter:mess_up")
    bench.store.drop_trace(next((bench.store.actions).glob(f"*/{messy[1].key}/*/*.json")))
    alone = bench.run("toy_adapter:mess_up", "toy_adapter:look_around")
    assert [outcome.hit for outcome in alone] == [True, False]
    assert alone[1].state == messy[1].state


def test_change_right_after_the_step_before_is_kept(bench):
    outcomes = bench.run(*["toy_adapter:mess_up_elsewhere"] * 8)
    assert bench.files(outcomes) == {"x": b"8"}


# outputs


def test_output_folder_accumulates_changes_and_loses_files(bench):
    bench.step(
        """
        Path("artifacts/r").mkdir()
        Path("artifacts/r/a").write_text("1")
        Path("artifacts/b").write_text("b")
        return model
        """,
        "a",
    )
    bench.step("Path('artifacts/r/a').write_text('2'); os.remove('artifacts/b'); return [*model, 'b']", "b")
    bench.step("return [*model, Path('artifacts/r/a').read_text()]", "c")
    outcomes = bench.run("a:f", "b:f", "c:f")
    assert bench.files(outcomes[:1]) == {"b": b"b", "r/a": b"1"}
    assert bench.files(outcomes) == {"r/a": b"2"}
    assert bench.result(outcomes)[-1] == "2"


def test_executable_bit_is_kept(bench, tmp_path):
    bench.step("Path('artifacts/x.sh').write_text('x'); os.chmod('artifacts/x.sh', 0o755); return model", "a")
    bench.step("return [str(os.access('artifacts/x.sh', os.X_OK))]", "b")
    outcomes = bench.run("a:f", "b:f")
    assert bench.result(outcomes) == ["True"]
    bench.store.place(bench.store.read_tree(outcomes[0].state.tree)["x.sh"], tmp_path / "x.sh")
    assert os.stat(tmp_path / "x.sh").st_mode & 0o777 == 0o555


def test_links_in_the_output_folder_become_files(bench):
    bench.write("data.txt", "one")
    bench.step(
        """
        data = os.path.realpath("project/data.txt")
        os.symlink(data, "artifacts/d")
        os.link(data, "artifacts/h")
        os.symlink("nowhere", "artifacts/n")
        return model
        """
    )
    assert bench.files(bench.run("p:f")) == {"d": b"one", "h": b"one"}
    bench.write("data.txt", "two")
    assert bench.files(bench.run("p:f")) == {"d": b"two", "h": b"two"}


def test_build_folder_keeps_its_path_and_is_restored(bench):
    bench.step(
        """
        (config.work / "gen").mkdir()
        (config.work / "gen/a.c").write_text("code")
        return [str(config.work)]
        """,
        "a",
    )
    bench.step("return [*model, Path(model[0], 'gen/a.c').read_text()]", "b")
    made = bench.run("a:f")
    folder = Path(bench.result(made)[0])
    assert folder.parent == bench.store.work
    (folder / "gen/a.c").write_text("damaged")
    (folder / "gen/other.c").write_text("rubbish of a build that was killed")
    outcomes = bench.run("a:f", "b:f")
    assert bench.result(outcomes) == [str(folder), "code"]
    listing = bench.store.read_tree(outcomes[-1].state.work[folder.name])
    assert list(listing) == ["gen/a.c"]


def test_odd_file_names_survive(bench):
    bench.step("open(b'artifacts/\\xff\\n', 'w').write('x'); os.path.exists(b'project/\\xfe'); return model")
    outcomes = bench.run("p:f")
    assert list(bench.files(outcomes)) == ["\udcff\n"]
    assert bench.hits("p:f") == [True]
    Path(os.fsdecode(os.fsencode(bench.root) + b"/\xfe")).touch()
    assert bench.hits("p:f") == [False]


# damage


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_damaged_result_is_made_again(bench, damage):
    bench.step("Path('artifacts/x').write_text('hello'); return model", "a")
    bench.step("return [Path('artifacts/x').read_text()]", "b")
    made = bench.run("a:f")
    path = bench.store.blob_path(bench.store.read_tree(made[0].state.tree)["x"])
    if damage == "delete":
        path.unlink()
    else:
        path.chmod(0o644)
        path.write_text("hellp" if damage == "flip" else "he")
    outcomes = bench.run("a:f", "b:f")
    assert [outcome.hit for outcome in outcomes] == [False, False]
    assert bench.result(outcomes) == ["hello"]


def test_damaged_listing_is_made_again(bench):
    bench.step("Path('artifacts/x').write_text('hello'); return model", "a")
    bench.step("return [Path('artifacts/x').read_text()]", "b")
    made = bench.run("a:f")
    bench.store.blob_path(made[0].state.tree).unlink()
    assert bench.result(bench.run("a:f", "b:f")) == ["hello"]


def test_missing_input_model_is_not_a_result_of_ours(bench):
    bench.step("return model")
    flow = bench.flow("p:f")
    bench.store.blob_path(flow.model).unlink()
    with pytest.raises(DamagedBlob) as caught:
        bench.engine.realize(flow, lambda *_: None, [])
    assert not bench.engine.discard(caught.value)


# many at once


def count(folder: Path) -> int:
    return len((folder / "count").read_text())


def counting(bench, folder: Path) -> None:
    (folder / "count").touch()
    counter = f"os.open('{folder}/count', os.O_WRONLY | os.O_APPEND)"
    body = f"import time\ntime.sleep(0.1)\nos.write({counter}, b'x')\n"
    for name in "ab":
        bench.step(body + f"return [*model, '{name}', str(config['x'])]", name)


def run_at_once(tasks: list[Callable[[], object]]) -> None:
    errors: list[BaseException] = []

    def guarded(task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_eight_threads_run_each_step_once(bench, tmp_path):
    counting(bench, tmp_path)
    results: list[list[StepOutcome]] = []
    run_at_once([lambda: results.append(bench.again("a:f", "b:f", x=1))] * 8)
    assert count(tmp_path) == 2
    assert len({outcomes[-1].state.model for outcomes in results}) == 1
    assert sum(not outcome.hit for outcomes in results for outcome in outcomes) == 2


def test_threads_with_fields_that_nobody_reads_run_each_step_once(bench, tmp_path):
    counting(bench, tmp_path)
    run_at_once([lambda y=y: bench.again("a:f", "b:f", x=y % 2, y=y) for y in range(6)])
    assert count(tmp_path) == 4


def test_two_engines_run_each_step_once(bench, tmp_path, make_bench):
    counting(bench, tmp_path)
    other = make_bench(bench.root, bench.store.root)
    run_at_once([lambda b=b: b.again("a:f", "b:f", x=1) for b in (bench, other)])
    assert count(tmp_path) == 2


# edits meanwhile


def test_edit_of_an_input_during_the_step_is_seen_next_time(bench):
    bench.write("data.txt", "old")
    bench.step(
        "text = Path('project/data.txt').read_text()\n"
        "os.system(f'echo new > {os.path.realpath(\"project\")}/data.txt')\n"
        "return [text]"
    )
    assert bench.result(bench.run("p:f")) == ["old"]
    assert bench.result(bench.run("p:f")) == ["new\n"]
