"""JSON: every value with the keys that lead to it, so that a piece can be understood alone."""

import json
from collections.abc import Iterator
from typing import Any, Final

from hector.core.retrieval import Place
from hector.rag.errors import Unreadable
from hector.rag.extract.text import lines_of
from hector.rag.extract.writer import Writer, one_line

_TITLES: Final = ("title", "name", "id", "key", "slug")
_LEAVES: Final = (str, int, float, bool)


def read_json(data: bytes | str, ending: str, writer: Writer) -> None:
    """An object: a section for each of its keys; a list: one for each element. What is no JSON is read as text."""
    text = lines_of(data, writer)
    try:
        value = _parsed(text)
    except ValueError as error:
        writer.note(f"this is no valid JSON ({error}), read as text")
        writer.add(text, Place(first_line=1, last_line=1 + text.count("\n")), "code")
        return
    if ending == ".ipynb" and isinstance(value, dict) and isinstance(value.get("cells"), list):
        _notebook(value, writer)
        return
    if isinstance(value, dict) and isinstance(value.get("title"), str):
        writer.title = value["title"]
    _Tree(writer).document(value)


def read_json_lines(data: bytes | str, _ending: str, writer: Writer) -> None:
    """A section for each line. Raises Unreadable where hardly any is JSON."""
    lines = lines_of(data, writer).split("\n")
    tree, bad = _Tree(writer), 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = Place(first_line=number, last_line=number)
        try:
            value = _parsed(line)
        except ValueError:
            bad += 1
            writer.note(f"line {number} is no valid JSON, read as text")
            writer.add(line, place, "row")
            continue
        tree.row(value, place)
        if number > writer.limits.rows:
            writer.stop(f"only the first {writer.limits.rows:,} lines were read")
    if bad > 10 and bad * 2 > len(lines):
        raise Unreadable("most of its lines are no JSON")


def _parsed(text: str) -> Any:
    """Numbers as they are written: they are shown, not counted with. Raises ValueError."""
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)


class _Tree:
    """Writes values as lines of `key.key: value`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def document(self, value: Any) -> None:
        """All of a file."""
        if isinstance(value, list):
            for number, element in enumerate(value):
                if number >= self._writer.limits.rows:
                    self._writer.stop(f"only the first {self._writer.limits.rows:,} elements were read")
                self.row(element, Place())
        elif isinstance(value, dict):
            self._object(value)
        else:
            self._writer.add(_shown(value))

    def _object(self, value: dict[str, Any]) -> None:
        flat = {key: part for key, part in value.items() if not isinstance(part, (dict, list))}
        self._lines(flat, "")
        for key, part in value.items():
            if key in flat:
                continue
            self._writer.enter(1, key)
            if isinstance(part, list) and any(isinstance(element, dict) for element in part):
                self._writer.add(one_line(key), kind="heading")
                for element in part[: self._writer.limits.rows]:
                    self.row(element, Place())
            else:
                self._lines({key: part}, "")
            self._writer.leave(1)

    def row(self, value: Any, place: Place) -> None:
        """One element of a list: on one line where it is flat."""
        if isinstance(value, dict) and all(isinstance(part, _LEAVES) or part is None for part in value.values()):
            shown = ((key, _shown(part)) for key, part in value.items())
            self._writer.add("; ".join(f"{key}: {text}" for key, text in shown if text), place, "row")
            return
        self._writer.add("\n".join(_walk(value, "", self._writer.limits.depth)), place, "table")

    def _lines(self, value: Any, path: str) -> None:
        self._writer.add("\n".join(_walk(value, path, self._writer.limits.depth)))


def _walk(value: Any, path: str, depth: int) -> Iterator[str]:
    if depth <= 0:
        raise Unreadable("it is nested too deeply")
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _walk(part, f"{path}.{one_line(key, 100)}" if path else one_line(key, 100), depth - 1)
    elif isinstance(value, list) and all(not isinstance(part, (dict, list)) for part in value):
        if shown := ", ".join(filter(None, map(_shown, value))):
            yield f"{path}: {shown}" if path else shown
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _walk(part, f"{path}[{number}]", depth - 1)
    elif text := _shown(value):
        yield f"{path}: {text}" if path else text


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _notebook(value: dict[str, Any], writer: Writer) -> None:
    """A Jupyter notebook: text and code of its cells, without what they printed."""
    for cell in value["cells"]:
        if not isinstance(cell, dict):
            continue
        source = cell.get("source", "")
        text = "".join(part for part in source if isinstance(part, str)) if isinstance(source, list) else str(source)
        if cell.get("cell_type") == "code":
            writer.add(text, kind="code")
            continue
        for block in text.split("\n\n"):
            head = block.strip()
            if head.startswith("#") and "\n" not in head:
                marks = len(head) - len(head.lstrip("#"))
                writer.heading(min(marks, 6), head.lstrip("# "), text=head)
            else:
                writer.add(block)
