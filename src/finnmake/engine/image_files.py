"""The files from which the container image is made, rendered from `templates/container/` and the settings."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.errors import ContainerError, Location, WorkspaceError
from finnmake.hashing import digest_value
from finnmake.settings import NO_LICENCE, VIVADO_VERSIONS, Settings
from finnmake.templating import environment
from finnmake.whole import written_whole

if TYPE_CHECKING:
    import jinja2

#: The project's folder of templates for these files.
TEMPLATES = "templates/container"

#: Generated file -> its template in `TEMPLATES`.
GENERATED = {
    ".devcontainer/devcontainer.json": "devcontainer.json.j2",
    "Dockerfile": "Dockerfile.j2",
    "docker/compose.yaml": "compose.yaml.j2",
    "docker/finnmake.def": "finnmake.def.j2",
    "docker/mounts": "mounts.j2",
}

#: The script that computes the digests, on the host and in the image.
DESCRIBE = "docker/describe.py"

#: The line of the Dockerfile that tells the settings which it was made from.
_SETTINGS = re.compile(r"^# settings: ([0-9a-f]{64})$", re.MULTILINE)

#: The time (seconds since the epoch; 1 January 2025) that everything in the image carries.
EPOCH = 1735689600


@dataclass(frozen=True)
class PackageGroup:
    """Debian packages that the image has for one reason.

    Attributes:
        reason: what needs them; it stands beside them in the Dockerfile.
        packages: their names.
    """

    reason: str
    packages: tuple[str, ...]


#: What every supported release of Vivado needs, so that naming or changing it asks for no other image.
PACKAGE_GROUPS = (
    PackageGroup(
        "the first process; it ends the others on a signal, and collects those that ended", ("tini",)
    ),
    PackageGroup("FINN compiles C++ models of layers, and drivers of simulations", ("g++", "make")),
    PackageGroup(
        "C headers for 32 bit, which C simulation and synthesis of Vitis HLS include", ("libc6-dev-i386",)
    ),
    PackageGroup("FINN and Vivado unpack archives of boards, IP cores and hardware descriptions", ("unzip",)),
    PackageGroup(
        "`ps`, for the scripts that start Vivado's runs and for editors in a dev container", ("procps",)
    ),
    PackageGroup("Vivado and Vitis are linked with ncurses 5", ("libncurses5", "libtinfo5")),
    PackageGroup(
        "tools of the releases of 2024 may ask for ncurses 6",
        ("libncurses6", "libtinfo6"),
    ),
    PackageGroup(
        "Vivado loads the libraries of its windows in batch mode too",
        ("libx11-6", "libxext6", "libxi6", "libxrender1", "libxtst6"),
    ),
    PackageGroup("Vivado's Java asks for fonts when it starts", ("fontconfig", "libfreetype6")),
    PackageGroup("Vivado sets the locale en_US.UTF-8, and stops where there is none", ("locales",)),
    PackageGroup(
        "Vivado's licence library (FlexLM) lists devices by it; see docker/entrypoint.sh", ("libudev1",)
    ),
)


def render(root: Path, settings: Settings) -> dict[str, str]:
    """The text of every generated file, by its path in the project. Raises ContainerError."""
    values = _values(settings)
    files = _environment(root / TEMPLATES)
    return {name: _text(files, root / TEMPLATES / template, values) for name, template in GENERATED.items()}


def differing(root: Path, settings: Settings) -> list[str]:
    """The generated files that are missing, or are not what the settings give. Raises ContainerError."""
    return [name for name, text in render(root, settings).items() if _read(root / name) != text.encode()]


def write(root: Path, settings: Settings) -> list[str]:
    """Write the generated files that differ; gives their names. Raises ContainerError, WorkspaceError."""
    texts = render(root, settings)
    changed = [name for name, text in texts.items() if _read(root / name) != text.encode()]
    for name in changed:
        write_whole(root / name, texts[name])
    return changed


def write_whole(path: Path, text: str) -> None:
    """Write a file of the project, whole or not at all. Raises WorkspaceError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorkspaceError(
            f"cannot be written: {error.strerror}",
            where=Location(path=path),
            cure="Look at the rights of this folder, and at the space on the disk.",
        ) from error


def digests(root: Path, settings: Settings) -> dict[str, str]:
    """What an image of this project is made from: `base`, and digests `requirements` and `dockerfile`.

    Raises ContainerError, also where the Dockerfile was made from other settings.
    """
    try:
        compute: Callable[[Path], dict[str, str]] = runpy.run_path(str(root / DESCRIBE))["digests"]
        found = {"base": settings.container.base, **compute(root)}
        written = _SETTINGS.search((root / "Dockerfile").read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise ContainerError(
            f"a file that the image is made from cannot be read: {error.strerror}",
            where=Location(path=Path(error.filename or root)),
            cure="Restore it from version control.",
        ) from error
    if written is None or written[1] != _settings_digest(settings):
        raise ContainerError(
            "the settings for the image have changed since this file was made from them",
            where=Location(path=root / "Dockerfile"),
            cure="Undo the change in pyproject.toml, or make and pin a new image: doit image --update",
        )
    return found


def _settings_digest(settings: Settings) -> str:
    """The digest of what the Dockerfile is rendered from, but for the base, which the lock holds itself."""
    groups = [[group.reason, *group.packages] for group in _groups(settings)]
    return digest_value("image settings", {"epoch": EPOCH, "groups": groups})


def _groups(settings: Settings) -> list[PackageGroup]:
    packages = settings.container.packages
    asked = [PackageGroup("asked for in pyproject.toml", packages)] if packages else []
    return [*PACKAGE_GROUPS, *asked]


def _values(settings: Settings) -> dict[str, Any]:
    """What the templates know."""
    vivado, licence, container = settings.toolchain.vivado, settings.toolchain.licence, settings.container
    deps = settings.toolchain.deps
    groups = _groups(settings)
    mounts = [*container.mounts, *([deps] if deps else ())]
    if vivado:
        # The folder that holds Vivado and its siblings, unless that is the root folder.
        root = vivado.path.parent.parent
        mounts.append(vivado.path if root == Path("/") else root)
        if licence.startswith("/"):
            mounts.append(Path(licence))
    return {
        "base": container.base,
        "apptainer_base": _without_tag(container.base),
        "container": container,
        "epoch": EPOCH,
        "groups": groups,
        "packages": sorted({package for group in groups for package in group.packages}),
        "mounts": sorted({str(path) for path in mounts}),
        "licence": "" if licence == NO_LICENCE else licence,
        "newest": VIVADO_VERSIONS[-1],
        "settings": _settings_digest(settings),
        "vivado": vivado and {"path": str(vivado.path), "version": vivado.version},
    }


def _without_tag(image: str) -> str:
    """The image's name without its tag, where it has a digest too: Apptainer takes one or the other."""
    return re.sub(r":[^:/@]+(?=@)", "", image)


def _text(environment: jinja2.Environment, template: Path, values: dict[str, Any]) -> str:
    import jinja2

    try:
        return environment.get_template(template.name).render(values)
    except jinja2.TemplateNotFound as error:
        raise ContainerError(
            "the template is missing",
            where=Location(path=template.with_name(str(error.name))),
            cure="Restore it from version control.",
        ) from error
    except jinja2.TemplateError as error:
        raise ContainerError(
            f"the template cannot be used ({error.message})",
            where=Location(path=template, line=getattr(error, "lineno", None)),
            cure="Mend it, or restore it from version control.",
        ) from error


def _environment(templates: Path) -> jinja2.Environment:
    files = environment(templates)
    files.filters["json"] = json.dumps
    files.filters["quoted"] = shlex.quote
    return files


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
