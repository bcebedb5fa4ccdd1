"""The engines that tests run on: how they are named, and that what is left on them is seen."""

from __future__ import annotations

import pytest

from tests import containers
from tests.containers import Engine, client, engine, engines, nothing_left

__all__ = ["engine"]


def test_engines_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(containers.ENGINES, raising=False)
    assert engines() == []
    monkeypatch.setenv(containers.ENGINES, "podman=unix:///run/p.sock,docker=unix:///run/d.sock")
    assert engines() == [Engine("podman", "unix:///run/p.sock"), Engine("docker", "unix:///run/d.sock")]
    assert str(engines()[0].socket) == "/run/p.sock"


@pytest.mark.parametrize("entry", ["podman", "lxc=unix:///run/l.sock", "docker=tcp://127.0.0.1:1"])
def test_a_wrong_name_is_told(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(containers.ENGINES, entry)
    with pytest.raises(ValueError, match=r"FINNMAKE_TEST_ENGINES: .*\.ci/engine up"):
        engines()


def test_a_container_that_is_left_is_seen(engine: Engine) -> None:
    with client(engine) as opened:
        left = opened.containers.create(
            containers.base(), ["true"], labels={containers.OWNER: "test"}, network_mode="none"
        )
        try:
            with pytest.raises(AssertionError, match=rf"left behind: .*{left.name} \(created\)"):
                nothing_left(opened)
        finally:
            left.remove(force=True)
