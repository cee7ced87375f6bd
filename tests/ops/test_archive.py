"""The file of a backup: what was written is read again, and everything else is refused."""

import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hector.core.errors import StartupError, StoreError
from hector.store.archive import Archive, Digest, Manifest, Member, Row, Writer, lines

ROWS: list[Row] = [(1, "a\x00\u2028\U0001f600", None, 0.1), (2, '"\n', b"\x00\xff", 1e300), (2**62, "", None, -0.0)]
COLUMNS = ("key", "text", "data", "at")

pytestmark = pytest.mark.proves("ops.backup")


def write(path: Path, **changes: Any) -> Member:
    """A backup of one table."""
    with Writer(path) as writer:
        digest = Digest()
        with writer.table("things") as add:
            add(lines(ROWS))
        digest.add(lines(ROWS), len(ROWS))
        member = digest.member("things", COLUMNS)
        member = Member(**{name: changes.get(name, getattr(member, name)) for name in Member.__slots__})
        writer.finish(Manifest("1.2.3", "SQLite", 2, 1_700_000_000.25, (member,)))
    return member


def read(path: Path) -> list[Row]:
    """Its rows."""
    with Archive(path) as archive:
        (member,) = archive.manifest.members
        return [row for rows in archive.rows(member) for row in rows]


def damage(path: Path, change: Any) -> None:
    """Write it again with one member changed; `change` gets and gives texts by name."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, text in change(members).items():
            new.writestr(name, text)


def test_every_kind_of_value_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.hbk"
    member = write(path)
    assert read(path) == ROWS
    with Archive(path) as archive:
        assert archive.manifest == Manifest("1.2.3", "SQLite", 2, 1_700_000_000.25, (member,))
        assert archive.size == path.stat().st_size
        seen: list[int] = []
        archive.verify(seen.append)
    assert sum(seen) == len(ROWS)


def test_only_its_owner_may_read_it_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "a.hbk")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.hbk").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["a.hbk"]


def test_any_tool_can_look_into_it(tmp_path: Path) -> None:
    write(tmp_path / "a.hbk")
    with zipfile.ZipFile(tmp_path / "a.hbk") as file:
        assert file.testzip() is None
        assert file.namelist() == ["data/things.jsonl", "manifest.json"]
        assert json.loads(file.read("manifest.json"))["created"] == "2023-11-14T22:13:20.250Z"


def test_a_backup_that_fails_leaves_the_former_one(tmp_path: Path) -> None:
    path = tmp_path / "a.hbk"
    path.write_bytes(b"former")

    def fail() -> None:
        with Writer(path) as writer, writer.table("things") as add:
            add(b"[1]\n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"former"
    assert [found.name for found in tmp_path.iterdir()] == ["a.hbk"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="No such file or directory\nName a file in a folder"):
        Writer(tmp_path / "none" / "a.hbk")
    with pytest.raises(StartupError, match=r"a\.hbk: No such file or directory\nName the file that `hector backup`"):
        Archive(tmp_path / "a.hbk")


def test_one_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.hbk"
    write(path)
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="no backup of Hector, or it is cut off"):
            Archive(path)


def test_no_bit_can_be_flipped_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "a.hbk"
    write(path)
    whole = path.read_bytes()
    noticed = 0
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            assert read(path) == ROWS, f"byte {at} of the container, which says nothing about the rows"
        except StoreError:
            noticed += 1
    assert noticed > len(whole) / 3 / 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda files: {**files, "data/things.jsonl": files["data/things.jsonl"] + b'[9,"",null,1.0]\n'},
            "4 rows with",
        ),
        (lambda files: {**files, "data/things.jsonl": b""}, "0 rows with"),
        (lambda files: {**files, "data/things.jsonl": b"[1]\n"}, "1 values instead of 4"),
        (lambda files: {**files, "data/things.jsonl": b"{}\n"}, "0 values instead of 4"),
        (lambda files: {**files, "data/things.jsonl": b'[1,{"base64":"!"},null,1.0]\n'}, "no base64"),
        (lambda files: {**files, "data/things.jsonl": b"nonsense\n"}, "damaged"),
        (lambda files: {"manifest.json": files["manifest.json"]}, "damaged"),
    ],
)
def test_what_the_manifest_does_not_say_is_refused(tmp_path: Path, change: Any, said: str) -> None:
    path = tmp_path / "a.hbk"
    write(path)
    damage(path, change)
    with pytest.raises(StoreError, match=said) as caught:
        read(path)
    assert "table things" in str(caught.value)
    assert "Take an older backup" in str(caught.value)


@pytest.mark.parametrize("field", ["rows", "sha256", "size"])
def test_a_manifest_that_is_wrong_is_noticed(tmp_path: Path, field: str) -> None:
    write(tmp_path / "a.hbk", **{field: "0" * 64 if field == "sha256" else 7})
    with pytest.raises(StoreError, match="while its manifest says"):
        read(tmp_path / "a.hbk")


@pytest.mark.parametrize("text", ["[]", "{}", "nonsense", '{"format": "other", "version": 1}'])
def test_other_archives_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.hbk"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("manifest.json", text)
    with pytest.raises(StoreError, match="this is no backup of Hector"):
        Archive(path)


def test_a_newer_form_names_the_version_that_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "a.hbk"
    write(path)
    damage(
        path, lambda files: {**files, "manifest.json": files["manifest.json"].replace(b'"version": 1', b'"version": 9')}
    )
    with pytest.raises(StoreError, match=r"written by Hector 1\.2\.3 in form 9; .*\nUse the newer Hector"):
        Archive(path)


def test_a_value_that_json_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="set has no place"):
        lines([({1},)])
