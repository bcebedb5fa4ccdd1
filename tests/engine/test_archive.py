"""Archives: equal files give equal bytes, nothing half is left, and nothing in one is trusted."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.engine.archive import SUMS, check_sums, pack, unpack
from finnmake.errors import WorkspaceError
from finnmake.hashing import digest_bytes
from tests.projects import contents, sha256

FILES: dict[str, Path | bytes] = {"a.txt": b"first", "deep/er/b.bin": bytes(range(256)) * 300, "empty": b""}

_NAMES = st.lists(
    st.text(
        st.characters(codec="utf-8", exclude_characters="/\0\n\\", exclude_categories=["Cs"]), min_size=1
    ).filter(lambda name: name not in (".", "..") and len(name.encode()) < 100),
    min_size=1,
    max_size=3,
).map("/".join)


def packed(folder: Path, name: str = "archive.tar.gz", **options: Any) -> Path:
    pack(folder / name, "top", options.pop("files", FILES), **options)
    return folder / name


def crafted(path: Path, *entries: tarfile.TarInfo, data: bytes = b"") -> Path:
    """An archive that `pack` would not make."""
    with tarfile.open(path, "w:gz") as archive:
        for entry in entries:
            entry.size = len(data) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(data))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def into(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_what_is_packed_comes_out_again(tmp_path: Path) -> None:
    archive = packed(tmp_path, folders=["hollow"], executable=["a.txt"])
    top = unpack(archive, into(tmp_path / "out"))
    assert top == tmp_path / "out" / "top"
    assert {name: (top / name).read_bytes() for name in FILES} == FILES
    assert (top / "hollow").is_dir()
    assert os.access(top / "a.txt", os.X_OK) and not os.access(top / "empty", os.X_OK)
    assert check_sums(top) == []


@settings(max_examples=50, deadline=None)
@given(files=st.dictionaries(_NAMES, st.binary(max_size=200), max_size=6))
def test_any_names_and_contents_survive(tmp_path_factory: Any, files: dict[str, bytes]) -> None:
    files = {name: data for name, data in files.items() if not _inside_another(name, files)}
    folder = tmp_path_factory.mktemp("any")
    top = unpack(packed(folder, files=files), into(folder / "out"))
    found = {name: digest for name, digest in contents(top, without=()).items() if name != SUMS}
    assert found == {name: digest_bytes(data) for name, data in files.items()}
    assert check_sums(top) == []


def _inside_another(name: str, names: Any) -> bool:
    """Whether a name stands for the list of sums, or needs a folder where another has a file."""
    return name.split("/")[0] == SUMS or any(
        name != other and name.startswith(f"{other}/") for other in names
    )


def test_the_bytes_depend_on_names_and_contents_alone(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"first")
    os.utime(source, (1, 1))
    source.chmod(0o600)
    one = packed(tmp_path, "one.tar.gz")
    other = packed(tmp_path, "another-name.tar.gz", files={**dict(reversed(FILES.items())), "a.txt": source})
    assert one.read_bytes() == other.read_bytes()
    assert packed(tmp_path, "c", files={**FILES, "a.txt": b"second"}).read_bytes() != one.read_bytes()


def test_nothing_tells_of_user_or_time(tmp_path: Path) -> None:
    with tarfile.open(packed(tmp_path)) as archive:
        told = {(each.uid, each.gid, each.uname, each.gname, each.mtime) for each in archive}
    assert told == {(0, 0, "", "", 315532800)}


def test_the_sums_can_be_checked_with_sha256sum(tmp_path: Path) -> None:
    top = unpack(packed(tmp_path), into(tmp_path / "out"))
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS], cwd=top, check=True)


def test_the_digest_is_that_of_the_archive(tmp_path: Path) -> None:
    assert pack(tmp_path / "a", "top", FILES) == sha256(tmp_path / "a")


def test_a_file_that_changed_is_not_packed_and_the_archive_before_stays(tmp_path: Path) -> None:
    before = packed(tmp_path).read_bytes()
    with pytest.raises(WorkspaceError, match=r"a\.txt: this file changed"):
        packed(tmp_path, expected={"a.txt": digest_bytes(b"other")})
    assert [path.name for path in tmp_path.iterdir()] == ["archive.tar.gz"]
    assert (tmp_path / "archive.tar.gz").read_bytes() == before


def test_an_interrupt_leaves_no_half_archive(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packed(tmp_path, say=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_the_sums_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="cannot be packed by its name"):
        packed(tmp_path, files={"a\nb": b""})


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([entry("../outside")], "outside of its folder"),
        ([entry("top/../../outside")], "outside of its folder"),
        ([entry("/tmp/absolute")], "outside of its folder"),
        ([entry("top/link", tarfile.SYMTYPE, "/etc/passwd")], "a link or a device"),
        ([entry("top/link", tarfile.LNKTYPE, "top/a")], "a link or a device"),
        ([entry("top/pipe", tarfile.FIFOTYPE)], "a link or a device"),
        ([entry("top/a"), entry("top/a")], "a name twice"),
        ([entry("top/a"), entry("second/a")], "one folder"),
        ([entry("lonely")], "one folder"),
        ([], "one folder"),
    ],
)
def test_what_is_no_plain_file_below_one_folder_is_refused(
    tmp_path: Path, entries: list[tarfile.TarInfo], why: str
) -> None:
    archive = crafted(tmp_path / "bad.tar.gz", *entries)
    with pytest.raises(WorkspaceError, match=why):
        unpack(archive, into(tmp_path / "out"))
    assert not (tmp_path / "outside").exists()


def test_what_unpacks_to_far_more_than_it_is_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finnmake.engine.archive._SMALL", 1 << 10)
    archive = crafted(tmp_path / "bomb.tar.gz", entry("top/zeros"), data=bytes(4 << 20))
    with pytest.raises(WorkspaceError, match="more than an archive"):
        unpack(archive, into(tmp_path / "out"))
    assert not list((tmp_path / "out").rglob("zeros"))


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.95])
def test_an_archive_that_is_cut_short_is_refused(tmp_path: Path, part: float) -> None:
    data = os.urandom(50_000)
    archive = packed(tmp_path, files={"a": data, "b": data[::-1]})
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * part)])
    with pytest.raises(WorkspaceError, match="no archive of `doit export`, or not a whole one"):
        unpack(archive, into(tmp_path / "out"))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive\n" * 100)
    with pytest.raises(WorkspaceError, match="no archive"):
        unpack(tmp_path / "text", into(tmp_path / "out"))


def test_every_file_that_is_not_as_packed_is_named(tmp_path: Path) -> None:
    top = unpack(packed(tmp_path), into(tmp_path / "out"))
    (top / "a.txt").write_bytes(b"fIrst")
    (top / "empty").unlink()
    (top / "added").write_text("more")
    (top / "__pycache__").mkdir()
    (top / "__pycache__" / "x.pyc").write_text("left by Python")
    assert check_sums(top) == [
        "a.txt is not the file that was exported",
        f"added is not listed in {SUMS}",
        "empty is missing",
    ]


@pytest.mark.parametrize("text", ["nonsense", f"{'0' * 64}  ../../etc/passwd\n"])
def test_a_list_of_sums_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / SUMS).write_text(text)
    assert check_sums(tmp_path)[0].startswith(f"{SUMS} cannot be read")
