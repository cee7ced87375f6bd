"""XML of strangers, piece by piece: no document types, no entities, nothing from elsewhere, bounded depth."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias
from xml.parsers import expat

from hector.rag.errors import Unreadable
from hector.rag.extract.limits import Limits

Attributes: TypeAlias = Mapping[str, str]
"""By their names without namespaces; those of the namespace of relations begin with `r:`."""
_RELATIONS: Final = "/relationships"
_MOST_NAMES: Final = 1000


class Part:
    """Handles one XML file; names come without namespaces."""

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def text(self, text: str) -> None:
        """Text within an element."""


def feed(pieces: Iterable[bytes], part: Part, name: str, limits: Limits) -> None:
    """Parse an XML file. Raises Unreadable for what is no XML or has what no document needs."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.buffer_size = 65_536
    _refuse(parser, name)
    depth = 0
    names, keys = _Names(""), _Names("r:")

    def start(element: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > limits.depth:
            raise Unreadable(f"{name} is nested too deeply")
        if attributes:
            attributes = {keys[key]: value for key, value in attributes.items()}
        part.start(names[element], attributes)

    def end(element: str) -> None:
        nonlocal depth
        depth -= 1
        part.end(names[element])

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = part.text
    try:
        for piece in pieces:
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Unreadable(f"{name} is no XML or cut off ({error})") from None
    finally:
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None


def _refuse(parser: Any, name: str) -> None:
    def doctype(*_: object) -> None:
        raise Unreadable(f"{name} has a document type or entities of its own, which no document of Office has")

    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = doctype
    parser.ExternalEntityRefHandler = doctype


class _Names(dict[str, str]):
    """Names without their namespaces; a document has few, and asks for them a million times.

    Names of attributes in the namespace of relations get `relation` before them.
    """

    def __init__(self, relation: str) -> None:
        super().__init__()
        self._relation = relation

    def __missing__(self, key: str) -> str:
        space, _, name = key.rpartition(" ")
        found = f"{self._relation}{name}" if space.endswith(_RELATIONS) else name
        if len(self) < _MOST_NAMES:
            self[key] = found
        return found


def plain(text: str) -> str:
    """Without blank space around it and in it more than once."""
    return " ".join(text.split())
