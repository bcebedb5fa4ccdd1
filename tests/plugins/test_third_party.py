"""A package of a third party, the one in docs/plugins.md: installed by pip, used, edited and broken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.plugins.third_party import Environment, Source
from tests.projects import REPOSITORY, Project

pytestmark = pytest.mark.finn

PAGE = (REPOSITORY / "docs/plugins.md").read_text()

#: File -> its text, of the package that the page shows.
SHOWN = dict(re.findall(r"^```(?:toml|python)\n# ([\w./]+)[^\n]*\n(.*?)^```$", PAGE, flags=re.DOTALL | re.M))

MODULE, ADAPTER = "finnmake_greenlab/plugins.py", "finnmake_greenlab/adapter.py"

#: The package with a backend besides.
FILES = {
    **SHOWN,
    "pyproject.toml": f"""{SHOWN["pyproject.toml"]}
[project.entry-points."finnmake.backends"]
greenlab = "finnmake_greenlab.backend:BACKEND"
""",
    "finnmake_greenlab/__init__.py": "",
    "finnmake_greenlab/backend.py": """\
from finnmake.backends import Backend
from finnmake.records import OutputStage

BACKEND = Backend("greenlab", "finnmake_greenlab.adapter", False, (OutputStage.ESTIMATES,))
""",
    ADAPTER: '''\
"""A backend whose steps leave the model as it is, and whose estimates go by the clock alone."""

import json
from pathlib import Path

CYCLES = 100


def preload():
    pass


def load(model):
    return model.read_bytes()


def save(loaded):
    return loaded


def run(call, loaded, config, work):
    folder = Path("artifacts/report")
    folder.mkdir(exist_ok=True)
    figures = {"estimated_throughput_fps": 1e9 / config["synth_clk_period_ns"] / CYCLES}
    (folder / "estimate_network_performance.json").write_text(json.dumps(figures))
    return loaded
''',
}

STEPS = [
    *("step_qonnx_to_finn", "step_tidy_up", "step_streamline", "step_convert_to_hw"),
    *("step_create_dataflow_partition", "step_specialize_layers", {"step": "multiply_in", "resource": "dsp"}),
    *("step_target_fps_parallelization", "step_generate_estimate_reports"),
]

TRANSFORMS = {
    "pre_proc": ["StripDocStrings"],
    "post_proc": [{"name": "energy_per_inference", "parameters": {"watts": 2.5}}],
}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """The source of the package."""
    return Source.write(tmp_path / "finnmake-greenlab", FILES)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "environment")


@pytest.fixture
def project(tmp_path: Path, environment: Environment) -> Project:
    """A project whose blueprint uses all that the package brings; the package is not installed yet."""
    project = environment.project(tmp_path)
    project.blueprint(steps=STEPS, transforms=TRANSFORMS)
    return project


def test_an_installed_package_works_and_its_content_counts(
    project: Project, environment: Environment, source: Source
) -> None:
    missing = project.fail("build").output
    assert "unknown transform 'StripDocStrings'" in missing and "unknown step 'multiply_in'" in missing

    environment.install(source)
    run = project.succeed("build")
    assert {"StripDocStrings", "multiply_in", "energy_per_inference"} <= set(run.steps)
    energy = project.read("postprocessing/energy_per_inference.json", "tiny")["joules"]
    assert energy == pytest.approx(2.5 / project.read("metrics.json", "tiny")["throughput"])
    assert project.read("manifest.json", "tiny")["toolchain"]["packages"]["finnmake_greenlab"] == "1.0.0"
    assert "nothing to do" in project.succeed("build").output

    installed = environment.site / MODULE
    installed.write_text(installed.read_text().replace("watts / build", "2 * watts / build"))
    assert "energy_per_inference" in project.succeed("build").steps
    assert project.read("postprocessing/energy_per_inference.json", "tiny")["joules"] == 2 * energy

    source.change(MODULE, FILES[MODULE].replace("watts / build", "4 * watts / build"))
    source.change("pyproject.toml", FILES["pyproject.toml"].replace("1.0.0", "1.0.1"))
    environment.install(source)
    assert "energy_per_inference" in project.succeed("build").steps
    assert project.read("postprocessing/energy_per_inference.json", "tiny")["joules"] == 4 * energy


def test_the_backend_of_an_installed_package_works(
    project: Project, environment: Environment, source: Source
) -> None:
    keys = {"backend": "greenlab"}
    project.blueprint(keys=keys, steps=["step_tidy_up"])
    assert "there is no backend 'greenlab'" in project.fail("build").output

    environment.install(source)
    assert project.succeed("build").steps == ["step_tidy_up"]
    assert project.read("metrics.json", "tiny")["throughput"] == pytest.approx(1e6)
    assert "nothing to do" in project.succeed("build").output

    adapter = environment.site / ADAPTER
    adapter.write_text(FILES[ADAPTER].replace("CYCLES = 100", "CYCLES = 50"))
    assert project.succeed("build").steps == ["step_tidy_up"]
    assert project.read("metrics.json", "tiny")["throughput"] == pytest.approx(2e6)

    assert "  from     finnmake-greenlab 1.0.0\n" in project.succeed("plugins", "greenlab").output
    (environment.site / "finnmake_greenlab/backend.py").write_text("BACKEND = None")
    assert "finnmake-greenlab 1.0.0" in project.fail("build").output
    assert "finnmake-greenlab 1.0.0" in project.fail("plugins").output


def test_an_edit_of_an_editable_package_runs_what_it_reaches(
    project: Project, environment: Environment, source: Source
) -> None:
    environment.install(source, "--editable")
    project.succeed("build")
    assert "nothing to do" in project.succeed("build").output
    source.change(MODULE, FILES[MODULE].replace("watts / build", "2 * watts / build"))
    assert set(project.succeed("build").steps) == {"StripDocStrings", "multiply_in", "energy_per_inference"}


def test_a_package_that_breaks_is_named(project: Project, environment: Environment, source: Source) -> None:
    environment.install(source)
    module = environment.site / MODULE
    module.write_text(FILES[MODULE].replace("def multiply_in(", "def multiply_in(("))
    output = project.fail("build").output
    assert (
        f"{MODULE}:19:" in output
        and "a plugin of the package finnmake-greenlab 1.0.0 does not parse" in output
    )

    module.write_text(FILES[MODULE].replace("getCustomOp(node).set", "getCustomOp(nobody).set"))
    output = project.fail("build").output
    assert f"{MODULE}:22: NameError: name 'nobody' is not defined" in output

    module.unlink()
    output = project.fail("build").output
    assert "the package finnmake-greenlab 1.0.0 brings no plugin by its entry point 'greenlab'" in output
    assert "there is no module 'finnmake_greenlab.plugins'" in output
    assert "finnmake-greenlab 1.0.0" in project.fail("plugins").output
