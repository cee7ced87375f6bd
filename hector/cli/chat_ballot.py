"""Decisions about the calls that a task waits for, typed one after the other. Pure."""

import re
from collections.abc import Sequence
from typing import Final

from hector.cli.chat_pieces import Wanted
from hector.core.content import JsonObject
from hector.core.record import dataclass

_LINE: Final = re.compile(r"(approved?|yes|y|deny|denied|reject|no|n)\b[\s,;:.!-]*(.*)", re.IGNORECASE | re.DOTALL)
HOW: Final = "answer approve or deny; a reason may follow, or `all` for every call that waits"


@dataclass(slots=True)
class Ballot:
    """The calls in order, and the data parts that decide about the first of them."""

    calls: tuple[Wanted, ...]
    parts: list[JsonObject]

    @classmethod
    def of(cls, calls: Sequence[Wanted]) -> "Ballot":
        """Nothing is decided yet."""
        return cls(tuple(calls), [])

    @property
    def left(self) -> tuple[Wanted, ...]:
        """The calls that nothing was said about."""
        return self.calls[len(self.parts) :]

    def question(self) -> str:
        """What is to be typed now."""
        return f"approve {self.left[0].tool}? (approve/deny)" if self.left else ""

    def take(self, line: str) -> bool:
        """Read a decision; False when the line is none."""
        found = _LINE.fullmatch(line.strip())
        if found is None or not self.left:
            return False
        word = "approve" if found[1][0].lower() in "ay" else "deny"
        everything = found[2].strip().lower() == "all"
        for call in self.left if everything else self.left[:1]:
            part: JsonObject = {"type": "tool_approval", "tool_call_id": call.id, "decision": word}
            part |= {"arguments_hash": call.arguments_hash} if call.arguments_hash else {}
            part |= {"comment": found[2]} if found[2] and not everything else {}
            self.parts.append(part)
        return True
