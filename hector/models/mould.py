"""Events of a stream that differ from the one before in a single text, read without reading the rest again.

Token after token, most servers send the same JSON around another text. Of such an event it is enough to see that its
beginning and its end are those of the event before, which was read as a whole.
"""

import re
from functools import cache
from typing import Final

_TRIES: Final = 3
"""Casts in a row that come to nothing before a stream is taken for one whose events all differ."""


class Mould:
    """What stands around the text in the last event that was read as a whole, if that said nothing else.

    An event that fits has the same meaning but for its text: what is put in place of it holds neither quotation marks
    nor backslashes nor control characters, so it is one JSON string again.
    """

    __slots__ = ("_after", "_before", "_key", "_place", "_tries")

    def __init__(self, key: str) -> None:
        """`key`: the name under which the text stands, once in the whole event."""
        self._key = f'"{key}"'
        self._place = _place_of(key)
        self._before = self._after = ""
        self._tries = _TRIES

    def text_of(self, event: str) -> str | None:
        """The text of an event that fits; None for one that has to be read as a whole."""
        before, after = self._before, self._after
        if not before or not event.startswith(before) or not event.endswith(after):
            return None
        text = event[len(before) : len(event) - len(after)]
        if not text or not _is_plain(text):
            return None
        self._tries = _TRIES
        return text

    def cast(self, event: str, text: str | None) -> None:
        """Go by this event from now on, which brought `text` under the key; None: it brought something else."""
        self._before = self._after = ""
        if text is None or not self._tries:
            return
        self._tries -= 1
        if "\\" in event or not _is_plain(text) or event.count(self._key) != 1:
            return  # with an escape in it, the key might stand inside another text
        found = self._place.search(event)
        if found is not None and event.startswith(f'{text}"', found.end()):
            self._before, self._after = event[: found.end()], event[found.end() + len(text) :]


@cache
def _place_of(key: str) -> re.Pattern[str]:
    """Where the text of a key begins."""
    return re.compile(rf'"{key}"[ \t]*:[ \t]*"')


def _is_plain(text: str) -> bool:
    return text.isprintable() and '"' not in text and "\\" not in text
