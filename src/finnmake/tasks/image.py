"""`doit image`: makes the container image, compares it with the pinned one, pins it, moves it as a file."""

from __future__ import annotations

import fcntl
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from doit.cmd_base import Command

from finnmake.engine import image_files
from finnmake.engine.runtime import LOCK, image_archive, image_build, image_lock, images
from finnmake.engine.runtime.client import find_engine, find_image
from finnmake.engine.runtime.image_differences import differences
from finnmake.engine.runtime.image_lock import ImageLock, PinnedImage
from finnmake.errors import ContainerError, FinnmakeError, Location, WorkspaceError
from finnmake.settings import read_settings
from finnmake.tasks.command import HELP, flag, text_option
from finnmake.tasks.screen import Screen

#: Exit codes: done; not done, or not the pinned image; the command or the project is wrong; stopped.
DONE, FAILED, WRONG, STOPPED = 0, 1, 3, 130

_UPDATE = "doit image --update"


class Image(Command):  # type: ignore[misc]
    """The command."""

    name = "image"
    doc_purpose = "make the container image, and compare it with the pinned one"
    doc_usage = "[--update | --export FILE | --import FILE] [--no-cache]"
    doc_description = """Builds run in the image that docker/image.lock.json pins, and in no other.

Without an option: makes the image where the pinned one is not here, and says in what it differs if it does.
Exit code 0: the pinned image is here. 1: it is not. 3: the command or the project is wrong.

The engine is the one on this machine (DOCKER_HOST, or the usual sockets of docker and podman)."""
    cmd_options = (
        flag("update", "write the Dockerfile and its like from the settings, make the image, and pin it"),
        text_option("export", "FILE", "write the pinned image to a file"),
        text_option("import", "FILE", "load the pinned image from a file; another image is refused"),
        flag("no-cache", "make every step again"),
        HELP,
    )

    def execute(self, opt_values: Mapping[str, Any], pos_args: Sequence[str]) -> int:
        """Run the command; gives the exit code."""
        if opt_values["help"]:
            print(self.help())
            return DONE
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            _check(opt_values, pos_args)
            root = Path.cwd().resolve()
            with _held(root):
                return _Run(root, cache=not opt_values["no_cache"]).run(opt_values)
        except FinnmakeError as error:
            sys.stderr.write(f"ERROR: {error}\n")
            return FAILED if isinstance(error, ContainerError) else WRONG
        except KeyboardInterrupt:
            sys.stderr.write("stopped: nothing new is pinned or named; podman ends the step that it is in\n")
            return STOPPED


class _Run:
    """One run of the command in a project."""

    def __init__(self, root: Path, *, cache: bool) -> None:
        self._root = root
        self._cache = cache
        self._say = Screen().line
        self._settings = read_settings(root)
        self._started = time.monotonic()
        self._engine = find_engine()

    def run(self, options: Mapping[str, Any]) -> int:
        """Do what the options ask for; gives the exit code."""
        if options["update"]:
            return self._update()
        self._check_generated()
        lock = image_lock.read(self._root)
        digests = image_files.digests(self._root, self._settings)
        if options["export"]:
            return self._export(image_lock.check(lock, digests, self._engine), Path(options["export"]))
        changed = image_lock.stale(lock, digests)
        if changed:
            raise ContainerError(
                f"the lock is out of date: {'; '.join(changed)}",
                where=Location(path=Path(LOCK)),
                cure=f"Undo the change, or make and pin a new image: {_UPDATE}",
            )
        if options["import"]:
            return self._import(lock, digests, Path(options["import"]))
        return self._verify(lock)

    def _update(self) -> int:
        for name in image_files.write(self._root, self._settings):
            self._say(f"written: {name}")
        digests = image_files.digests(self._root, self._settings)
        built = self._build()
        self._say("looking into the image")
        lock = ImageLock(**digests, image=images.inspect(self._engine, built))
        known = self._written() == lock
        if not known:
            image_lock.write(self._root, lock)
        self._done("pinned already" if known else "pinned", built)
        return DONE

    def _written(self) -> ImageLock | None:
        """The lock as it is; None where there is none, or a damaged one, as a merge leaves it."""
        try:
            return image_lock.read(self._root)
        except WorkspaceError:
            return None

    def _verify(self, lock: ImageLock) -> int:
        pinned = lock.image
        if pinned is not None and self._cache and find_image(self._engine, pinned.id) is not None:
            self._done("the pinned image is here", pinned.id)
            return DONE
        built = self._build()
        if pinned is None:
            self._done("made, and nothing is pinned", built)
            raise ContainerError(
                "no image is pinned", where=Location(path=Path(LOCK)), cure=f"Pin it: {_UPDATE}"
            )
        if built != pinned.id:
            self._say("looking into the image")
            self._differs(pinned, images.inspect(self._engine, built))
        self._done("made: it is the pinned image", built)
        return DONE

    def _differs(self, pinned: PinnedImage, found: PinnedImage) -> NoReturn:
        listed = "".join(f"\n  {line}" for line in differences(pinned, found))
        again = (
            ""
            if image_build.reproducible(self._engine)
            else " docker gives every image another id, podman not."
        )
        raise ContainerError(
            f"the image made here is not the pinned one:{listed}",
            cure=f"Load the pinned one (doit image --import FILE), or pin this one ({_UPDATE}).{again}",
        )

    def _export(self, pinned: PinnedImage, path: Path) -> int:
        digests = image_files.digests(self._root, self._settings)
        found = find_image(self._engine, images.tag(digests))
        named = found is not None and images.image_id(found) == pinned.id
        size = image_archive.export(
            self._engine, images.tag(digests) if named else pinned.id, path, self._say
        )
        self._done(f"written to {path} ({size / 1e6:.0f} MB)", pinned.id)
        return DONE

    def _import(self, lock: ImageLock, digests: Mapping[str, str], path: Path) -> int:
        if lock.image is None:
            raise ContainerError(
                "no image is pinned, so none can be loaded",
                where=Location(path=Path(LOCK)),
                cure="Use the commit that pins the image in the file.",
            )
        size = image_archive.import_(self._engine, lock.image, images.tag(digests), path, self._say)
        self._done(f"loaded from {path} ({size / 1e6:.0f} MB)", lock.image.id)
        return DONE

    def _build(self) -> str:
        version = f"{self._engine.kind} {self._engine.version}"
        self._say(f"making the image with {version}; the log is {image_build.LOG}")
        return image_build.build(self._root, self._settings, self._engine, self._say, cache=self._cache)

    def _check_generated(self) -> None:
        """Raise ContainerError where the Dockerfile and its like are not what the settings give."""
        names = image_files.differing(self._root, self._settings)
        if names:
            raise ContainerError(
                f"not what pyproject.toml and templates/container give: {', '.join(names)}",
                cure=f"Write them, make the image and pin it: {_UPDATE}",
            )

    def _done(self, what: str, identity: str) -> None:
        found = find_image(self._engine, identity) or {}
        seconds = time.monotonic() - self._started
        self._say(f"{what}: {identity}, {found.get('Size', 0) / 1e6:.0f} MB, {seconds:.1f} s")


def _check(options: Mapping[str, Any], arguments: Sequence[str]) -> None:
    """Raise WorkspaceError for what cannot be meant."""
    help_ = "See `doit help image`."
    if arguments:
        raise WorkspaceError(f"`doit image` takes no {arguments[0]!r}", cure=help_)
    if sum(bool(options[name]) for name in ("update", "export", "import")) > 1:
        raise WorkspaceError("only one of --update, --export and --import can be done at once", cure=help_)


@contextmanager
def _held(root: Path) -> Iterator[None]:
    """One run at a time in a project. Raises WorkspaceError where another one runs."""
    path = root / "builds" / ".image.lock"
    path.parent.mkdir(exist_ok=True)
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise WorkspaceError(
                "another `doit image` runs in this project", where=Location(path=root), cure="Wait for it."
            ) from error
        yield


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
