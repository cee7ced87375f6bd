"""Tool calls put together from the pieces that chat/completions streams, however a server numbers and names them.

The rule of the format is "same index, same call; id and name come first, arguments are concatenated". Servers in the
field leave the index out, send 0 for every call, repeat or omit ids, invent a new id for every piece, split names, send
whole calls at once, or send arguments as an object. What decides here: a known id or index continues a call; a piece
with a name that fits neither begins one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from hector.core.content import ToolCall
from hector.core.record import dataclass
from hector.models.wire import compact, parse_call


@dataclass(slots=True)
class _Draft:
    id: str
    index: int | None
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.arguments)

    def add_name(self, name: str) -> None:
        """A further piece of the name; repetitions (whole, or grown) replace it."""
        self.name = name if name.startswith(self.name) else self.name + name if name != self.name else name

    def add_arguments(self, found: Any) -> None:
        if isinstance(found, str):
            self.arguments.append(found)
        elif found is not None:
            self.arguments = [compact(found)]


class CallPieces:
    """Collects the pieces of one turn."""

    def __init__(self) -> None:
        self._drafts: list[_Draft] = []

    def add(self, pieces: Iterable[Any], *, whole: bool = False) -> None:
        """The `tool_calls` list of one delta, or of a `whole` message, where every entry is a call of its own."""
        for position, piece in enumerate(pieces):
            if isinstance(piece, Mapping):
                self._add(piece, position, whole=whole)

    def _add(self, piece: Mapping[str, Any], position: int, *, whole: bool) -> None:
        function = piece.get("function")
        if not isinstance(function, Mapping):
            function = {}
        call_id, index = str(piece.get("id") or ""), piece.get("index")
        name, arguments = str(function.get("name") or ""), function.get("arguments")
        draft = None
        if not whole:
            draft = self._same_id(call_id, index) or self._continued(call_id, index, name, bool(arguments), position)
        if draft is None:
            draft = _Draft(call_id, index)
            self._drafts.append(draft)
        draft.id = draft.id or call_id
        if not draft.text:
            draft.add_name(name)
        draft.add_arguments(arguments)

    def _same_id(self, call_id: str, index: int | None) -> _Draft | None:
        return next(
            (draft for draft in self._drafts if call_id and draft.id == call_id and _agree(draft.index, index)), None
        )

    def _continued(
        self, call_id: str, index: int | None, name: str, has_arguments: bool, position: int
    ) -> _Draft | None:
        """The call that a piece of unknown id goes on with; None when it begins a new one."""
        latest = next((draft for draft in reversed(self._drafts) if _agree(draft.index, index)), None)
        if latest is None or not name:
            return latest
        if call_id and latest.id:
            return None
        repeated = name == latest.name and not has_arguments
        return latest if repeated or not _closed(latest, name, index, position) else None

    def finish(self, names: Mapping[str, str]) -> tuple[ToolCall, ...]:
        """The calls in the order in which they began, each with an id of its own. `names`: wire to ours."""
        seen: set[str] = set()
        calls: list[ToolCall] = []
        for draft in self._drafts:
            if not draft.name and not draft.text.strip():
                continue
            name = names.get(draft.name, draft.name) or "unnamed"
            call = parse_call("" if draft.id in seen else draft.id, name, _unwrapped(draft.text))
            seen.add(call.id)
            calls.append(call)
        return tuple(calls)


def _agree(one: int | None, other: int | None) -> bool:
    return one is None or other is None or one == other


def _closed(draft: _Draft, name: str, index: int | None, position: int) -> bool:
    """Whether `draft` is complete, so that a further name means the next call (and is not the rest of its own)."""
    if not draft.text.strip():
        return index is None and position > 0
    try:
        return isinstance(json.loads(draft.text), dict)
    except ValueError:
        return index is None and name != draft.name


def _unwrapped(text: str) -> str:
    """Arguments that were encoded twice, as the object that they hold; anything else as it is."""
    if not text.lstrip().startswith('"'):
        return text
    try:
        inner = json.loads(text)
    except ValueError:
        return text
    return inner if isinstance(inner, str) else text
