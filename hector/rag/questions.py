"""Test questions with the documents that answer them, and test collections: what `hector rag eval` reads.

A file of questions has a line of JSON each: {"query": "...", "relevant": ["guide.md", ...]}, where `relevant` may also
say how well each fits: {"guide.md": 2}. A folder has the layout of BEIR: queries.jsonl, qrels.tsv (or qrels/test.tsv)
and, where the collection itself is to be indexed, corpus.jsonl.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from hector.core.errors import StartupError
from hector.core.record import dataclass

_QRELS: Final = ("qrels.tsv", "qrels/test.tsv", "qrels/dev.tsv")
_TEXTS: Final = ("query", "question", "text")
_IDS: Final = ("_id", "id")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question; the ids or paths of documents that answer it, each with how well it does."""

    text: str
    relevant: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Paper:
    """A document of a test collection."""

    id: str
    title: str
    text: str
    metadata: Mapping[str, Any]


def questions(path: Path) -> list[Asked]:
    """Those of a file or folder that anything answers. Raises StartupError with the line that is wrong."""
    found = list(_of_folder(path) if path.is_dir() else _of_file(path))
    asked = [one for one in found if one.relevant]
    if not asked:
        raise StartupError(
            f"{path}: there are no questions with answers; a line is JSON with `query` and `relevant`, or the folder "
            "has queries.jsonl and qrels.tsv"
        )
    return asked


def corpus(path: Path) -> Iterator[Paper]:
    """The documents of a file of lines, or of the folder that has it. Raises StartupError."""
    file = path / "corpus.jsonl" if path.is_dir() else path
    for at, row in _lines(file):
        name, text = _first(row, _IDS), row.get("text")
        if not name or not isinstance(text, str):
            raise StartupError(f"{file}, line {at}: a document has an `id` and a `text`")
        metadata = row.get("metadata")
        yield Paper(name, str(row.get("title") or ""), text, metadata if isinstance(metadata, dict) else {})


def _of_file(path: Path) -> Iterator[Asked]:
    for at, row in _lines(path):
        text, relevant = _first(row, _TEXTS), row.get("relevant")
        if not text or not isinstance(relevant, list | dict | str):
            raise StartupError(f"{path}, line {at}: a question has `query`, and `relevant` with ids or paths")
        yield Asked(text, _grades(relevant, f"{path}, line {at}"))


def _grades(relevant: Any, place: str) -> Mapping[str, float]:
    if isinstance(relevant, dict):
        if not all(isinstance(one, int | float) for one in relevant.values()):
            raise StartupError(f"{place}: `relevant` gives a number for each document")
        return {str(name): float(grade) for name, grade in relevant.items() if grade > 0}
    names = [relevant] if isinstance(relevant, str) else relevant
    return {str(name): 1.0 for name in names}


def _of_folder(folder: Path) -> Iterator[Asked]:
    judged = _judged(folder)
    for at, row in _lines(folder / "queries.jsonl"):
        name, text = _first(row, _IDS), _first(row, _TEXTS)
        if not name or not text:
            raise StartupError(f"{folder / 'queries.jsonl'}, line {at}: a question has an `id` and a `text`")
        yield Asked(text, judged.get(name, {}))


def _judged(folder: Path) -> Mapping[str, dict[str, float]]:
    file = next((folder / name for name in _QRELS if (folder / name).is_file()), None)
    if file is None:
        raise StartupError(f"{folder}: there is no {_QRELS[0]}")
    judged: dict[str, dict[str, float]] = {}
    for at, line in enumerate(_text(file).splitlines(), 1):
        cells = line.split("\t") if "\t" in line else line.split()
        if len(cells) < 3 or (at == 1 and not _number(cells[-1])):
            continue
        if not _number(cells[-1]):
            raise StartupError(f"{file}, line {at}: the last column is a number")
        if float(cells[-1]) > 0:  # TREC has a column more, between question and document
            judged.setdefault(cells[0], {})[cells[-2]] = float(cells[-1])
    return judged


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for at, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise StartupError(f"{path}, line {at}: this is no JSON: {error}") from None
        if not isinstance(row, dict):
            raise StartupError(f"{path}, line {at}: a line holds an object")
        yield at, row


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StartupError(f"cannot read {path}: {reason}") from None


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((str(row[name]) for name in names if isinstance(row.get(name), str | int)), "")
