"""Everything a step reads counts: by whatever way it reads it."""

from __future__ import annotations

import os
import py_compile
from pathlib import Path

import pytest

from finnmake.errors import StepError

#: How a step reads `project/data.txt`, and what comes out of that as a string.
READS = {
    "open": "open('project/data.txt').read()",
    "absolute": "open(os.path.realpath('project') + '/data.txt').read()",
    "after chdir": "(os.chdir('/'), open(HERE + '/project/data.txt').read())[1]",
    "bytes path": "open(b'project/data.txt').read()",
    "pathlib": "Path('project/data.txt').read_text()",
    "update mode": "open('project/data.txt', 'r+').read()",
    "os.open": "os.read(os.open('project/data.txt', os.O_RDWR | os.O_CREAT), 99).decode()",
    "from an open folder": "os.read(os.open('data.txt', 0, dir_fd=os.open('project', 0)), 99).decode()",
    "cannot create": "exclusive('project/data.txt')",
    "link of its own": "(os.symlink('project/data.txt', 'd'), open('d').read())[1]",
    "folder link of its own": "(os.symlink('project', 'd'), open('d/data.txt').read())[1]",
    "hard link": "(os.link(os.path.realpath('project/data.txt'), 'd'), open('d').read())[1]",
    "copy": "(__import__('shutil').copy2('project/data.txt', 'd'), open('d').read())[1]",
    "dots behind a link": "open('project/sub/../data.txt').read()",
    "thread": "in_threads()",
    "process pool": "in_processes()",
    "child of a child": "forked()",
}

PLUGIN = """
import os, threading, multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
HERE = os.getcwd()

def exclusive(name):
    try:
        open(name, "x")
    except FileExistsError:
        return open(name).read()

def read(name):
    return open(name).read()

def in_threads():
    with ThreadPoolExecutor(8) as pool:
        names = [f"project/many/{n}" for n in range(40)] + ["project/data.txt"]
        return list(pool.map(read, names))[-1]

def in_processes():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(read, ["project/data.txt"])[0]

def forked():
    r, w = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            os.write(w, read("project/data.txt").encode())
            os._exit(0)
        os.wait()
        os._exit(0)
    os.wait()
    return os.read(r, 99).decode()

def f(model, config):
    return [str(RESULT)]
"""


def reader(bench, expression: str) -> None:
    bench.plugin("p", PLUGIN.replace("RESULT", expression))


@pytest.mark.parametrize("way", READS)
def test_file_that_was_read_counts(bench, way):
    for number in range(40):
        bench.write(f"many/{number}", str(number) * 1000)
    bench.write("sub/x", "")
    data = bench.write("data.txt", "one")
    reader(bench, READS[way])
    assert bench.result(bench.run("p:f")) == ["one"]
    assert bench.hits("p:f") == [True]
    found = data.stat()
    data.write_text("two")
    os.utime(data, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert bench.result(bench.run("p:f")) == ["two"]


#: Ways to learn whether `project/late` is there.
LOOKS = {
    "open": "tried(lambda: open('project/late').close())",
    "os.path.exists": "os.path.exists('project/late')",
    "os.path.isfile": "os.path.isfile('project/late')",
    "os.path.lexists": "os.path.lexists('project/late')",
    "Path.exists": "Path('project/late').exists()",
    "Path.is_file": "Path('project/late').is_file()",
    "Path.resolve": "tried(lambda: Path('project/late').resolve(strict=True))",
    "os.access": "os.access('project/late', os.R_OK)",
    "os.stat from a folder": "tried(lambda: os.stat('late', dir_fd=os.open('project', 0)))",
    "listdir": "'late' in os.listdir('project')",
    "scandir": "'late' in [entry.name for entry in os.scandir('project')]",
    "listdir of a descriptor": "'late' in os.listdir(os.open('project', 0))",
    "listdir here": "(os.chdir('project'), 'late' in os.listdir())[1]",
    "glob": "any(Path('project').glob('lat*'))",
    "walk": "any('late' in names for _, _, names in os.walk('project/'))",
    "iterdir": "any(path.name == 'late' for path in Path('project').iterdir())",
}


@pytest.mark.parametrize("way", LOOKS)
def test_file_that_was_missing_counts(bench, way):
    bench.plugin(
        "p",
        f"""
        import os
        from pathlib import Path

        def tried(what):
            try:
                what()
            except FileNotFoundError:
                return False
            return True

        def f(model, config):
            return [str({LOOKS[way]})]
        """,
    )
    assert bench.result(bench.run("p:f")) == ["False"]
    assert bench.hits("p:f") == [True]
    late = bench.write("late", "")
    assert bench.result(bench.run("p:f")) == ["True"]
    late.unlink()
    assert bench.hits("p:f") == [True]


def test_folder_in_place_of_a_missing_one_counts(bench):
    bench.step("return [str(os.path.isdir('project/d')), str(len(list(Path('project/e').glob('*'))))]")
    bench.write("e/1", "")
    bench.run("p:f")
    bench.write("d/x", "")
    assert bench.result(bench.run("p:f")) == ["True", "1"]


def test_opened_folder_that_goes_away_counts(bench):
    bench.write("d/x", "")
    bench.step("return [str(os.path.isdir('project/d') and os.open('project/d', 0) > 0)]")
    bench.run("p:f")
    (bench.root / "d/x").unlink()
    (bench.root / "d").rmdir()
    assert bench.result(bench.run("p:f")) == ["False"]


# modules


@pytest.mark.parametrize("where", ["import helper", "def g():\n    import helper"], ids=["eager", "lazy"])
def test_helper_module_counts(bench, where):
    bench.plugin("helper", "VALUE = 'one'\n")
    lazy = "    import helper\n    return [helper.VALUE]\n"
    eager = "    return [helper.VALUE]\n"
    body = (
        f"import helper\ndef f(model, config):\n{eager}"
        if where == "import helper"
        else f"def f(model, config):\n{lazy}"
    )
    bench.plugin("p", body)
    assert bench.result(bench.run("p:f")) == ["one"]
    bench.plugin("helper", "VALUE = 'two'\n")
    assert bench.result(bench.run("p:f")) == ["two"]


LAYOUTS = {
    "module": ("plugins/helper.py", "from helper import VALUE"),
    "package": ("plugins/pack/__init__.py", "from pack import VALUE"),
    "submodule": ("plugins/pack/sub.py", "from pack.sub import VALUE"),
    "relative": ("plugins/pack/inner.py", "from pack.outer import VALUE"),
    "folder of modules": ("plugins/space/sub.py", "from space.sub import VALUE"),
    "project folder": ("tools/helper.py", "from tools.helper import VALUE"),
    "search path": ("lib/helper.py", "sys.path.insert(0, 'project/lib'); from helper import VALUE"),
    "by file": (
        "lib/helper.py",
        "import importlib.util as u; p = os.path.realpath('project/lib/helper.py'); "
        "s = u.spec_from_file_location('h', p); m = u.module_from_spec(s); "
        "s.loader.exec_module(m); VALUE = m.VALUE",
    ),
    "exec": ("lib/helper.py", "VALUE = __import__('runpy').run_path('project/lib/helper.py')['VALUE']"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_stale_bytecode_never_hides_an_edit(bench, layout):
    name, statement = LAYOUTS[layout]
    if "pack" in name:
        bench.write("plugins/pack/__init__.py", "")
        bench.write("plugins/pack/outer.py", "from .inner import VALUE\n")
    helper = bench.write(name, "VALUE = 'one'\n")
    py_compile.compile(str(helper))
    bench.step(f"{statement}\nreturn [VALUE]")
    assert bench.result(bench.run("p:f")) == ["one"]
    assert bench.hits("p:f") == [True]
    found = helper.stat()
    helper.write_text("VALUE = 'two'\n")
    os.utime(helper, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert bench.result(bench.run("p:f")) == ["two"]


def test_stale_bytecode_of_the_plugin_itself(bench):
    plugin = bench.step("return ['one']")
    py_compile.compile(str(plugin))
    bench.run("p:f")
    found = plugin.stat()
    plugin.write_text(plugin.read_text().replace("one", "two"))
    os.utime(plugin, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert bench.result(bench.run("p:f")) == ["two"]


def test_no_bytecode_is_left_in_the_project(bench):
    bench.plugin("helper", "")
    bench.step("import helper; return model")
    bench.run("p:f")
    assert list(bench.root.rglob("__pycache__")) == []


@pytest.mark.parametrize("late", ["plugins/extra.py", "plugins/extra/__init__.py", "extra.py"])
def test_optional_module_that_appears_counts(bench, late):
    bench.step(
        """
        try:
            import extra
        except ImportError:
            return ["without"]
        return ["with"]
        """
    )
    assert bench.result(bench.run("p:f")) == ["without"]
    assert bench.hits("p:f") == [True]
    bench.write(late, "")
    assert bench.result(bench.run("p:f")) == ["with"]


def test_module_that_comes_to_shadow_another_counts(bench):
    bench.write("helper.py", "VALUE = 'outer'\n")
    bench.step("import helper; return [helper.VALUE]")
    assert bench.result(bench.run("p:f")) == ["outer"]
    bench.plugin("helper", "VALUE = 'inner'\n")
    assert bench.result(bench.run("p:f")) == ["inner"]


# what is no input


def test_own_files_and_the_toolchains_are_no_inputs(bench):
    bench.step(
        """
        import tempfile, xml.dom
        Path("x").write_text("x"); Path("x").read_text()
        with tempfile.NamedTemporaryFile("w+") as stream:
            stream.write("x")
        (config.work / "y").write_text("y"); os.listdir(config.work); os.path.exists(config.work)
        Path("artifacts/z").write_text("z"); os.listdir("artifacts"); os.listdir(".")
        open("/dev/null").read(); open("/proc/self/stat").read()
        Path(xml.dom.__file__).read_bytes()
        return model
        """
    )
    reads = bench.run("p:f")[0].trace["reads"]
    assert list(reads["files"]) == ["plugins/p.py"]
    assert reads["listings"] == {}
    assert reads["presence"] == {"plugins/p/__init__.py": "missing"}


def test_appending_to_a_log_elsewhere_is_no_input(bench, tmp_path):
    bench.step(f"open('{tmp_path}/log', 'a').write('x'); return model")
    assert bench.hits("p:f") == [False]
    assert bench.hits("p:f") == [True]


def test_file_outside_the_project_counts(bench, tmp_path):
    (tmp_path / "outside").write_text("one")
    bench.step(f"return [open('{tmp_path}/outside').read(), open('project/../outside').read()]")
    assert bench.result(bench.run("p:f")) == ["one", "one"]
    (tmp_path / "outside").write_text("two")
    assert bench.result(bench.run("p:f")) == ["two", "two"]


def test_link_in_the_project_that_is_turned_elsewhere_counts(bench):
    bench.write("one", "one")
    bench.write("two", "two")
    link = bench.root / "link"
    link.symlink_to("one")
    bench.step("return [Path('project/link').read_text()]")
    bench.run("p:f")
    link.unlink()
    link.symlink_to("two")
    assert bench.result(bench.run("p:f")) == ["two"]


def test_pipe_in_the_project_does_not_block(bench):
    os.mkfifo(bench.root / "pipe")
    bench.step("os.open('project/pipe', os.O_RDONLY | os.O_NONBLOCK); return model")
    assert bench.hits("p:f") == [False]
    assert bench.hits("p:f") == [True]


def test_project_below_a_folder_of_the_machine_counts(tmp_path):
    from finnmake.engine.paths import Boundary

    boundary = Boundary(
        Path("/var/store/tmp/run"),
        Path("/usr/src/app"),
        [Path("/var/store"), Path("/usr"), Path("/usr/src/app/.venv")],
    )
    assert boundary.place("/usr/src/app/plugins/x.py") == "/usr/src/app/plugins/x.py"
    assert boundary.place("/usr/src/app/.venv/x.py") is None
    assert boundary.place("/usr/share/x") is None
    assert boundary.place("/var/store/blobs/x") is None
    assert boundary.place("/usr/src/application") is None
    assert boundary.place("/home/x") == "/home/x"
    assert boundary.above("/usr/src") and boundary.above("/") and not boundary.above("/usr/src/ap")


@pytest.mark.parametrize("where", ["here", "fork"])
def test_a_read_that_could_not_be_recorded_fails_the_step(bench, where):
    """On a full disk: the step takes the error for a file that is missing, and goes on without it."""
    bench.write("data.txt", "x")
    bench.step(
        f"""
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize("reads") + 10, resource.RLIM_INFINITY))
        child = os.fork() if {where == "fork"} else 0
        if child == 0:
            found = os.path.exists("project/data.txt")
            if {where == "fork"}:
                os._exit(0)
        else:
            os.waitpid(child, 0)
            found = False
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return [str(found)]
        """
    )
    with pytest.raises(StepError, match=r"No space left|File too large"):
        bench.run("p:f")
    assert list(bench.store.actions.glob("*/*/*/*.json")) == []
