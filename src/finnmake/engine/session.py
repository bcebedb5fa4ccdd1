"""The forked child: runs steps of one configuration, one request after another, under recording."""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from finnmake.engine import recording
from finnmake.engine.files import Signature, signature
from finnmake.engine.recording import LocalFinder, RecordedFields, Recorder
from finnmake.engine.state import State, StepCall, seed_of
from finnmake.engine.store import DamagedBlob, Store, remove_tree
from finnmake.errors import FinnmakeError, classify

#: FINN's output folder, inside the folder in which a step runs.
ARTIFACTS = "artifacts"


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

    def __init__(self, adapter: Adapter, store: Store, project: Path, plugins: Path) -> None:
        self._adapter = adapter
        self._store = store
        self._project = project
        self._plugins = plugins
        self._folder = store.new_folder()
        self._loaded: tuple[State, Any] | None = None
        self._tree: dict[str, str] = {}
        self._signatures: dict[str, Signature] = {}
        os.chdir(self._folder)
        (self._folder / "project").symlink_to(project)
        (self._folder / ARTIFACTS).mkdir()
        (self._folder / "tmp").mkdir()
        tempfile.tempdir = str(self._folder / "tmp")
        self._finder = LocalFinder([plugins, project])
        sys.meta_path.append(self._finder)
        sys.dont_write_bytecode = True

    def close(self) -> None:
        """Remove the folder."""
        os.chdir("/")
        remove_tree(self._folder)

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run one step; gives its output, what it read, and how it went, as JSON values."""
        call = StepCall.from_dict(request["call"])
        state = State.from_dict(request["state"])
        with _output_to(Path(request["log"])):
            try:
                return self._run(call, state, request)
            except DamagedBlob as damaged:
                return {"ok": False, "damaged": damaged.ref}
            except Exception as error:
                traceback.print_exc()
                return _failure(error, self._own_line(error))
            finally:
                recording.activate(None)

    def _own_line(self, error: BaseException) -> str:
        """`file:line` of the innermost frame in the user's own code, where there is one."""
        if isinstance(error, SyntaxError) and str(error.filename).startswith(f"{self._project}/"):
            return f"{Path(str(error.filename)).relative_to(self._project)}:{error.lineno}"
        prefixes = (f"{self._plugins}/", f"{self._project}/")
        own = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename.startswith(prefixes) and not frame.filename.startswith((sys.prefix, _PACKAGE))
        ]
        return f"{Path(own[-1].filename).relative_to(self._project)}:{own[-1].lineno}" if own else ""

    def _run(self, call: StepCall, state: State, request: Mapping[str, Any]) -> dict[str, Any]:
        loaded = self._at(state)
        work = self._store.work / request["work"]
        remove_tree(work)
        work.mkdir(parents=True)
        recorder = Recorder(
            self._folder / "reads",
            self._project,
            [self._folder, self._store.root, Path(sys.prefix), Path(sys.base_prefix), Path(_PACKAGE)],
        )
        fields = RecordedFields({**request["flags"], **state.overrides}, recorder)
        self._finder.used = False
        _seed(call)
        started = time.monotonic()
        recording.activate(recorder)
        loaded = self._adapter.run(call, loaded, fields, work)
        recording.activate(None)
        seconds = time.monotonic() - started
        reads = recorder.close()
        after = self._keep(loaded, state, work, fields.overrides)
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
        if self._loaded is not None and self._loaded[0] == state:
            return self._loaded[1]
        self._tree = self._store.read_tree(state.tree)
        folder = self._folder / ARTIFACTS
        remove_tree(folder)
        folder.mkdir()
        for name, ref in self._tree.items():
            self._store.unpack(ref, folder / name)
        for name, listing in state.work.items():
            self._store.restore(listing, self._store.work / name)
        self._signatures = dict(_signatures(folder))
        return self._adapter.load(self._store.checked(state.model))

    def _keep(self, loaded: Any, before: State, work: Path, overrides: Mapping[str, Any]) -> State:
        """Everything the step made, in the store."""
        found = dict(_signatures(self._folder / ARTIFACTS))
        tree = {}
        for name, now in found.items():
            same = self._signatures.get(name) == now
            tree[name] = self._tree[name] if same else self._store.pack(self._folder / ARTIFACTS / name)
        self._tree, self._signatures = tree, found
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
        return State(
            model=self._store.put_bytes(self._adapter.save(loaded)),
            tree=self._store.put_tree(tree),
            work=builds,
            overrides={**before.overrides, **overrides},
        )


_PACKAGE = str(Path(__file__).resolve().parent.parent)


def _signatures(folder: Path) -> Iterator[tuple[str, Signature]]:
    """Relative POSIX name and signature of every file below `folder`, in order."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent) / name
            yield path.relative_to(folder).as_posix(), signature(path.stat())


def _seed(call: StepCall) -> None:
    """The same random numbers and temporary names each time this step runs."""
    random.seed(seed_of(call))
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed_of(call))
    tempfile._name_sequence = (f"{number:06d}" for number in itertools.count())  # type: ignore[attr-defined]


def _failure(error: BaseException, own_line: str) -> dict[str, Any]:
    """What the main process is told of an exception in a step."""
    message = error.located() if isinstance(error, FinnmakeError) else f"{type(error).__name__}: {error}"
    category, tip = classify(message, getattr(error, "category", "unknown"))
    return {
        "ok": False,
        "message": f"{own_line}: {message}" if own_line else message,
        "category": category,
        "cure": tip or getattr(error, "cure", ""),
    }


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Standard output and error of this process, its libraries and its children go to `log`."""
    with open(log, "ab", buffering=0) as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def serve(channel: socket.socket, session: Session) -> None:
    """Answer requests (JSON lines) until the other side closes the channel."""
    with channel.makefile("rb") as requests:
        for line in requests:
            answer = session.run(json.loads(line))
            channel.sendall(json.dumps(answer).encode() + b"\n")
    session.close()
