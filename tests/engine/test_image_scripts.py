"""The image's shell scripts: the entry point, and docker/run with an engine that prints its arguments."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = "sha256:" + "ab" * 32
SHOW = ("sh", "-c", 'printf "%s|" "$PATH" "$TOOLS" "${LD_PRELOAD:-}" "$HOME"')


@pytest.fixture
def inside(tmp_path):
    """What a container holds: the image's folder, a project, a store and a home folder."""
    shutil.copytree(ROOT / "docker", tmp_path / "image/docker")
    for name in ("image", "project"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "requirements.lock").write_text("numpy==1.0")
    (tmp_path / "store").mkdir()
    (tmp_path / "home").mkdir()
    return tmp_path


def enter(inside, *command, **variables):
    """Run the entry point, as the engine would, in the project's folder."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(inside / "home"),
        "FINNMAKE_STORE": str(inside / "store"),
        "TOOLS": "",
        **variables,
    }
    return subprocess.run(
        [inside / "image/docker/entrypoint.sh", *command],
        cwd=inside / "project",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def install(folder, release="2022.2", tools=("Vivado", "Vitis_HLS", "Vitis")):
    """A fake installation whose scripts are as careless as the real ones; gives Vivado's folder."""
    for tool in tools:
        (folder / tool / release).mkdir(parents=True)
        (folder / tool / release / "settings64.sh").write_text(
            f'TOOLS="$TOOLS {tool}"; [[ -n $NEVER_SET_ANYWHERE ]] && true\n'
            f"export PATH={folder}/{tool}/{release}/bin:$PATH\nfalse\n"
        )
    return folder / "Vivado" / release


def test_runs_the_command_as_it_is(inside):
    done = enter(inside, "sh", "-c", 'printf "<%s>" "$@"; exit 7', "sh", "a b", "", "*")
    assert (done.stdout, done.stderr, done.returncode) == ("<a b><><*>", "", 7)


def test_warns_of_another_lock_file(inside):
    (inside / "project/requirements.lock").write_text("numpy==2.0")
    done = enter(inside, "echo", "ran")
    assert done.stdout == "ran\n"
    assert "warning: the image was built from another requirements.lock" in done.stderr
    assert enter(inside, "true", FINNMAKE_WORKER="1").stderr == ""


def test_a_folder_without_lock_file_is_no_matter(inside):
    (inside / "project/requirements.lock").unlink()
    assert enter(inside, "true").stderr == ""


def test_a_store_that_is_not_writable_is_an_error_with_its_cure(inside):
    (inside / "store").rmdir()
    done = enter(inside, "echo", "ran")
    assert (done.stdout, done.returncode) == ("", 1)
    assert f"the store {inside}/store is not writable for user {os.getuid()}" in done.stderr
    assert "--user UID:GID" in done.stderr
    assert enter(inside, "echo", "ran", FINNMAKE_WORKER="1").stdout == "ran\n"


@pytest.mark.parametrize("home", ["", "/", "/nowhere", "project"])
def test_who_has_no_home_gets_one(inside, home):
    given = str(inside / home) if home == "project" else home
    done = enter(inside, "sh", "-c", 'test -w "$HOME" && echo "$HOME"', HOME=given, TMPDIR=str(inside))
    assert done.stdout.startswith(f"{inside}/tmp")


def test_a_home_is_kept(inside):
    assert enter(inside, "sh", "-c", 'echo "$HOME"').stdout == f"{inside}/home\n"


def test_vivado_and_its_siblings_are_set_up(inside):
    vivado = install(inside / "Xilinx")
    path, tools, preloaded, _, _ = enter(inside, *SHOW, FINNMAKE_VIVADO=f"{vivado}/").stdout.split("|")
    assert tools.split() == ["Vitis", "Vitis_HLS", "Vivado"]
    assert path.startswith(f"{inside}/Xilinx/Vivado/2022.2/bin:")
    assert preloaded == "libudev.so.1"


def test_vivado_alone_will_do_and_other_releases_are_left_alone(inside):
    vivado = install(inside / "Xilinx", tools=("Vivado",))
    install(inside / "Xilinx", release="2024.2", tools=("Vitis",))
    done = enter(inside, *SHOW, FINNMAKE_VIVADO=str(vivado), LD_PRELOAD="libc.so.6")
    assert done.stdout.split("|")[1].split() == ["Vivado"]
    assert done.stdout.split("|")[2] == "libudev.so.1:libc.so.6"


def test_what_fails_after_the_settings_still_fails(inside):
    vivado = install(inside / "Xilinx")
    assert enter(inside, "no-such-command", FINNMAKE_VIVADO=str(vivado)).returncode == 127


@pytest.mark.parametrize("worker", ["", "1"])
def test_vivado_that_is_not_there_is_an_error_with_its_cure(inside, worker):
    done = enter(inside, "echo", "ran", FINNMAKE_VIVADO="/opt/none/Vivado/2022.2", FINNMAKE_WORKER=worker)
    assert (done.stdout, done.returncode) == ("", 1)
    assert "there is no /opt/none/Vivado/2022.2/settings64.sh" in done.stderr
    assert "-> Mount the installation" in done.stderr


# docker/run


@pytest.fixture
def host(tmp_path):
    """A project whose lock pins an image, and podman and docker that have it and tell their arguments."""
    shutil.copytree(ROOT / "docker", tmp_path / "project/docker")
    pin(tmp_path, {"id": IMAGE, "layers": [{"id": "sha256:" + "cd" * 32, "made_by": "RUN true"}]})
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "tr", "sed", "id", "mkdir", "cat", "printenv", "sort"):
        (tools / name).symlink_to(shutil.which(name))
    for name in ("podman", "docker"):
        add_engine(tmp_path, name)
    return tmp_path


def pin(host, image):
    lock = {"version": 1, "base": "python", "image": image}
    (host / "project/docker/image.lock.json").write_text(json.dumps(lock, indent=2))


def add_engine(host, name, has_image=True):
    path = host / "tools" / name
    path.write_text(
        f"#!/bin/sh\ncase $1 in\n--version) echo {name} version 1 ;;\n"
        f"image) {'true' if has_image else 'false'} ;;\ninfo) echo '[name=seccomp]' ;;\n"
        f'run) echo {name}; printf "%s\\n" "$@" ;;\nesac\n'
    )
    path.chmod(0o755)


def run(host, *arguments, **variables):
    return subprocess.run(
        [host / "project/docker/run", *arguments],
        cwd="/",
        env={"PATH": str(host / "tools"), "HOME": str(host / "home"), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_starts_the_pinned_image_as_the_caller(host):
    done = run(host, "doit", "build", "a b")
    lines = done.stdout.splitlines()
    assert lines[0] == "podman"
    assert lines[-4:] == [IMAGE, "doit", "build", "a b"]
    assert f"{os.getuid()}:{os.getgid()}" in lines
    assert f"{host}/project:/workspace" in lines
    assert f"{host}/home/.cache/finnmake:/var/cache/finnmake" in lines
    assert (host / "home/.cache/finnmake").is_dir()
    assert "--tty" not in lines


def test_run_without_a_command_is_a_shell(host):
    assert run(host).stdout.splitlines()[-2:] == [IMAGE, "bash"]


def test_run_takes_the_store_that_finnmake_takes(host):
    assert f"{host}/c/finnmake:/var/cache/finnmake\n" in run(host, XDG_CACHE_HOME=f"{host}/c").stdout
    assert f"{host}/mine:/var/cache/finnmake\n" in run(host, FINNMAKE_STORE=f"{host}/mine").stdout


def test_run_takes_the_engine_that_is_asked_for_or_has_the_image(host):
    assert run(host, FINNMAKE_ENGINE="docker").stdout.startswith("docker\n")
    add_engine(host, "podman", has_image=False)
    assert run(host).stdout.startswith("docker\n")


def test_run_mounts_vivado_and_its_licence(host):
    vivado = install(host / "Xilinx")
    licence = host / "my licence.lic"
    licence.touch()
    found = f"2100@server:{licence}:/nowhere.lic"
    variables = {"XILINXD_LICENSE_FILE": found, "LM_LICENSE_FILE": str(licence)}
    lines = run(host, FINNMAKE_VIVADO=str(vivado), **variables).stdout.splitlines()
    assert f"{host}/Xilinx:{host}/Xilinx:ro" in lines
    assert f"FINNMAKE_VIVADO={vivado}" in lines
    assert f"XILINXD_LICENSE_FILE={found}" in lines
    assert f"LM_LICENSE_FILE={licence}" in lines
    assert lines.count(f"{licence}:{licence}:ro") == 1
    assert not any(line.startswith("/nowhere") for line in lines)
    assert lines[-2:] == [IMAGE, "bash"]


def test_run_mounts_what_the_settings_name(host):
    (host / "my data").mkdir()
    vivado = install(host / "Xilinx")
    (host / "project/docker/mounts").write_text(f"# a comment\n{host}/my data\n{host}/Xilinx\n")
    lines = run(host, FINNMAKE_VIVADO=str(vivado)).stdout.splitlines()
    assert f"{host}/my data:{host}/my data:ro" in lines
    assert lines.count(f"{host}/Xilinx:{host}/Xilinx:ro") == 1
    assert not any("comment" in line for line in lines)


def test_run_turns_labels_off_where_selinux_is_on(host):
    assert "--security-opt=label=disable" not in run(host).stdout.splitlines()
    script = host / "project/docker/run"
    text = script.read_text()
    assert "/sys/fs/selinux/enforce" in text
    script.write_text(text.replace("/sys/fs/selinux/enforce", str(host / "project")))
    assert "--security-opt=label=disable" in run(host).stdout.splitlines()


def no_pin(host):
    pin(host, None)


def no_lock(host):
    (host / "project/docker/image.lock.json").unlink()


def no_image(host):
    for name in ("podman", "docker"):
        add_engine(host, name, has_image=False)


def no_engine(host):
    for name in ("podman", "docker"):
        (host / "tools" / name).unlink()


def no_list(host):
    (host / "project/docker/mounts").unlink()


def no_mount(host):
    (host / "project/docker/mounts").write_text("/none/such\n")


@pytest.mark.parametrize(
    ("spoil", "message", "cure"),
    [
        (no_list, "docker/mounts is missing", "Restore it"),
        (no_mount, "there is no /none/such", "pyproject.toml"),
        (no_pin, "no image is pinned", "doit image --update"),
        (no_lock, "image.lock.json is missing", "Restore it"),
        (no_image, f"has the pinned image {IMAGE}", "doit image"),
        (no_engine, "there is no podman or docker here", "Install"),
    ],
)
def test_run_says_what_is_missing(host, spoil, message, cure):
    spoil(host)
    done = run(host, "true")
    assert (done.stdout, done.returncode) == ("", 1)
    assert message in done.stderr
    assert cure in done.stderr.splitlines()[1]


def test_run_mounts_what_links_lead_to(host):
    install(host / "disk/Xilinx")
    (host / "Xilinx").symlink_to(host / "disk/Xilinx")
    lines = run(host, FINNMAKE_VIVADO=f"{host}/Xilinx/Vivado/2022.2").stdout.splitlines()
    assert f"{host}/Xilinx:{host}/Xilinx:ro" in lines
    assert f"{host}/disk/Xilinx:{host}/disk/Xilinx:ro" in lines


def test_run_says_where_there_is_no_vivado(host):
    done = run(host, FINNMAKE_VIVADO="/opt/none/Vivado/2022.2")
    assert done.returncode == 1
    assert "there is no /opt/none/Vivado/2022.2/settings64.sh" in done.stderr


def test_run_has_help_and_no_options(host):
    assert run(host, "--help").stdout.startswith("usage: docker/run")
    assert "there is no option --rm" in run(host, "--rm").stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not here")
def test_shellcheck():
    scripts = ("doit", "entrypoint.sh", "run")
    subprocess.run(["shellcheck", *(ROOT / "docker" / name for name in scripts)], check=True)
