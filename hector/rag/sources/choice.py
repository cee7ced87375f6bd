"""Which files of a source are documents. Pure: says why not, and opens nothing."""

from collections.abc import Sequence
from typing import Final

from hector.config.sourcebase import EXCLUDED
from hector.rag.sources import sensitive
from hector.rag.sources.globs import Pattern, compiled

NOT_MEANT: Final = "not meant"
"""Excluded, not included, or hidden: as the configuration says, and nothing to tell people of."""
KEYS: Final = "named like a secret"
NO_TEXT: Final = "no text in it"
EMPTY: Final = "empty"
TOO_LARGE: Final = "too large"


class Choice:
    """By the patterns of a section. Paths are relative to the source, with `/`."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str], largest: int) -> None:
        standard = tuple(exclude) == EXCLUDED
        given = [pattern for pattern in exclude if not (standard and pattern.startswith("."))]
        self._include = compiled(include)
        self._exclude = compiled(given)
        self._largest = largest
        self._dots = tuple(pattern for pattern in self._include if _has_dot(pattern))
        self._spoken = sensitive.Spoken(pattern.last for pattern in self._include)

    def folder(self, path: str) -> str:
        """Why nothing of a folder is looked at; empty if it is."""
        name = path.rpartition("/")[2]
        if any(pattern.fits(path) for pattern in self._exclude):
            return NOT_MEANT
        if name.startswith(".") and not self._names_hidden_folder(path):
            return NOT_MEANT
        if name.lower() in sensitive.SECRET_FOLDERS and not self._names_hidden_folder(path):
            return NOT_MEANT
        return ""

    def file(self, path: str, size: int) -> str:
        """Why a file is left out, given that its folder is not; empty if it is a document, as far as names tell."""
        name = path.rpartition("/")[2]
        if any(pattern.fits(path) for pattern in self._exclude) or not self._is_included(path):
            return NOT_MEANT
        if sensitive.is_secret(name) and not self._spoken.secret(name):
            return KEYS
        if name.startswith(".") and not self._names_hidden_file(path):
            return NOT_MEANT
        if sensitive.has_no_text(name) and not self._spoken.ending(name):
            return NO_TEXT
        return EMPTY if size == 0 else TOO_LARGE if size > self._largest else ""

    def whole(self, path: str, size: int) -> str:
        """Why a file is left out, its folders considered, too."""
        steps = path.split("/")
        folders = ("/".join(steps[:count]) for count in range(1, len(steps)))
        return next((reason for folder in folders if (reason := self.folder(folder))), "") or self.file(path, size)

    def is_certain(self, name: str) -> bool:
        """Whether a file need not be looked into to know that it may hold text."""
        return sensitive.says_text(name) or self._spoken.ending(name)

    def names(self, path: str) -> bool:
        """Whether `include` says the very name of a file."""
        name = path.rpartition("/")[2]
        return any(pattern.named and pattern.last == name and pattern.fits(path) for pattern in self._include)

    def _is_included(self, path: str) -> bool:
        return not self._include or any(
            pattern.fits(path) or (pattern.named and pattern.fits_within(path)) for pattern in self._include
        )

    def _names_hidden_file(self, path: str) -> bool:
        return any(pattern.last.startswith(".") and pattern.fits(path) for pattern in self._dots)

    def _names_hidden_folder(self, path: str) -> bool:
        """Whether a pattern says the name of a hidden folder, somewhere on its way."""
        name = path.rpartition("/")[2]
        return any(name in pattern.text.split("/") for pattern in self._dots)


def _has_dot(pattern: Pattern) -> bool:
    return any(step.startswith(".") for step in pattern.text.split("/"))
