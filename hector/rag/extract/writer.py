"""Collects the sections of a document in reading order, within the limits, under the headings that are in force."""

from collections.abc import Iterable
from typing import Final, Literal

from hector.core.pattern import pattern
from hector.core.retrieval import Extracted, Metadata, Place, Section
from hector.rag.extract.limits import Limits

_SURROGATES: Final = pattern("[\ud800-\udfff]")
_CONTROLS: Final = pattern("[\x00-\x08\x0e-\x1f\x7f]")
_SPACE: Final = pattern(r"\s+")
_LONGEST_HEADING: Final = 200
_LONGEST_VALUE: Final = 500
_MOST_NOTES: Final = 20
_BETWEEN: Final = " > "
NOWHERE: Final = Place()
"""The place of a part of which only the headings above it are known."""


def clean(text: str) -> str:
    """Text that can be stored: line feeds end its lines; no half of a surrogate pair, no control characters."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROLS.sub(" ", text)
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def one_line(text: str, longest: int = _LONGEST_HEADING) -> str:
    """For headings, titles and names."""
    return _SPACE.sub(" ", clean(text[: 4 * longest])).strip()[:longest]


class Full(Exception):  # noqa: N818 - nothing is wrong
    """As much has been read as the limits allow; a note says what was left out."""


class Writer:
    """What a reader of a format writes to. Raises Full once there is enough."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.title = ""
        self.metadata: dict[str, str | int | bool | list[str]] = {}
        self._sections: list[Section] = []
        self._notes: list[str] = []
        self._left = limits.characters
        self._outline: list[tuple[int, str]] = []

    @property
    def path(self) -> str:
        """The headings that are in force, the outermost first."""
        return _BETWEEN.join(text for _, text in self._outline)[:_LONGEST_HEADING]

    def enter(self, level: int, text: str) -> str:
        """A heading begins to hold; those of the same level and below end. Returns the path."""
        self.leave(level)
        if shown := one_line(text, 120):
            self._outline.append((level, shown))
        return self.path

    def leave(self, level: int) -> None:
        """Headings of this level and below end."""
        while self._outline and self._outline[-1][0] >= level:
            self._outline.pop()

    def heading(self, level: int, name: str, place: Place = NOWHERE, text: str = "") -> None:
        """A heading of the document: in its text, as `text` has it or by its name, and over what follows."""
        self.enter(level, name)
        self.add(text or one_line(name), place, "heading")

    def add(
        self,
        text: str,
        place: Place = NOWHERE,
        kind: Literal["text", "heading", "code", "table", "row"] = "text",
    ) -> None:
        """A part of the document, under the headings that are in force where its place names none."""
        text = clean(text)
        if not text.strip():
            return
        heading = place.heading or self.path
        kept = text[: self._left]
        last = place.last_line
        if len(kept) < len(text) and last and last - place.first_line == text.count("\n"):
            last = place.first_line + kept.count("\n")
        where = Place(place.page, heading, place.sheet, place.first_line, last)
        if kept:
            self._sections.append(Section(kept, where, kind))
        self._left -= len(kept)
        if len(kept) < len(text):
            self.stop(f"only the first {self.limits.characters:,} characters were read")

    def tell(self, **facts: str | int | bool | list[str] | None) -> None:
        """Metadata of the document; what is empty is left out."""
        for name, value in facts.items():
            if isinstance(value, str):
                value = one_line(value, _LONGEST_VALUE)
            if isinstance(value, list):
                value = [shown for text in value[:50] if (shown := one_line(text, _LONGEST_VALUE))]
            if value not in (None, "", []):
                self.metadata[one_line(name, 60)] = value

    def note(self, text: str) -> None:
        """Something that people should know."""
        if len(self._notes) < _MOST_NOTES and text not in self._notes:
            self._notes.append(one_line(text, 300))

    def stop(self, text: str) -> None:
        """The rest is left out."""
        self.note(text)
        raise Full(text)

    def finish(self, fallback: str) -> Extracted:
        """The document; without a title of its own it has its first heading's, or `fallback`."""
        title = one_line(self.title) or self._first_heading() or one_line(fallback)
        metadata: Metadata = self.metadata
        return Extracted(title, tuple(self._sections), metadata, tuple(self._notes))

    def _first_heading(self) -> str:
        early: Iterable[Section] = self._sections[:20]
        found = next((section for section in early if section.kind == "heading"), None)
        return found.place.heading.rpartition(_BETWEEN)[2] if found else ""
