"""The forked child: runs steps of one configuration, one request after another, under recording."""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import shutil
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from finnmake.engine import recording
from finnmake.engine.channel import requests
from finnmake.engine.files import Signature, settled, signature
from finnmake.engine.folders import remove_tree
from finnmake.engine.local_modules import LocalFinder
from finnmake.engine.paths import PROJECT_LINK, Boundary, portable
from finnmake.engine.recording import RecordedFields, Recorder
from finnmake.engine.state import State, StepCall, seed_of
from finnmake.engine.store import DamagedBlob, Store
from finnmake.error_patterns import classify
from finnmake.errors import FinnmakeError, NodeFailure, StepError

#: FINN's output folder, and that of the further files that a call sees, inside the folder in which it runs.
ARTIFACTS = "artifacts"
INPUTS = "inputs"

#: Packages whose steps fail with lines of their own, which say nothing to a user.
_TOOLS = ("finn", "finnmake", "qonnx")

#: Packages whose own messages FINN's part of the table of messages is about.
_FLOW = ("finn", "qonnx")


class Adapter(Protocol):
    """What a backend gives the engine: a module with these four functions."""

    def preload(self) -> None:
        """Do the heavy imports; called once, in the process that forks the workers."""

    def load(self, model: Path) -> Any:
        """The model in memory."""

    def run(self, call: StepCall, loaded: Any, config: RecordedFields, work: Path) -> Any:
        """Run one step on the loaded model; gives the model for the next step."""

    def save(self, loaded: Any) -> bytes:
        """The model as the bytes of an ONNX file, the same for the same model."""


class Session:
    """Runs steps in a folder of its own; the model stays in memory between steps that follow each other."""

    def __init__(
        self,
        adapter: Adapter,
        store: Store,
        project: Path,
        plugins: Path,
        tools: Sequence[Path],
        contained: bool,
        fixed: Sequence[str],
    ) -> None:
        self._adapter = adapter
        self._store = store
        self._project = project
        self._plugins = plugins
        self._contained = contained
        self._fixed = list(fixed)
        self._folder = store.new_folder()
        self._loaded: tuple[State, Any] | None = None
        self._tree: dict[str, str] = {}
        self._signatures: dict[str, Signature] = {}
        self._works: dict[str, dict[str, Signature]] = {}
        self._recorder: Recorder | None = None
        toolchain = [Path(sys.prefix), Path(sys.base_prefix), Path(_PACKAGE), *tools]
        self._boundary = Boundary(self._folder, project, [store.root, *toolchain])
        self._finder = LocalFinder([plugins, project], self._boundary)
        self._finder.install()
        self._environment = dict(os.environ)
        self._search_path = list(sys.path)
        self._streams = sys.stdout, sys.stderr

    def close(self) -> None:
        """Remove the folder."""
        os.chdir("/")
        remove_tree(self._folder)

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run one step; gives its output, what it read, and how it went, as JSON values."""
        call = StepCall.from_dict(request["call"])
        state = State.from_dict(request["state"])
        with _output_to(self._store.root / request["log"]):
            try:
                return self._run(call, state, request)
            except DamagedBlob as damaged:
                return {"ok": False, "damaged": damaged.ref}
            except (Exception, SystemExit) as error:
                recording.activate(None)
                self._settle()
                error = self._recording_failed() or error
                raised = (error.__cause__ if isinstance(error, NodeFailure) else None) or error
                _flush()
                with suppress(OSError):  # the disk may be full
                    traceback.print_exception(raised)
                answer = failure(error, self._own_line(raised, call.target), partial(self._is_own, call))
                if self._contained and _missing_outside(raised):
                    answer["cure"] = f"{answer['cure']} {_MOUNTS}".strip()
                if self._recorder is not None:
                    answer["reads"] = self._recorder.close()
                return answer
            finally:
                recording.activate(None)

    def _recording_failed(self) -> OSError | None:
        """Why it is not known what the step read, where that is so: other errors may come of it."""
        if self._recorder is None or self._recorder.failure is None:
            return None
        failure = self._recorder.failure
        self._recorder.discard()
        self._recorder = None
        return failure

    def _own_line(self, error: BaseException, target: str) -> str:
        """`file:line` of the innermost frame in the user's own code or the plugin's, where there is one."""
        lines = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError):
            lines.append((str(error.filename), error.lineno))
        own = [(place, line) for name, line in lines if (place := self._own_file(name, target)) is not None]
        return f"{portable(own[-1][0], str(self._project))}:{own[-1][1]}" if own else ""

    def _is_own(self, call: StepCall, error: BaseException) -> bool:
        """Whether it was raised by code of the user's or the plugin's, or by an analysis, and not by FINN."""
        if call.kind == "analysis":
            return True
        tools = [f"{place}/" for name in _FLOW for place in getattr(sys.modules.get(name), "__path__", ())]
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if self._own_file(frame.filename, call.target) is not None:
                return True
            if frame.filename.startswith(tuple(tools)):
                return False
        return isinstance(error, SyntaxError) and self._own_file(str(error.filename), call.target) is not None

    def _own_file(self, name: str, target: str) -> str | None:
        """Absolute name of a source file of the user's own, or of the package that the plugin is from."""
        if not name.endswith(".py"):
            return None
        package = target.partition(":")[0].partition(".")[0]
        if package not in _TOOLS and (f"/{package}/" in name or name.endswith(f"/{package}.py")):
            return os.path.abspath(name)
        place = self._boundary.place(name)
        own = (f"{self._plugins}/", f"{self._project}/")
        return place if place is not None and place.startswith(own) else None

    def _settle(self) -> None:
        """Undo what a step may have left behind in this process, so that the next one starts the same."""
        sys.stdout, sys.stderr = self._streams
        os.chdir(self._folder)
        if dict(os.environ) != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)
        sys.path[:] = self._search_path

    def _tidy(self) -> None:
        """The folder as a step finds it: the link to the project, the output folder, an empty `tmp`."""
        for entry in list(os.scandir(self._folder)):
            if entry.name != ARTIFACTS or entry.is_symlink():
                remove_tree(Path(entry.path))
                with suppress(OSError):
                    os.unlink(entry.path)
        (self._folder / PROJECT_LINK).symlink_to(self._project)
        (self._folder / "tmp").mkdir()
        (self._folder / ARTIFACTS).mkdir(exist_ok=True)
        tempfile.tempdir = str(self._folder / "tmp")

    def _run(self, call: StepCall, state: State, request: Mapping[str, Any]) -> dict[str, Any]:
        self._settle()
        self._tidy()
        loaded = self._at(state)
        for name, ref in call.inputs.items():
            self._store.unpack(ref, self._folder / INPUTS / name)
        work = self._store.work / request["work"]
        remove_tree(work)
        work.mkdir(parents=True)
        self._recorder = recorder = Recorder(self._folder / "reads", self._boundary)
        fields = RecordedFields({**request["flags"], **state.overrides}, recorder)
        self._finder.used = False
        _seed(call)
        started = time.monotonic()
        recording.activate(recorder)
        loaded = self._adapter.run(call, loaded, fields, work)
        recording.activate(None)
        seconds = time.monotonic() - started
        self._settle()
        if recorder.failure is not None:
            raise recorder.failure
        reads: dict[str, Any] = recorder.close()
        self._recorder = None
        after = self._keep(loaded, state, work, fields.overrides)
        if after.work:  # its files hold their own absolute paths, and those of FINN's libraries
            reads["paths"] = self._fixed
        self._loaded = (after, loaded)
        return {
            "ok": True,
            "output": after.to_dict(),
            "reads": reads,
            "seconds": seconds,
            "peak_rss_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            "reusable": not self._finder.used,
        }

    def _at(self, state: State) -> Any:
        """The model of `state` in memory, with its output folder in place."""
        for name, listing in state.work.items():
            if name not in self._works or self._works[name] != dict(_signatures(self._store.work / name)):
                self._store.restore(listing, self._store.work / name)
        if self._loaded is not None and self._loaded[0] == state:
            return self._loaded[1]
        self._tree = self._store.read_tree(state.tree)
        folder = self._folder / ARTIFACTS
        remove_tree(folder)
        folder.mkdir()
        for name, ref in self._tree.items():
            self._store.unpack(ref, folder / name)
        self._signatures = _settled(dict(_signatures(folder)))
        return self._adapter.load(self._store.checked(state.model))

    def _keep(self, loaded: Any, before: State, work: Path, overrides: Mapping[str, Any]) -> State:
        """Everything the step made, in the store."""
        _plain_files_only(self._folder / ARTIFACTS)
        found = dict(_signatures(self._folder / ARTIFACTS))
        tree = {}
        for name, now in found.items():
            same = self._signatures.get(name) == now
            tree[name] = self._tree[name] if same else self._store.pack(self._folder / ARTIFACTS / name)
        self._tree, self._signatures = tree, _settled(found)
        builds = {}
        for name in (*before.work, work.name):
            made = {
                file: self._store.pack(work.parent / name / file)
                for file, _ in _signatures(work.parent / name)
            }
            if made:
                builds[name] = self._store.put_tree(made)
        if work.name not in builds:
            remove_tree(work)
        self._works = {name: _settled(dict(_signatures(self._store.work / name))) for name in builds}
        return State(
            model=self._store.put_bytes(self._adapter.save(loaded)),
            tree=self._store.put_tree(tree),
            work=builds,
            overrides={**before.overrides, **overrides},
        )


#: What to do about a file of this machine that a container does not have.
_MOUNTS = "Outside the project, steps see only what `mounts` in [tool.finnmake.container] names."


def _missing_outside(error: BaseException | None) -> bool:
    """Whether an error is, or comes of, a file named by its absolute path that is not there."""
    while error is not None:
        if isinstance(error, FileNotFoundError) and os.path.isabs(str(error.filename)):
            return True
        error = error.__cause__ or error.__context__
    return False


_PACKAGE = str(Path(__file__).resolve().parent.parent)


def _signatures(folder: Path) -> Iterator[tuple[str, Signature]]:
    """Relative POSIX name and signature of every file below `folder`, in order."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent) / name
            if path.is_file():
                yield path.relative_to(folder).as_posix(), signature(path.stat())


def _settled(found: Mapping[str, Signature]) -> dict[str, Signature]:
    """Those of the signatures that will show a change; the files of the others are hashed again."""
    now = time.time_ns()
    return {name: known for name, known in found.items() if settled(known, now)}


def _plain_files_only(folder: Path) -> None:
    """What the store can keep of an output folder: links become copies, empty folders go.

    A later step then sees the same whether it runs in this process or on what the store gave back.
    """
    folder.mkdir(exist_ok=True)
    for parent, folders, names in os.walk(folder, topdown=False):
        for path in (Path(parent, name) for name in (*names, *folders)):
            if path.is_symlink() and path.is_file():
                content = path.resolve()
                path.unlink()
                shutil.copy(content, path)
            elif path.is_symlink() or (path.exists() and not (path.is_dir() or path.is_file())):
                path.unlink()
        if Path(parent) != folder and not os.listdir(parent):
            os.rmdir(parent)


def _seed(call: StepCall) -> None:
    """The same random numbers and temporary names each time this step runs."""
    random.seed(seed_of(call))
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed_of(call))
    tempfile._name_sequence = (f"{number:06d}" for number in itertools.count())  # type: ignore[attr-defined]


def failure(
    error: BaseException, own_line: str, is_own: Callable[[BaseException], bool] = lambda _: False
) -> dict[str, Any]:
    """What the main process is told of an exception in a step.

    Args:
        error: what was raised.
        own_line: `file:line` of the user's own code, where it passed through some.
        is_own: whether an exception was raised by code of the user's own.
    """
    about = error if isinstance(error, NodeFailure) else NodeFailure("", "")
    error = about.__cause__ or error
    known = error if isinstance(error, FinnmakeError) else None
    message = _words(error)
    raised = [*_causes(error), error]
    own = {_words(each) for each in raised if is_own(each)}
    category, tip = classify(map(_words, raised), known.category if known else "unknown", own)
    told = f"{message}; {about.remark}" if about.remark else message
    return {
        "ok": False,
        "message": f"{own_line}: {told}" if own_line else told,
        "category": known.category if known and known.category != "unknown" else category,
        "cure": (known.cure if known else "") or tip,
        "node": about.node or getattr(known, "node", ""),
    }


def _words(error: BaseException) -> str:
    """An exception in one piece of text."""
    if isinstance(error, StepError):
        return error.message  # the step is told by itself
    if isinstance(error, FinnmakeError):
        return error.located()
    if isinstance(error, SystemExit):
        return f"it called exit({error.code!r})"
    return f"{type(error).__name__}: {error}"


def _causes(error: BaseException) -> list[BaseException]:
    """What led to an exception, the first cause first: tools below FINN say more than FINN."""
    found: list[BaseException] = []
    seen = {id(error)}
    while True:
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is None or id(before) in seen:
            return found
        seen.add(id(before))
        found.insert(0, before)
        error = before


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Standard output and error of this process, its libraries and its children go to `log`."""
    with open(log, "ab", buffering=0) as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    try:
        yield
    finally:
        _flush()


def _flush() -> None:
    for written in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a step may have put anything there
            written.flush()


def serve(channel: socket.socket, session: Session) -> None:
    """Answer requests (JSON lines) until the other side closes the channel."""
    for line in requests(channel):
        answer = session.run(json.loads(line))
        channel.sendall(json.dumps(answer).encode() + b"\n")
    session.close()
