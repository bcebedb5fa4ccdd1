"""The toolchain identity: everything besides a step's own reads that can change a result."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution
from pathlib import Path
from site import getsitepackages
from typing import Any, NamedTuple

from finnmake.engine.editable import editable_folder
from finnmake.engine.files import FileDigests
from finnmake.engine.paths import MACHINE
from finnmake.engine.search import bringing, search_path
from finnmake.hashing import digest_value

#: Packages that check or drive the project but take no part in a step.
_NO_PART = frozenset(
    (
        *("certifi", "charset_normalizer", "cloudpickle", "cramjam", "docker", "doit", "execnet"),
        *("fastparquet", "flit_core", "fsspec", "hypothesis", "idna", "iniconfig", "librt", "mypy"),
        *("mypy_extensions", "pathspec", "pip", "pluggy", "pytest", "pytest_timeout", "pytest_xdist"),
        *("requests", "ruff", "setuptools", "simpleeval", "sortedcontainers", "spython"),
        *("types_docker", "types_psutil", "types_pyyaml", "types_requests", "urllib3", "wheel"),
    )
)

#: Packages whose edited or editable installation counts by content.
_BY_CONTENT = ("brainsmith", "finn_plus", "finn", "qonnx")

#: Variables that FINN and the tools below it read; whoever sets one gets results of their own.
SWITCHES = (
    "FINN_DEBUG",
    "FINN_MP_START_METHOD",
    "FINN_XELAB_MT",
    "LIVENESS_THRESHOLD",
    "NUM_DEFAULT_WORKERS",
    "RTLSIM_TRACE_DEPTH",
    "SANITIZE_QUANT_TENSORS",
)

#: Likewise, with paths of this machine as values, which mean nothing in a container.
_PATHS = (
    "FINN_CUSTOM_HLS",
    "FINN_DEPS",
    "FINN_RTLLIB",
    "LD_LIBRARY_PATH",
    "PLATFORM_REPO_PATHS",
)

#: Where licences are, as their client asks: steps see them, and results do not depend on them.
LICENCES = ("XILINXD_LICENSE_FILE", "LM_LICENSE_FILE")

#: Where Vivado is, unless the project's settings say it.
_VIVADO = ("XILINX_HLS", "XILINX_VITIS", "XILINX_VIVADO", "XILINX_XRT")

#: The modules of finnmake that run inside a step, relative to the package.
_INSIDE = (
    "backends/finn.py",
    "backends/finn_checks.py",
    "backends/finn_kernels.py",
    "backends/finn_nodes.py",
    "backends/finn_refusals.py",
    "backends/finn_tools.py",
    "backends/passthrough.py",
    "backends/placeholders.py",
    "blueprint/finn_tables.json",
    "blueprint/open_rtl_steps.py",
    "blueprint/tables.py",
    "engine/actions.py",
    "engine/blobs.py",
    "engine/channel.py",
    "engine/files.py",
    "engine/folders.py",
    "engine/local_modules.py",
    "engine/paths.py",
    "engine/pool.py",
    "engine/processes.py",
    "engine/recording.py",
    "engine/runtime/bwrap.py",
    "engine/runtime/container.py",
    "engine/runtime/local.py",
    "engine/runtime/warm.py",
    "engine/session.py",
    "engine/sharing.py",
    "engine/state.py",
    "engine/store.py",
    "engine/temporary.py",
    "engine/trace.py",
    "engine/vivado.py",
    "engine/warm.py",
    "engine/warm_worker.py",
    "engine/worker.py",
    "hashing.py",
    "plugins/__init__.py",
    "plugins/build.py",
    "whole.py",
)


#: Adapter -> the modules of finnmake that run inside its steps alone: FINN's results do not hang on them. Of
#: a folder, which ends with `/`, all files count.
_INSIDE_OF = {
    "finnmake.backends.brainsmith": (
        "backends/brainsmith.py",
        "backends/brainsmith_blueprint.py",
        "backends/qonnx_calls.py",
        "blueprint/brainsmith_fields.py",
        "blueprint/brainsmith_steps.py",
    ),
    "finnmake.backends.open_rtl": (
        "backends/open_rtl/",
        "engine/parts.py",
        "plugins/builtin/__init__.py",
        "plugins/builtin/checks.py",
        "plugins/builtin/dataset.py",
        "templating.py",
    ),
    "finnmake.backends.mock": ("backends/mock.py", "backends/mock_figures.py", "backends/onnx_metadata.py"),
}


class Toolchain(NamedTuple):
    """The identity, part by part, for the manifest; `digest` enters every key."""

    parts: Mapping[str, Any]
    digest: str

    def for_backend(
        self, adapter: str, digests: FileDigests, sources: Mapping[str, Path] | None = None
    ) -> Toolchain:
        """The identity of a backend on these tools: no two backends ever take each other's results.

        Args:
            adapter: dotted name of the backend's module.
            sources: name -> file or folder, of all that may be behind an adapter that is not finnmake's own:
                the worker imports it where no trace sees it.
        """
        part = {"name": adapter, "modules": _inside(digests, adapter)}
        if sources is not None:
            found = {name: _digest_source(path, digests) for name, path in sources.items()}
            part["sources"] = digest_value("adapter", found)
        parts = {**self.parts, "adapter": part}
        return Toolchain(parts, digest_value("toolchain", parts))


def variables(*, contained: bool, vivado: bool, deps: bool = False) -> dict[str, str]:
    """Those variables of the environment that steps are to see, and that enter the identity.

    Args:
        contained: whether the steps run where paths of this machine mean nothing.
        vivado: whether the project's settings say which Vivado it is.
        deps: whether they say where FINN's dependencies are.
    """
    names = {*SWITCHES, *(() if contained else _PATHS), *(() if contained or vivado else _VIVADO)}
    names -= {"FINN_DEPS"} if deps else set()
    return {name: os.environ[name] for name in sorted(names) if os.environ.get(name)}


def licence_variables() -> dict[str, str]:
    """Those variables of the environment that say where licences are."""
    return {name: os.environ[name] for name in LICENCES if os.environ.get(name)}


def installed(digests: FileDigests) -> dict[str, Any]:
    """What this process's Python brings: `python`, `packages`, `contents`; imports nothing of it."""
    places = [place for place in getsitepackages() if os.path.isdir(place)]
    packages = {name: found for place in reversed(places) for name, found in _packages(Path(place))}
    return {
        "python": _python(),
        "packages": {name: version for name, (version, _) in packages.items() if name not in _NO_PART},
        "contents": {
            **{name: _content(packages[name][1], digests) for name in _BY_CONTENT if name in packages},
            **dict(_plugin_contents(dict.fromkeys([*search_path(), *places]), digests)),
        },
    }


def _python() -> str:
    """`CPython 3.11.7 x86_64`, as `platform` has it, which takes long to load."""
    name = sys.implementation.name.replace("cpython", "CPython")
    return f"{name} {sys.version.split()[0]} {os.uname().machine}"


def identify(
    installed: Mapping[str, Any],
    digests: FileDigests,
    *,
    variables: Mapping[str, str],
    image: str = "",
    tools: Mapping[str, Any] | None = None,
    share: bool = False,
) -> Toolchain:
    """The toolchain identity.

    Args:
        installed: what `installed` gives in the Python that runs the steps.
        variables: what `variables` gives.
        image: the container image that they run in; empty outside.
        tools: Vivado and its companions, with their versions.
        share: whether results of the same packages are the same inside and outside a container. The image
            and the patch release of Python then do not count.
    """
    python = _minor(installed["python"]) if share else installed["python"]
    parts = {
        **installed,
        "python": python,
        "finnmake": _inside(digests),
        "variables": dict(variables),
        "tools": dict(tools or {}),
        "image": "" if share else image,
    }
    return Toolchain(parts, digest_value("toolchain", parts))


def _minor(python: str) -> str:
    """`CPython 3.11 x86_64` of `CPython 3.11.7 x86_64`."""
    implementation, version, machine = python.split()
    return " ".join((implementation, ".".join(version.split(".")[:2]), machine))


def _packages(site: Path) -> Iterator[tuple[str, tuple[str, Path]]]:
    """Normalised name, version and metadata folder of every installed package."""
    for entry in sorted(os.listdir(site)):
        if entry.endswith(".dist-info"):
            name, _, version = entry[: -len(".dist-info")].partition("-")
            if name != "finnmake":
                yield _normalised(name), (version, site / entry)


def _normalised(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _content(metadata: Path, digests: FileDigests) -> str:
    """Digest of an editable package's sources, or of a regular one's list of files."""
    folder = _editable(metadata)
    return _digest_record(metadata / "RECORD") if folder is None else digest_sources(folder, digests)


def _editable(metadata: Path) -> Path | None:
    """The folder of an editable package's project; None for a regular one."""
    if metadata.suffix == ".egg-info" and not (metadata / "installed-files.txt").exists():
        return metadata.parent  # as `setup.py develop` leaves it, beside the sources
    return editable_folder(Distribution.at(metadata))


def _plugin_contents(places: Iterable[str], digests: FileDigests) -> Iterator[tuple[str, str]]:
    """Package -> digest of its files as they are now, where it brings plugins: people edit these.

    What lies outside the toolchain's folders, as most editable packages do, is left to the trace, which
    knows the steps that read it.
    """
    seen = {*_BY_CONTENT, "finnmake"}
    for metadata in (Path(each) for place in places for each in bringing(place)):
        name = _normalised(metadata.stem.partition("-")[0])
        if name in seen:  # Python takes the first on its path
            continue
        seen.add(name)
        folder = _editable(metadata)
        if folder is None:
            yield name, _digest_files(metadata, digests)
        elif _in_toolchain(folder):
            yield name, digest_sources(folder, digests)


def _in_toolchain(folder: Path) -> bool:
    """Whether files in the folder are no inputs of steps, as `paths.Boundary` has it."""
    places = (sys.prefix, sys.base_prefix, *MACHINE)
    return any(folder.is_relative_to(each) for place in places for each in (place, os.path.realpath(place)))


def _digest_files(metadata: Path, digests: FileDigests) -> str:
    """Digest of a regular package's files: of those in its list, and of all beside them in its folders.

    Without a list they are those that its entry points name.
    """
    site = metadata.parent
    listed = [line.rsplit(",", 2)[0].strip('"') for line in _record(metadata / "RECORD")]
    listed = listed or [*_named(metadata)]
    own = {name.partition("/")[0] for name in listed if name.partition("/")[2] == "__init__.py"}
    folders = {name: digest_sources(site / name, digests) for name in sorted(own)}
    rest = sorted(name for name in listed if name.partition("/")[0] not in own)
    return digest_value("files", [folders, {name: digests.digest(site / name) for name in rest}])


def _named(metadata: Path) -> Iterator[str]:
    """The packages and modules that the entry points of a package lead to."""
    for line in (metadata / "entry_points.txt").read_text().splitlines():
        module = line.partition("=")[2].strip().partition(":")[0].partition(".")[0]
        if module:
            yield from (f"{module}/__init__.py", f"{module}.py")


def _digest_record(path: Path) -> str:
    """Digest of the files that belong to a package, by the list that its installation left.

    Scripts lie outside the package and name the environment's own path, bytecode is made on the spot: with
    them, every clone would have a toolchain of its own.
    """
    return digest_value("record", sorted(_record(path))) if path.is_file() else ""


def _record(path: Path) -> list[str]:
    """The lines of a package's list of files that are the package itself; none where there is no list."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    own = (line for line in lines if not line.startswith("../") and "__pycache__/" not in line)
    return [line for line in own if ".dist-info/" not in line]


def digest_sources(folder: Path, digests: FileDigests) -> str:
    """Digest of all files in a folder, less hidden folders and bytecode; links are followed."""
    found, seen = {}, set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        for name in sorted(names):
            path = Path(parent) / name
            if not name.endswith(".pyc"):
                found[path.relative_to(folder).as_posix()] = digests.digest(path)
    return digest_value("sources", found)


def _inside(digests: FileDigests, adapter: str | None = None) -> str:
    """Digest of the modules that run inside every step, or of those of one adapter."""
    names = _INSIDE if adapter is None else _INSIDE_OF.get(adapter, ())
    package = Path(__file__).resolve().parent.parent
    found = {
        name: digest_sources(package / name, digests)
        if name.endswith("/")
        else digests.digest(package / name)
        for name in names
    }
    return digest_value("finnmake", found)


def _digest_source(path: Path, digests: FileDigests) -> str:
    """Digest of a package's folder, or of a module's file."""
    return digest_sources(path, digests) if path.is_dir() else digest_value("module", digests.digest(path))
