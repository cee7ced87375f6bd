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
    """One text on a terminal of `width` columns. List items hang; what stands in code fences stays as it is.

    Everything is written at once, also the beginning of a word; where the word turns out too long for its line, it is
    wiped out again and written on the next one.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._column = 0
        self._indent = 0
        self._lead = 0
        self._spaces = ""
        self._word = ""
        self._code = False
        self._fresh = True
        """Nothing but spaces on this line of the text yet."""

    def feed(self, text: str) -> str:
        """What to write."""
        return "".join(map(self._piece, _PIECES.findall(text)))

    def _piece(self, piece: str) -> str:
        if not piece.isspace():
            return self._grow(piece)
        if self._word and self._fresh:
            self._start_line(self._word)
        self._word = ""
        if piece != "\n":
            self._spaces += piece
            return ""
        self._column = self._indent = 0
        self._spaces, self._fresh = "", True
        return "\n"

    def _grow(self, more: str) -> str:
        """More of the word at the cursor, or the beginning of one."""
        before, self._word = self._word, self._word + more
        spaces, self._spaces = self._spaces, ""
        if self._fresh and not before:
            self._lead = len(spaces)
        written, size = cells(before), cells(more)
        fits = self._column + len(spaces) + size <= self._width
        is_first = self._column - written <= self._indent
        if fits or is_first or self._code:
            self._column += len(spaces) + size
            return spaces + more
        self._column = self._indent + written + size
        return "\b" * written + " " * written + "\n" + " " * self._indent + self._word

    def _start_line(self, word: str) -> None:
        """The first word of a line is complete: it decides how far the line's rest hangs."""
        self._fresh = False
        if word.startswith(_FENCE):
            self._code = not self._code
        marked = len(word) + 1 if _MARKER.fullmatch(word) else 0
        self._indent = min(self._lead + marked, self._width // 2)
