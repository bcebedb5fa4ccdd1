"""The image's files: golden files, what the repository holds, and that each is what its reader takes.

After a wanted change of a template, write the golden files anew: `python tests/engine/test_image_files.py`.
"""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from spython.main.parse.parsers import SingularityParser

from finnmake.engine import image_files
from finnmake.errors import ContainerError, WorkspaceError
from finnmake.settings import ContainerSettings, Settings, ToolchainSettings, VivadoSettings, read_settings

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "data/container"

VARIANTS = {
    "default": Settings(),
    "vivado_2024.2": Settings(
        toolchain=ToolchainSettings(
            vivado=VivadoSettings(Path("/opt/Xilinx/Vivado/2024.2"), "2024.2"),
            licence="2100@licences",
            deps=Path("/opt/finn/deps"),
        ),
        container=ContainerSettings(
            base="registry.example:5000/python:3.12-slim-bookworm",
            packages=("git", "verilator=5.006-3"),
            memory=8 << 30,
            cpus=2.5,
            network="licences",
            mounts=(Path("/data/networks"),),
        ),
    ),
}


@pytest.fixture
def project(tmp_path):
    """The part of a project that the image is made from."""
    for name in ("templates/container", "docker"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("Dockerfile", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.fixture(params=VARIANTS)
def files(request):
    return image_files.render(ROOT, VARIANTS[request.param])


def devcontainer(text):
    """The JSON below the comments, which stand on lines of their own."""
    return json.loads(re.sub(r"(?m)^\s*//.*$", "", text))


def instructions(dockerfile):
    """The instructions, one a line."""
    text = re.sub(r"(?m)^#.*\n", "", dockerfile).replace("\\\n", " ")
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines() if line.strip()]


def shell_accepts(script):
    return subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_golden(variant):
    files = image_files.render(ROOT, VARIANTS[variant])
    golden = {
        path.relative_to(GOLDEN / variant).as_posix(): path.read_text()
        for path in (GOLDEN / variant).rglob("*")
        if path.is_file()
    }
    assert files == golden


def test_the_repository_holds_what_its_settings_give():
    assert image_files.differing(ROOT, read_settings(ROOT)) == []


def test_writes_only_what_differs(project):
    settings = VARIANTS["vivado_2024.2"]
    assert sorted(image_files.write(project, settings)) == sorted(image_files.GENERATED)
    before = (project / "Dockerfile").stat().st_ino
    (project / "docker/finnmake.def").write_text("edited")
    (project / "docker/compose.yaml").unlink()
    assert image_files.differing(project, settings) == ["docker/compose.yaml", "docker/finnmake.def"]
    assert image_files.write(project, settings) == ["docker/compose.yaml", "docker/finnmake.def"]
    assert image_files.differing(project, settings) == []
    assert (project / "Dockerfile").stat().st_ino == before
    assert not list(project.rglob(".*.*[0-9]"))


def test_a_missing_template_is_named(project):
    (project / "templates/container/Dockerfile.j2").unlink()
    with pytest.raises(ContainerError, match=r"Dockerfile\.j2: the template is missing\n  -> Restore it"):
        image_files.render(project, Settings())


def test_a_missing_part_of_a_template_is_named(project):
    (project / "templates/container/install.j2").unlink()
    with pytest.raises(ContainerError, match=r"install\.j2: the template is missing"):
        image_files.render(project, Settings())


@pytest.mark.parametrize("text", ["{% if %}", "{{ colour }}", "{{ base.x.y }}"])
def test_a_template_with_an_error_is_named(project, text):
    (project / "templates/container/compose.yaml.j2").write_text(text)
    with pytest.raises(ContainerError, match=r"compose\.yaml\.j2.*the template cannot be used"):
        image_files.render(project, Settings())


def test_a_folder_without_write_permission_is_named(project):
    shutil.rmtree(project / "docker")
    (project / "docker").write_text("a file")
    with pytest.raises(WorkspaceError, match=r"docker/.*: cannot be written"):
        image_files.write(project, Settings())


def test_digests_tell_what_changed(project):
    settings = Settings()
    before = image_files.digests(project, settings)
    assert before["base"] == settings.container.base

    (project / "requirements.lock").write_text("other")
    assert changed(before, image_files.digests(project, settings)) == {"requirements"}
    for name in ("Dockerfile", "docker/describe.py", "docker/doit", "docker/entrypoint.sh"):
        before = image_files.digests(project, settings)
        with open(project / name, "a") as stream:
            stream.write("# edited\n")
        assert changed(before, image_files.digests(project, settings)) == {"dockerfile"}
    before = image_files.digests(project, settings)
    (project / "docker/run").write_text("is not in the image")
    assert image_files.digests(project, settings) == before


#: Settings that are not the default ones -> whether they make another image of the same base.
OTHERS = {
    "packages": (Settings(container=ContainerSettings(packages=("git",))), True),
    "vivado": (
        Settings(toolchain=ToolchainSettings(vivado=VivadoSettings(Path("/opt/Vivado/2022.2"), "2022.2"))),
        False,
    ),
    "limits": (
        Settings(
            toolchain=ToolchainSettings(share=True, licence="2100@licences", deps=Path("/deps")),
            container=ContainerSettings(
                memory=1 << 30, cpus=2, pids=9, tmp=1 << 20, network="host", mounts=(Path("/data"),)
            ),
        ),
        False,
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_settings_that_make_another_image_are_noticed(project, name):
    settings, other = OTHERS[name]
    dockerfile = image_files.render(project, settings)["Dockerfile"]
    assert (dockerfile != (project / "Dockerfile").read_text()) == other
    before = image_files.digests(project, Settings())
    if other:
        with pytest.raises(ContainerError, match="settings for the image have changed since") as caught:
            image_files.digests(project, settings)
        assert caught.value.where.path == project / "Dockerfile"
        assert "doit image --update" in caught.value.cure
        image_files.write(project, settings)
        assert changed(before, image_files.digests(project, settings)) == {"dockerfile"}
    assert image_files.digests(project, settings).keys() == before.keys()


def test_a_dockerfile_that_does_not_tell_its_settings_is_out_of_date(project):
    text = (project / "Dockerfile").read_text()
    (project / "Dockerfile").write_text(re.sub(r"# settings: .*\n", "", text))
    with pytest.raises(ContainerError, match="settings for the image have changed since"):
        image_files.digests(project, Settings())


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize("name", ["requirements.lock", "docker/entrypoint.sh", "docker/describe.py"])
def test_a_missing_source_of_the_image_is_named(project, name):
    (project / name).unlink()
    with pytest.raises(ContainerError, match=rf"{name}: .*cannot be read"):
        image_files.digests(project, Settings())


def test_digests_import_nothing_heavy(project):
    code = (
        "import sys; from pathlib import Path; from finnmake.engine import image_files;"
        "from finnmake.settings import Settings; image_files.digests(Path(sys.argv[1]), Settings());"
        "print([name for name in ('jinja2', 'numpy', 'docker') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, project], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert not (project / "docker/__pycache__").exists()


STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Multi-Arch: foreign
Version: 5.2
Description: a shell
 Status: of no package

Package: libc6
Status: hold ok installed
Architecture: amd64
Multi-Arch: same
Version: 1:2.36

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: half
Status: install ok half-installed
Architecture: all
Version: 1
"""


def test_the_image_describes_itself_as_the_host_does(project, tmp_path):
    (tmp_path / "status").write_text(STATUS)
    script = runpy.run_path(str(project / "docker/describe.py"))
    described = script["description"](project, "base:1", tmp_path / "status")
    expected = image_files.digests(project, Settings(container=ContainerSettings(base="base:1")))
    assert described == {**expected, "system": {"bash": "5.2", "libc6:amd64": "1:2.36"}}
    assert (
        script["canonical"](described)
        == json.dumps(described, sort_keys=True, separators=(",", ":")).encode()
    )


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="there is no dpkg here")
def test_packages_are_those_that_dpkg_lists(project):
    listing = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${binary:Package} ${Version}\\n"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [line.split() for line in listing.splitlines()]
    done = subprocess.run(
        [sys.executable, "-I", project / "docker/describe.py", project, "base:1"],
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["system"] == {
        name: version for status, name, version in lines if status == "installed"
    }


def test_what_the_dockerfile_copies_is_what_is_sent_and_digested(files):
    copied = set()
    for line in instructions(files["Dockerfile"]):
        if line.startswith("COPY") and "--from" not in line:
            copied.update(line.split()[1:-1])
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    described = re.search(r"FILES = \((.*?)\)", (ROOT / "docker/describe.py").read_text())[1]
    assert copied == allowed
    assert copied - {"requirements.lock"} == set(re.findall(r'"(.*?)"', described))


def test_every_command_of_the_dockerfile_is_shell(files):
    commands = [line.removeprefix("RUN ") for line in instructions(files["Dockerfile"]) if line[:4] == "RUN "]
    assert len(commands) == 3
    assert all(shell_accepts(command) for command in commands)


def test_the_apptainer_definition_installs_what_the_dockerfile_does(files, tmp_path):
    path = tmp_path / "finnmake.def"
    path.write_text(files["docker/finnmake.def"])
    recipe = SingularityParser(str(path)).parse()["spython-base"]
    assert shell_accepts("\n".join(recipe.install))
    base = re.search(r"^ARG BASE=(.*)", files["Dockerfile"], re.MULTILINE)[1]
    assert recipe.fromHeader == re.sub(r":[^:/@]+@", "@", base)
    steps = " ".join(recipe.install).replace("\\ ", "")
    for line in instructions(files["Dockerfile"]):
        if line.startswith("RUN set -eu && python3 -I -m venv"):
            assert "pip install --quiet" in steps and "--require-hashes --no-deps" in line
        elif "apt-get install" in line:
            installed = re.search(r"apt-get install [^&]*", line)[0].strip()
            assert installed in steps
    assert "docker/entrypoint.sh" in recipe.cmd


def test_compose_mounts_the_store_and_keeps_the_limits(files):
    services = yaml.safe_load(files["docker/compose.yaml"])["services"]
    for service in services.values():
        assert "store:/var/cache/finnmake" in service["volumes"]
        assert service["cap_drop"] == ["ALL"]
        assert service["pids_limit"] == 512
        assert "entrypoint" not in service


def test_vivado_and_other_folders_are_mounted_read_only():
    files = image_files.render(ROOT, VARIANTS["vivado_2024.2"])
    build = yaml.safe_load(files["docker/compose.yaml"])["services"]["build"]
    assert (build["mem_limit"], build["cpus"]) == (8 << 30, 2.5)
    container = devcontainer(files[".devcontainer/devcontainer.json"])
    for path in ("/opt/Xilinx", "/opt/finn/deps", "/data/networks"):
        assert f"{path}:{path}:ro" in build["volumes"]
        assert f"source={path},target={path},type=bind,readonly" in container["mounts"]
        assert path in files["docker/mounts"].splitlines()
    for environment in (build["environment"], container["containerEnv"]):
        assert environment["FINNMAKE_VIVADO"] == "/opt/Xilinx/Vivado/2024.2"
        assert "2100@licences" in environment["XILINXD_LICENSE_FILE"]


def test_a_licence_file_is_mounted_and_the_root_folder_never():
    toolchain = ToolchainSettings(
        vivado=VivadoSettings(Path("/Vivado/2022.2"), "2022.2"), licence="/etc/vivado.lic"
    )
    files = image_files.render(ROOT, Settings(toolchain=toolchain))
    build = yaml.safe_load(files["docker/compose.yaml"])["services"]["build"]
    assert build["volumes"][2:] == ["/Vivado/2022.2:/Vivado/2022.2:ro", "/etc/vivado.lic:/etc/vivado.lic:ro"]


def test_the_dev_container_is_built_from_the_dockerfile(files):
    container = devcontainer(files[".devcontainer/devcontainer.json"])
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert any("target=/var/cache/finnmake" in mount for mount in container["mounts"])
    code = container["customizations"]["vscode"]
    assert {"redhat.vscode-yaml", "ms-python.python"} <= set(code["extensions"])
    assert code["settings"]["yaml.schemas"] == {"./docs/blueprint.schema.json": "blueprints/*.yaml"}


def write_golden():
    for variant, settings in VARIANTS.items():
        for name, text in image_files.render(ROOT, settings).items():
            path = GOLDEN / variant / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


if __name__ == "__main__":
    write_golden()
