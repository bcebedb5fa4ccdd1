"""Files that appear whole or not at all."""

from pathlib import Path

import pytest

from finnmake.whole import written_whole


def test_a_file_is_replaced_in_the_end_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    with written_whole(file) as beside:
        beside.write_text("new")
        assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert file.read_text() == "new"


def test_where_writing_fails_the_file_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    with pytest.raises(KeyboardInterrupt), written_whole(file) as beside:
        beside.write_text("ha")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert file.read_text() == "old"


def test_where_nothing_was_written_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "a.json"):
        pass
    assert list(tmp_path.iterdir()) == []
