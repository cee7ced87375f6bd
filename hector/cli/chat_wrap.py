"""Breaking lines between words while the text is still coming in. Pure."""

import re
import unicodedata
from typing import Final

_PIECES: Final = re.compile(r"\S+|\s")
_MARKER: Final = re.compile(r"[-*+•]|\d{1,3}[.)]")
_FENCE: Final = "```"


def cells(text: str) -> int:
    """Columns that the text takes on a terminal."""
    return sum(0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)


class Wrapping:
    """One text. A word is held back until its end has come; list items hang; what stands in code fences stays."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._column = 0
        self._indent = 0
        self._spaces = ""
        self._word = ""
        self._code = False
        self._fresh = True
        """Nothing but spaces on this line of the text yet."""

    def feed(self, text: str) -> str:
        """What can be written now."""
        out: list[str] = []
        for piece in _PIECES.findall(text):
            if not piece.isspace():
                self._word += piece
                continue
            out.append(self.rest())
            if piece == "\n":
                out.append("\n")
                self._column = self._indent = 0
                self._spaces, self._fresh = "", True
            else:
                self._spaces += piece
        return "".join(out)

    def rest(self) -> str:
        """The word that is held back, on this line or on the next."""
        word, self._word = self._word, ""
        if not word:
            return ""
        if self._fresh:
            self._start_line(word)
        spaces, self._spaces = self._spaces, ""
        size = cells(word)
        if self._column > self._indent and not self._code and self._column + len(spaces) + size > self._width:
            self._column = self._indent + size
            return "\n" + " " * self._indent + word
        self._column += len(spaces) + size
        return spaces + word

    def _start_line(self, word: str) -> None:
        self._fresh = False
        if word.startswith(_FENCE):
            self._code = not self._code
        marked = len(word) + 1 if _MARKER.fullmatch(word) else 0
        self._indent = min(len(self._spaces) + marked, self._width // 2)
