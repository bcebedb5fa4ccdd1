"""The settings of a project: the table `[tool.finnmake]` of its pyproject.toml, read and checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from finnmake.errors import Location, WorkspaceError

#: What `runtime` may be; docs/container.md tells them apart.
RUNTIMES = ("auto", "local", "container", "bwrap")

#: What the image starts from: the slim Python image of Docker Hub, by digest.
BASE = "python:3.11.11-slim-bookworm@sha256:081075da77b2b55c23c088251026fb69a7b2bf92471e491ff5fd75c192fd38e5"

#: Releases of Vivado whose system libraries the image holds.
VIVADO_VERSIONS = ("2022.2", "2023.1", "2023.2", "2024.1", "2024.2")

#: The smallest sizes that a build can do with (bytes).
_LEAST = {"memory": 512 << 20, "tmp": 1 << 20}

#: `licence` for devices that Vivado builds without one.
NO_LICENCE = "none"


class VivadoSettings(NamedTuple):
    """An installation of Vivado: its folder (`…/Vivado/2022.2`) and the release that it must be."""

    path: Path
    version: str


class ToolchainSettings(NamedTuple):
    """The table `[tool.finnmake.toolchain]`.

    Attributes:
        share: whether builds inside and outside the container share results when their packages are the same.
        vivado: the installation to use; None for flows that need none.
        licence: a licence file, `port@host`, or "none"; empty where the environment says it.
        deps: the folder of FINN's own dependencies (finn-hlslib, board files), else FINN_DEPS; HLS needs it.
    """

    share: bool = False
    vivado: VivadoSettings | None = None
    licence: str = ""
    deps: Path | None = None


class ContainerSettings(NamedTuple):
    """The table `[tool.finnmake.container]`.

    Attributes:
        base: the image that the Dockerfile starts from.
        packages: Debian packages for the image besides those that it always has.
        memory: bytes for the container; None for no limit.
        cpus: processors; None for no limit.
        pids: processes and threads.
        tmp: bytes of `/tmp`, which is in memory.
        network: "none", or a network of the engine's, for a licence server.
        mounts: folders and files outside the project that steps read, at the same path inside.
    """

    base: str = BASE
    packages: tuple[str, ...] = ()
    memory: int | None = None
    cpus: float | None = None
    pids: int = 512
    tmp: int = 1 << 30
    network: str = "none"
    mounts: tuple[Path, ...] = ()


class Settings(NamedTuple):
    """The table `[tool.finnmake]`: the blueprint that is built by default, where, and with what.

    Attributes:
        blueprint: its name or path.
        runtime: one of `RUNTIMES`.
        variables: environment variables that blueprints may use in `extends`.
        toolchain: what builds find.
        container: the container of the image.
    """

    blueprint: str | None = None
    runtime: str = "auto"
    variables: tuple[str, ...] = ()
    toolchain: ToolchainSettings = ToolchainSettings()
    container: ContainerSettings = ContainerSettings()


def read_settings(root: Path) -> Settings:
    """The settings of the project in `root`. Raises WorkspaceError with file, line and key."""
    path = root / "pyproject.toml"
    try:
        text = path.read_text()
        table = tomllib.loads(text).get("tool", {}).get("finnmake", {})
    except FileNotFoundError:
        return Settings()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkspaceError(
            f"not a TOML file: {error}", where=Location(path=path), cure="Correct it."
        ) from error
    return _Reader(path, text).settings(table)


def read_size(text: str) -> int:
    """Bytes of a size such as `512m`, `8g` or `1.5 GiB`. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(text)
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))


class _Reader:
    """Turns tables into settings; knows where in the file a key stands."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def settings(self, table: Any) -> Settings:
        """The whole of `[tool.finnmake]`."""
        return Settings(
            **self._fields(
                "tool.finnmake",
                table,
                {
                    "blueprint": self._text,
                    "runtime": self._runtime,
                    "variables": self._variables,
                    "toolchain": self._toolchain,
                    "container": self._container,
                },
            )
        )

    def _toolchain(self, key: str, value: Any) -> ToolchainSettings:
        readers = {
            "share": self._flag,
            "vivado": self._vivado,
            "licence": self._licence,
            "deps": self._absolute,
        }
        return ToolchainSettings(**self._fields(key, value, readers))

    def _vivado(self, key: str, value: Any) -> VivadoSettings:
        fields = self._fields(key, value, {"path": self._absolute, "version": self._version})
        for name in ("path", "version"):
            if name not in fields:
                raise self._error(
                    key,
                    f"{name!r} is missing",
                    'Write vivado = { path = "/opt/Xilinx/Vivado/2022.2", version = "2022.2" }.',
                )
        return VivadoSettings(**fields)

    def _container(self, key: str, value: Any) -> ContainerSettings:
        readers = {
            "base": self._base,
            "packages": self._packages,
            "memory": self._size,
            "cpus": self._cpus,
            "pids": self._pids,
            "tmp": self._size,
            "network": self._text,
            "mounts": self._mounts,
        }
        return ContainerSettings(**self._fields(key, value, readers))

    def _fields(
        self, key: str, table: Any, readers: Mapping[str, Callable[[str, Any], Any]]
    ) -> dict[str, Any]:
        if not isinstance(table, dict):
            raise self._error(key, "must be a table", f"Its keys are {', '.join(readers)}.")
        for name in table:
            if name not in readers:
                from difflib import get_close_matches  # only errors need it

                near = get_close_matches(name, readers, 1)
                meant = f"Did you mean {near[0]!r}? " if near else ""
                raise self._error(
                    f"{key}.{name}", f"unknown key {name!r}", f"{meant}Known keys: {', '.join(readers)}."
                )
        return {name: readers[name](f"{key}.{name}", value) for name, value in table.items()}

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self._error(key, f"must be a text, not {value!r}", "Put it in quotation marks.")
        if not value:
            raise self._error(key, "is empty", "Write a value, or take the line out.")
        return value

    def _runtime(self, key: str, value: Any) -> str:
        if value not in RUNTIMES:
            raise self._error(key, f"there is no runtime {value!r}", f"There are {', '.join(RUNTIMES)}.")
        return str(value)

    def _variables(self, key: str, value: Any) -> tuple[str, ...]:
        names = self._list(key, value)
        for name in names:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise self._error(
                    key,
                    f"{name!r} is not the name of a variable",
                    "Use letters, digits and '_', without '$' and braces.",
                )
        return tuple(sorted(set(names)))

    def _flag(self, key: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self._error(key, f"must be true or false, not {value!r}", "Write it without quotes.")
        return value

    def _absolute(self, key: str, value: Any) -> Path:
        path = Path(self._text(key, value)).expanduser()
        if not path.is_absolute():
            raise self._error(key, f"{value!r} is not an absolute path", "Begin it with a slash.")
        return path

    def _version(self, key: str, value: Any) -> str:
        if value not in VIVADO_VERSIONS:
            raise self._error(
                key, f"Vivado {value!r} is not supported", f"Releases: {', '.join(VIVADO_VERSIONS)}."
            )
        return str(value)

    def _licence(self, key: str, value: Any) -> str:
        text = self._text(key, value)
        if text == NO_LICENCE or "@" in text:
            return text
        if not text.startswith(("/", "~")):
            raise self._error(key, f"{text!r} is no licence", 'Write "/path/to/file", "port@host" or "none".')
        return str(self._absolute(key, text))

    def _base(self, key: str, value: Any) -> str:
        text = self._text(key, value)
        if re.search(r"\s", text):
            raise self._error(key, f"{text!r} is not the name of an image", "Write name:tag@sha256:….")
        return text

    def _packages(self, key: str, value: Any) -> tuple[str, ...]:
        names = self._list(key, value)
        for name in names:
            if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+~:-]+)?", name):
                raise self._error(
                    key, f"{name!r} is not the name of a Debian package", "Write name or name=version."
                )
        return tuple(sorted(set(names)))

    def _size(self, key: str, value: Any) -> int:
        try:
            size = read_size(value)
        except (TypeError, ValueError):
            raise self._error(key, f"{value!r} is not a size", 'Write it as "512m" or "8g".') from None
        least = _LEAST[key.rpartition(".")[2]]
        if size < least:
            raise self._error(key, f"{value!r} is too little", f"FINN needs {least >> 20}m at least.")
        return size

    def _cpus(self, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise self._error(key, f"must be a positive number, not {value!r}", "Write cpus = 4.")
        return float(value)

    def _pids(self, key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 32:
            raise self._error(key, f"must be a whole number from 32 on, not {value!r}", "Write pids = 512.")
        return value

    def _mounts(self, key: str, value: Any) -> tuple[Path, ...]:
        return tuple(self._absolute(key, entry) for entry in self._list(key, value))

    def _list(self, key: str, value: Any) -> list[str]:
        if not isinstance(value, list):
            raise self._error(key, f"must be a list, not {value!r}", "Write it in square brackets.")
        return [self._text(key, entry) for entry in value]

    def _error(self, key: str, message: str, cure: str) -> WorkspaceError:
        return WorkspaceError(
            message, where=Location(path=self._path, line=self._line(key), key=key), cure=cure
        )

    def _line(self, key: str) -> int | None:
        """The line (from 1) on which the key stands: tomllib does not tell."""
        table = ""
        for number, line in enumerate(self._lines, 1):
            header = re.match(r"\s*\[([^\[\]]+)\]", line)
            if header:
                table = header[1].strip()
                if table == key:
                    return number
                continue
            name = re.match(r"\s*([\w.-]+)\s*=", line)
            full = f"{table}.{name[1]}" if name else ""
            if full and (key == full or key.startswith(f"{full}.")):
                return number
        return None
