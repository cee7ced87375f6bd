"""The quick finder does what Python's own would do, or leaves it to that."""

import py_compile
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES, SourceFileLoader
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from hector.cli.quickfind import Finder

pytestmark = pytest.mark.proves("house.lean-imports")
BEFORE, _, AFTER = cache_from_source("MODULE.py").partition("MODULE")

EACH_AS_EVER = """
import os, sys
sys.path[0] = os.getcwd()  # as with -m
from importlib.machinery import PathFinder
from hector.cli.lean import hurry, settle, skip_command_line
hurry()
skip_command_line()
import hector.cli.serve
from hector.cli.quickfind import Finder, _Loader
found = [one for one in sys.modules.values() if isinstance(getattr(one, "__loader__", None), _Loader)]
for one in found:
    theirs = PathFinder.find_spec(one.__name__, sys.modules[one.__package__].__path__ if one.__package__ else None)
    for name in ("name", "origin", "cached", "has_location", "parent", "submodule_search_locations"):
        assert getattr(one.__spec__, name) == getattr(theirs, name), (one, name)
    assert (one.__file__, one.__cached__) == (theirs.origin, theirs.cached), one
    assert one.__loader__.get_code(one.__name__) == theirs.loader.get_code(one.__name__), one
    assert not hasattr(one, "__path__"), one
names = {one.__name__ for one in found}
assert {"hector.cli.serve", "pydantic.main", "starlette.routing", "asyncio.tasks", "socket", "hashlib"} <= names
hurry()
assert sum(isinstance(one, Finder) for one in sys.meta_path) == 1
settle()
assert not any(isinstance(one, Finder) for one in sys.meta_path)
print(len(found) > 200)
"""


def test_every_module_of_a_start_is_as_python_itself_makes_it() -> None:
    done = subprocess.run([sys.executable, "-c", EACH_AS_EVER], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


def test_a_source_that_changed_is_compiled_again(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text("VALUE = 1\n", encoding="utf-8")
    assert value_of("one", tmp_path) == 1, "not compiled yet"
    compiled = Path(py_compile.compile(str(source), doraise=True) or "")
    assert value_of("one", tmp_path) == 1, "compiled"
    source.write_text("VALUE = 22\n", encoding="utf-8")
    assert value_of("one", tmp_path) == 22, "changed since"
    for spoilt in (b"no module", b""):
        compiled.write_bytes(spoilt)
        assert value_of("one", tmp_path) == 22
    compiled = Path(py_compile.compile(str(source), doraise=True) or "")
    compiled.write_bytes(compiled.read_bytes()[:-3])
    with pytest.raises(EOFError):  # which is what Python itself makes of half a module
        value_of("one", tmp_path)


def value_of(name: str, folder: Path) -> object:
    spec = Finder(BEFORE, AFTER).find_spec(f"package.{name}", [str(folder)])
    assert spec is not None
    assert isinstance(spec.loader, SourceFileLoader)
    found: dict[str, object] = {}
    exec(spec.loader.get_code(spec.name) or "", found)
    return found["VALUE"]


def test_what_is_more_than_a_source_is_left_to_python(tmp_path: Path) -> None:
    for name in ("plain.py", "both.py", f"both{EXTENSION_SUFFIXES[0]}", "package.py"):
        (tmp_path / name).touch()
    (tmp_path / "package").mkdir()
    finder, folder = Finder(BEFORE, AFTER), str(tmp_path)
    found = [name for name in ("plain", "both", "package", "missing") if finder.find_spec(f"p.{name}", [folder])]
    assert found == ["plain"]
    (tmp_path / "plain").mkdir()
    finder.invalidate_caches()
    assert finder.find_spec("p.plain", [folder]) is None
    (tmp_path / "plain").rmdir()
    finder.invalidate_caches()
    assert finder.find_spec("p.plain", [folder]) is not None
    assert finder.find_spec("p.plain", [folder, "/tmp"]) is None
    assert finder.find_spec("p.plain", [str(tmp_path / "archive.zip")]) is None


def test_the_first_folder_on_the_path_that_has_the_name_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, archive = tmp_path / "first", tmp_path / "second", tmp_path / "archive.zip"
    for folder, names in (
        (first, ("one.py", "sys.py", f"three{EXTENSION_SUFFIXES[0]}")),
        (second, ("one.py", "two.py")),
    ):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
    (first / "four").mkdir()
    for name in ("three.py", "four.py"):
        (second / name).touch()
    archive.touch()

    def found(*path: object) -> list[str]:
        monkeypatch.setattr(sys, "path", [str(one) for one in path])
        finder = Finder(BEFORE, AFTER)
        specs = [finder.find_spec(name) for name in ("one", "two", "three", "four", "five", "sys", "os")]
        return [str(Path(spec.origin or "").relative_to(tmp_path)) for spec in specs if spec is not None]

    assert found(tmp_path / "missing", first, second) == ["first/one.py", "second/two.py"]
    assert found(second, first) == ["second/one.py", "second/two.py", "second/three.py", "second/four.py"]
    for unlisted in (archive, "", f"{first}/", "relative"):
        assert found(unlisted, second) == [], "Python has to look there first"
