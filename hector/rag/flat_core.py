"""What the flat index does in threads: reads, writes and searches its files. Loads numpy."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from hector.rag.flat_files import View, Writer
from hector.rag.flat_scan import coded, nearest, nearest_among
from hector.rag.numeric import np
from hector.store.collection_slots import State

if TYPE_CHECKING:
    from hector.rag.flat_files import Floats


class Candidate(NamedTuple):
    """A row that was found: whose it says it is, and whether it is as it was written."""

    key: int
    slot: int
    score: float
    sound: bool


class Core:
    """The files of one collection."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._view: View | None = None
        self._writer: tuple[int, Writer] | None = None

    def view(self, state: State) -> View:
        """The files as they are in this state. Raises OSError."""
        with self._lock:
            if self._view is None or self._view.state != state:
                self._view = View(self._folder, state)
            return self._view

    def find(
        self, state: State, vectors: Sequence[bytes], most: int, slots: Sequence[int] | None
    ) -> list[list[Candidate]]:
        """For each vector at least the `most` best rows (of these slots), the best first, scored with what is stored.

        Raises OSError.
        """
        view = self.view(state)
        queries = matrix(vectors, state.dimension)
        if slots is None:
            found = nearest(view, queries, most)
        else:
            found = nearest_among(view, queries, most, np.asarray(slots, np.int64))
        answers = []
        for query, here in zip(queries, found, strict=True):
            keys, sound, rows = view.read(here, mapped=not coded(view, len(queries)))
            rated = zip(keys, here.tolist(), (rows @ query).tolist(), sound, strict=True)
            answers.append(sorted((Candidate(*one) for one in rated), key=lambda one: (-one.score, one.key)))
        return answers

    def write(self, state: State, slots: Sequence[int], keys: Sequence[int], vectors: Sequence[bytes]) -> None:
        """Vectors into slots, on the disk when it returns. Raises OSError."""
        self._of(state).write(slots, keys, matrix(vectors, state.dimension))

    def write_rows(self, state: State, begin: int, keys: Sequence[int], rows: "Floats") -> None:
        """The same of rows that lie side by side. Raises OSError."""
        self._of(state).write(range(begin, begin + len(keys)), keys, rows)

    def forget(self, state: State, slots: Sequence[int]) -> None:
        """These slots are nobody's. Raises OSError."""
        self._of(state).forget(slots)

    def steps(self, state: State) -> "Iterator[tuple[list[int], list[int], list[bool], Floats]]":
        """Slots, keys, whether each is sound, and rows: all that are somebody's, some at a time."""
        for slots, keys, sound, rows in self.view(state).steps():
            yield slots.tolist(), keys, sound, rows

    def close(self) -> None:
        """Give back the files; maps go with the last search that uses them."""
        self._view = None
        if self._writer is not None:
            self._writer[1].close()
            self._writer = None

    def _of(self, state: State) -> Writer:
        if self._writer is None or self._writer[0] != state.generation:
            if self._writer is not None:
                self._writer[1].close()
            self._writer = state.generation, Writer(self._folder, state)
        return self._writer[1]


def matrix(vectors: Sequence[bytes], dimension: int) -> "Floats":
    """Vectors as rows."""
    return np.frombuffer(b"".join(vectors), "<f4").reshape(len(vectors), dimension).astype(np.float32, copy=False)


def finite(vectors: Sequence[bytes]) -> bool:
    """Whether each number of them is one."""
    return bool(np.isfinite(np.frombuffer(b"".join(vectors), "<f4")).all())
