"""The layering of the package: imports point down only, and heavy libraries stay where they belong."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "finnmake"

#: Ground floor first. A layer imports itself and those before it.
LAYERS = (
    "checked",
    "records",
    "errors",
    "error_patterns",
    "hashing",
    "whole",
    "templating",
    "settings",
    "blueprint",
    "exploration",
    "engine",
    "plugins",
    "backends",
    "runner",
    "report",
    "tasks",
    "api",
)

#: Top-level module -> the layers that may import it.
HOMES = {
    "finn": {"backends"},
    "qonnx": {"backends", "plugins"},
    "onnx": {"backends", "plugins"},
    "onnxruntime": {"plugins"},
    "mip": {"backends"},
    "doit": {"tasks", "__main__"},
    "docker": {"engine"},
    "dask": {"engine"},
}

#: Entry points and files that stand beside the layers.
ENTRIES = {"__init__", "__main__", "_bootstrap"}

#: Modules that `import finnmake` and loading dodo.py must not bring.
HEAVY = (
    "finn",
    "qonnx",
    "onnx",
    "onnxruntime",
    "numpy",
    "docker",
    "dask",
    "plotly",
    "jinja2",
    "pydantic",
    "rich",
    "pandas",
    "fastparquet",
    "simpleeval",
)

MODULES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            names.update(arg.value for arg in node.args if isinstance(arg, ast.Constant))
    return names


def test_every_module_is_in_a_layer():
    assert {layer_of(path) for path in MODULES} - ENTRIES == set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    layer = layer_of(path)
    if layer in ENTRIES:
        return
    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "finnmake" and len(parts) > 1:
            assert parts[1] in allowed, f"{layer} must not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_stay_at_home(path):
    for name in imported(path):
        homes = HOMES.get(name.partition(".")[0])
        assert homes is None or layer_of(path) in homes, f"{name} belongs to {homes}"


def test_loading_dodo_imports_nothing_heavy():
    code = (
        "import sys, finnmake, dodo\n"
        "from doit.doit_cmd import DoitMain\n"
        "assert DoitMain().run(['list', '--all']) == 0\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"
