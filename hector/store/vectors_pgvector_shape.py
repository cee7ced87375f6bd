"""What pgvector can do in each of its versions, and how vectors of a length are kept and searched. Pure.

Source: its README and CHANGELOG, versions 0.4 to 0.8.
"""

import re
from typing import Final

from hector.core.record import dataclass
from hector.store.foreign_views import quoted

MOST_EXACT: Final = 2000
"""Numbers of a vector that an index takes as they are."""
MOST_HALF: Final = 4000
"""Numbers of a vector that an index takes at half the precision."""
_HNSW: Final = (0, 5)
_HALVES: Final = (0, 7)
_ITERATES: Final = (0, 8)


@dataclass(frozen=True, slots=True)
class Extension:
    """Its version, and the schema that its types are in."""

    version: tuple[int, ...]
    schema: str

    @property
    def iterates(self) -> bool:
        """Whether a search looks further in the index until enough of what it finds fulfils the conditions."""
        return self.version >= _ITERATES


@dataclass(frozen=True, slots=True)
class Shape:
    """SQL for vectors of one length. `family` empty: no index, every search looks at all of them."""

    vector: str
    distance: str
    column: str = "embedding"
    family: str = ""
    half: str = ""

    def parts(self) -> dict[str, str]:
        """By the names that statements have for them."""
        return {
            "vector": self.vector, "distance": self.distance, "column": self.column, "family": self.family,
            "half": self.half,
        }  # fmt: skip


def shape_of(dimension: int, extension: Extension, *, approximate: bool) -> Shape:
    """How vectors of so many numbers are kept."""
    schema = quoted(extension.schema)
    vector, distance = f"{schema}.vector", f"OPERATOR({schema}.<=>)"
    if not approximate or extension.version < _HNSW:
        return Shape(vector, distance)
    if dimension <= MOST_EXACT:
        return Shape(vector, distance, "embedding", f"{schema}.vector_cosine_ops")
    if dimension <= MOST_HALF and extension.version >= _HALVES:
        half = f"{schema}.halfvec({dimension:d})"
        return Shape(vector, distance, f"(embedding::{half})", f"{schema}.halfvec_cosine_ops", half)
    return Shape(vector, distance)


def version_of(text: str) -> tuple[int, ...]:
    """Of an extension, to be compared."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])
