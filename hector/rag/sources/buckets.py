"""Object stores as this package sees them, and what is common to their protocols."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import quote

from hector.core.record import dataclass
from hector.rag.errors import SourceError
from hector.rag.sources.web import Reply

LIST_LIMIT: Final = 16 * 2**20
"""Bytes of one page of a list."""
MISSING: Final = frozenset((404,))
CLOSED: Final = frozenset((403, 404))


@dataclass(frozen=True, slots=True)
class Entry:
    """An object. `tag` changes with its content."""

    key: str
    size: int
    tag: str
    changed: str = ""
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects; `mark` leads to those after, empty behind the last ones."""

    entries: tuple[Entry, ...]
    mark: str


class Bucket(Protocol):
    """Objects of one bucket or container. Raises SourceError, Unreadable for what is too large."""

    async def page(self, prefix: str, mark: str) -> Page:
        """Objects whose keys begin with `prefix`, in pages."""

    async def look(self, key: str) -> Entry | None:
        """One object, if it is there."""

    async def read(self, key: str, limit: int) -> tuple[Entry, bytes] | None:
        """Its content, and what it was then; None: it is not there. Raises Unreadable where it may not be read."""

    async def aclose(self) -> None:
        """Close every connection."""


def escaped(key: str, keep: str = "/") -> str:
    """A key as part of an address, in the one form that signatures agree on."""
    return quote(key, safe=keep + "-_.~")


def xml(reply: Reply) -> Any:
    """The root of an answer in XML, without namespaces. Raises SourceError; declares nothing, expands nothing."""
    if b"<!" in reply.body:
        raise SourceError("the object store gives a list with declarations in it, which is not read")
    try:
        root = ET.fromstring(reply.body)  # noqa: S314 - without declarations there is nothing to expand
    except ET.ParseError as error:
        raise SourceError(f"the object store gives a list that cannot be read: {error}") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def of_headers(key: str, headers: Mapping[str, str], size: int, tag: str = "etag") -> Entry:
    """An object by the headers of an answer."""
    return Entry(
        key, size, headers.get(tag, "").strip('"'), headers.get("last-modified", ""), headers.get("content-type", "")
    )
