"""What a kind of server has to say: requests as values, answers as they are understood. Pure; no I/O.

Every point carries `index`, the identity of the collection that it is of, and `tags`, one for each value of its
metadata, since servers differ in what else they can filter by.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol
from uuid import UUID, uuid5

from hector.core.record import dataclass
from hector.core.retrieval import Metadata, Scored

NAMESPACE: Final = UUID("6b0f3a0e-5d1c-4d39-9a53-1f2c8a3e7d64")
"""Of the ids of points; any would do, as long as it stays the same."""
LONGEST_TAG: Final = 400
MOST_TAGS: Final = 100
"""Of one point; filters find nothing by the others."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `missing`: that there is no such thing is an answer, too, which is None. `taken`: so is a conflict."""

    method: str
    path: str
    body: str = ""
    missing: bool = False
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A vector as servers take it: `numbers` is the JSON array of it."""

    id: str
    key: int
    numbers: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for: the JSON array of a vector, and for each condition the tags of which one must be there."""

    numbers: str
    limit: int
    tags: tuple[tuple[str, ...], ...] = ()


class Ask(Protocol):
    """Sends a call; its JSON, or None where that was foreseen. Raises VectorStoreError."""

    async def __call__(self, call: Call) -> Any: ...


class Wire(Protocol):
    """One kind of server."""

    @property
    def service(self) -> str:
        """Its name, for people."""

    @property
    def batch(self) -> int:
        """Points of one request."""

    @property
    def merges(self) -> bool:
        """Whether adding a point again leaves tags that it had."""

    def authorization(self, key: str) -> Mapping[str, str]:
        """Headers of every request."""

    async def prepare(self, ask: Ask, dimension: int) -> str:
        """Make the collection where there is none; the host that has it where it is another one.

        Raises VectorStoreError where there is one that does not fit.
        """

    async def find(self, ask: Ask) -> str | None:
        """Look for the collection, to remove something of it: as `prepare` does, but None where there is none."""

    def add(self, index: str, points: Sequence[Point]) -> Call:
        """Add or replace."""

    def describe(self, index: str, tags: Sequence[str], ids: Sequence[str]) -> Sequence[Call]:
        """Give these points other tags, which they have in common; empty: it takes them only with their vectors."""

    def remove(self, index: str, ids: Sequence[str]) -> Call:
        """Remove some."""

    def clear(self, index: str) -> Call:
        """Remove all of an index, or as much as is removed at once."""

    def more(self, answer: Any) -> bool:
        """Whether `clear` must be asked again."""

    def search(self, index: str, wanted: Wanted) -> Call:
        """The best of an index."""

    def found(self, answer: Any) -> Sequence[Scored]:
        """What was found: the key and the cosine. Raises LookupError, TypeError, ValueError for anything else."""

    def problem(self, answer: Any) -> str:
        """What went wrong, according to an answer that looks as if all had gone well; empty: nothing."""


def point_id(index: str, key: int) -> str:
    """The same for the same chunk, whenever it is added."""
    return str(uuid5(NAMESPACE, f"{index}/{key}"))


def tags_of(metadata: Metadata) -> tuple[str, ...]:
    """One for each value; those of a list apart."""
    found = [tag for name, value in metadata.items() for tag in _tags(name, value)]
    return tuple(dict.fromkeys(found))[:MOST_TAGS]


def conditions(where: Metadata | None) -> tuple[tuple[str, ...], ...]:
    """For each name in a filter the tags of which one must be there."""
    return tuple(tuple(_tags(name, value)) for name, value in (where or {}).items())


def _tags(name: str, value: object) -> Iterable[str]:
    for one in value if isinstance(value, list | tuple) else (value,):
        yield f"{name}={plain(one)}"[:LONGEST_TAG]


def plain(value: object) -> str:
    """JSON without needless blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def with_numbers(fields: Mapping[str, Any], name: str, numbers: str) -> str:
    """A JSON object with an array that is JSON already."""
    return f"{plain(fields)[:-1]},{plain(name)}:{numbers}}}"
