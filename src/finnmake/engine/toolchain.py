"""The toolchain identity: everything besides a step's own reads that can change a result."""

from __future__ import annotations

import json
import os
import platform
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine.files import FileDigests
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
_BY_CONTENT = ("finn_plus", "finn", "qonnx")

#: Variables that FINN and the tools below it read; whoever sets one gets results of their own.
_SWITCHES = (
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
    "backends/finn_refusals.py",
    "backends/placeholders.py",
    "blueprint/finn_tables.json",
    "blueprint/tables.py",
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
    "engine/session.py",
    "engine/state.py",
    "engine/store.py",
    "engine/trace.py",
    "engine/vivado.py",
    "engine/worker.py",
    "hashing.py",
    "plugins/__init__.py",
    "plugins/build.py",
)


#: Adapter -> the modules of finnmake that run inside its steps alone: FINN's results do not hang on them.
_INSIDE_OF = {
    "finnmake.backends.mock": ("backends/mock.py", "backends/mock_figures.py", "backends/onnx_metadata.py"),
}


@dataclass(frozen=True)
class Toolchain:
    """The identity, part by part, for the manifest; `digest` enters every key."""

    parts: Mapping[str, Any]
    digest: str

    def for_backend(self, adapter: str, digests: FileDigests) -> Toolchain:
        """The identity of a backend on these tools: no two backends ever take each other's results.

        Args:
            adapter: dotted name of the backend's module.
        """
        parts = {**self.parts, "adapter": {"name": adapter, "modules": _inside(digests, adapter)}}
        return Toolchain(parts, digest_value("toolchain", parts))


def variables(*, contained: bool, vivado: bool, deps: bool = False) -> dict[str, str]:
    """Those variables of the environment that steps are to see, and that enter the identity.

    Args:
        contained: whether the steps run where paths of this machine mean nothing.
        vivado: whether the project's settings say which Vivado it is.
        deps: whether they say where FINN's dependencies are.
    """
    names = {*_SWITCHES, *(() if contained else _PATHS), *(() if contained or vivado else _VIVADO)}
    names -= {"FINN_DEPS"} if deps else set()
    return {name: os.environ[name] for name in sorted(names) if os.environ.get(name)}


def licence_variables() -> dict[str, str]:
    """Those variables of the environment that say where licences are."""
    return {name: os.environ[name] for name in LICENCES if os.environ.get(name)}


def installed(digests: FileDigests) -> dict[str, Any]:
    """What this process's Python brings: `python`, `packages`, `contents`; imports nothing of it."""
    site = Path(sysconfig.get_path("purelib"))
    packages = dict(_packages(site))
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()} {platform.machine()}",
        "packages": {name: version for name, (version, _) in packages.items() if name not in _NO_PART},
        "contents": {name: _content(packages[name][1], digests) for name in _BY_CONTENT if name in packages},
    }


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
                yield name.lower().replace("-", "_").replace(".", "_"), (version, site / entry)


def _content(metadata: Path, digests: FileDigests) -> str:
    """Digest of an editable package's sources, or of a regular one's list of files."""
    direct = metadata / "direct_url.json"
    if direct.exists():
        origin = json.loads(direct.read_text())
        if origin.get("dir_info", {}).get("editable"):
            return digest_sources(Path(origin["url"].removeprefix("file://")), digests)
    return _digest_record(metadata / "RECORD")


def _digest_record(path: Path) -> str:
    """Digest of the files that belong to a package, by the list that its installation left.

    Scripts lie outside the package and name the environment's own path, bytecode is made on the spot: with
    them, every clone would have a toolchain of its own.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    own = (line for line in lines if not line.startswith("../") and "__pycache__/" not in line)
    return digest_value("record", sorted(line for line in own if ".dist-info/" not in line))


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
    return digest_value("finnmake", {name: digests.digest(package / name) for name in names})
