"""Compiled templates are of the text that is there, or they are not used."""

import sys
from pathlib import Path

import jinja2
import pytest

from finnmake.report.bytecode import FOLDER, Bytecode
from finnmake.templating import environment


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "page.j2").write_text("{{ value }} <b>")
    return tmp_path


def page(templates: Path, value: str = "a&b") -> str:
    """The page, by an environment that has compiled nothing yet."""
    found = environment(templates, autoescape=True)
    found.bytecode_cache = Bytecode(templates)
    return found.get_template("page.j2").render(value=value)


def kept(templates: Path) -> Path:
    (path,) = (templates / FOLDER).iterdir()
    return path


@pytest.fixture
def compiled(templates: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that Jinja compiles."""
    texts: list[str] = []
    compile_ = jinja2.Environment.compile

    def noted(self: jinja2.Environment, source: str, *arguments: object) -> object:
        texts.append(source)
        return compile_(self, source, *arguments)

    monkeypatch.setattr(jinja2.Environment, "compile", noted)
    return texts


def test_a_template_is_compiled_once(templates: Path, compiled: list[str]) -> None:
    assert [page(templates) for _ in range(3)] == ["a&amp;b <b>"] * 3
    assert len(compiled) == 1


def test_an_edited_template_counts_and_takes_the_old_ones_place(templates: Path) -> None:
    page(templates)
    (templates / "page.j2").write_text("{{ value }} <i>")
    assert page(templates) == "a&amp;b <i>"
    kept(templates)


@pytest.mark.parametrize("version", ["of Jinja", "of Python"])
def test_another_version_compiles_anew(
    templates: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    page(templates)
    of_jinja = version == "of Jinja"
    monkeypatch.setattr(jinja2 if of_jinja else sys, "__version__" if of_jinja else "version", "0")
    page(templates)
    assert len(compiled) == 2


@pytest.mark.parametrize("bad", [b"", b"\0" * 100, None])
def test_a_damaged_file_is_compiled_anew(templates: Path, compiled: list[str], bad: bytes | None) -> None:
    page(templates)
    path = kept(templates)
    path.write_bytes(path.read_bytes()[:-9] if bad is None else bad)
    assert page(templates) == "a&amp;b <b>"
    page(templates)
    assert len(compiled) == 2


def test_a_folder_of_templates_that_was_moved_is_compiled_anew(templates: Path, compiled: list[str]) -> None:
    page(templates)
    page(templates.rename(templates.with_name("moved")))
    assert len(compiled) == 2


def test_where_nothing_can_be_written_pages_are_as_ever(templates: Path) -> None:
    (templates / FOLDER).write_text("in the way")
    assert page(templates) == "a&amp;b <b>"


def test_nothing_is_written_where_python_writes_no_bytecode(
    templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert page(templates) == "a&amp;b <b>"
    assert not (templates / FOLDER).exists()
