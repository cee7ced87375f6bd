"""Plain modules found and read with half of what Python itself spends on it, which is 270,000 instructions.

Python's finder tries four kinds of file by joining paths, looks at folder and file, and works out twice where the
compiled module is, which it then reads with ten calls of the system. This one lists a folder once, and reads the
compiled module with four where that is exactly what Python would do: the source stands alone under its name in the one
folder of its package, or in the first one on `sys.path` that has anything of that name, and it is what was compiled.
All else is left to Python: packages, extensions, archives, and what was not compiled yet or was changed since.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, BuiltinImporter, FrozenImporter, ModuleSpec, SourceFileLoader
from importlib.util import MAGIC_NUMBER, cache_from_source
from marshal import loads
from struct import Struct
from types import CodeType, ModuleType
from typing import Final

_HEAD: Final = Struct("<8sII")
_PLAIN: Final = MAGIC_NUMBER + bytes(4)
"""How a compiled module begins that is good as long as its source is: time and size of the source follow."""
_OTHER_KINDS: Final = ("", *EXTENSION_SUFFIXES)
"""What stands behind the name of a package, or of an extension, which Python takes before a source."""
_LARGE: Final = 120_000
"""Octets of compiled modules that are read at once; larger ones are read by Python."""


class _Loader(SourceFileLoader):
    """Python's loader, but for the way to a compiled module that is up to date."""

    compiled: str

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module with what Python would set besides, after looking whether it is there: 12,000 instructions."""
        module = ModuleType(spec.name)
        module.__dict__.update(__file__=self.path, __cached__=self.compiled)
        return module

    def get_code(self, fullname: str) -> CodeType | None:
        """What the module consists of."""
        return self._up_to_date() or super().get_code(fullname)

    def _up_to_date(self) -> CodeType | None:
        try:
            file = os.open(self.compiled, os.O_RDONLY)
            try:
                data = os.read(file, _LARGE)
            finally:
                os.close(file)
            source = os.stat(self.path)
        except OSError:
            return None
        made_of = _HEAD.pack(_PLAIN, int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF)
        if len(data) == _LARGE or not data.startswith(made_of):
            return None
        try:
            code: CodeType = loads(memoryview(data)[_HEAD.size :])  # noqa: S302 - as Python itself does
        except (EOFError, ValueError, TypeError):
            return None
        return code if code.co_filename == self.path else None


class Finder:
    """Finds plain modules of packages that are one folder each, and of the folders on `sys.path`.

    `before` and `after` stand around the name of a module in that of its compiled file, within the folder.
    """

    def __init__(self, before: str, after: str) -> None:
        self._before, self._after = before, after
        self._listed: dict[str, frozenset[str] | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Called by Python for each module that is to be loaded, with the folders of its package."""
        name = fullname.rpartition(".")[2]
        folder = self._first_with(name) if path is None else path[0] if len(path) == 1 else None
        names = self._names(folder) if folder is not None else None
        if not names or f"{name}.py" not in names or not names.isdisjoint([name + kind for kind in _OTHER_KINDS]):
            return None
        loader = _Loader(fullname, f"{folder}/{name}.py")
        loader.compiled = f"{folder}/{self._before}{name}{self._after}"
        spec = ModuleSpec(fullname, loader, origin=loader.path)
        spec.has_location = True
        spec.cached = loader.compiled
        return spec

    def invalidate_caches(self) -> None:
        """Called by `importlib.invalidate_caches`, by who has just written a module."""
        self._listed.clear()

    def _first_with(self, name: str) -> str | None:
        """The folder on `sys.path` that has anything of that name; None: Python has to look."""
        if name in sys.builtin_module_names or FrozenImporter.find_spec(name):
            return None
        kinds = [f"{name}.py", f"{name}.pyc", *[name + kind for kind in _OTHER_KINDS]]
        for folder in sys.path:
            names = self._names(folder)
            if names is None or not names.isdisjoint(kinds):
                return folder
        return None

    def _names(self, folder: str) -> frozenset[str] | None:
        """What a folder holds; None: it is none that can be listed."""
        if folder not in self._listed:
            self._listed[folder] = _names_in(folder)
        return self._listed[folder]


def _names_in(folder: str) -> frozenset[str] | None:
    if not folder.startswith("/") or folder.endswith("/"):
        return None
    try:
        return frozenset(os.listdir(folder))
    except FileNotFoundError:
        return frozenset()
    except OSError:
        return None


def find_quickly() -> None:
    """Have modules found this way from now on, behind finders that others put in front of those of Python.

    Without effect where compiled modules are kept elsewhere, and in the one executable, which has a finder of its own.
    """
    before, _, after = cache_from_source("MODULE.py").partition("MODULE")
    at_work = any(isinstance(one, Finder) for one in sys.meta_path)
    if before == "__pycache__/" and BuiltinImporter in sys.meta_path and not at_work and not hasattr(sys, "frozen"):
        sys.meta_path.insert(sys.meta_path.index(BuiltinImporter), Finder(before, after))


def find_as_ever() -> None:
    """Have modules found by Python's own finders again, which see what has become of a folder since it was listed."""
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, Finder)]
