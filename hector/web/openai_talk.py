"""Which conversation a request belongs to, where its client keeps the conversation and sends all of it each time.

A conversation is recognised by what the client has of it: everything up to the agent's last answer. So nothing is in
the log twice. What is not recognised (it was edited, or this process never had it) begins a new conversation, into
which what came before is written as text.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from hector.core.content import Content, Text, part_to_json
from hector.core.record import dataclass
from hector.core.task import Caller
from hector.web.openai_input import Turn

MOST: Final = 20_000
"""Conversations that are remembered; of more, the one that was silent longest is forgotten."""
_INSTRUCTIONS: Final = "Instructions that came with the request:"
_EARLIER: Final = "What was said earlier in this conversation:"
_NOW: Final = "The message now:"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a conversation goes on: its id, and the task that waits for an answer, if any."""

    context: str
    task: str = ""


class Conversations:
    """Places by what was said up to there. In memory: what is lost costs a new conversation."""

    def __init__(self) -> None:
        self._places: OrderedDict[bytes, Place] = OrderedDict()

    def take(self, caller: Caller, agent: str, before: Sequence[Turn]) -> Place | None:
        """Where it goes on. A place is given out once: whoever comes with the same again has gone back in time."""
        return self._places.pop(_print(caller, agent, before), None) if before else None

    def keep(self, caller: Caller, agent: str, turns: Sequence[Turn], place: Place) -> None:
        """The turns, the agent's answer last, have led here."""
        self._places[_print(caller, agent, turns)] = place
        if len(self._places) > MOST:
            self._places.popitem(last=False)


def _print(caller: Caller, agent: str, turns: Sequence[Turn]) -> bytes:
    """What tells a conversation from others. White space and instructions make no difference."""
    found = hashlib.sha256(json.dumps([caller.app, caller.user, agent]).encode())
    for turn in turns:
        if turn.role != "system":
            parts = [part.text.split() if isinstance(part, Text) else part_to_json(part) for part in turn.parts]
            found.update(json.dumps([turn.role, parts]).encode())
    return found.digest()


def content_of(before: Sequence[Turn], said: Sequence[Turn], *, fresh: bool) -> tuple[Content, ...]:
    """The message to the agent. One that begins a conversation brings instructions, and what was said before."""
    parts = tuple(part for turn in said if turn.role == "user" for part in turn.parts)
    if not fresh:
        return parts
    system = "\n\n".join(turn.text for turn in (*before, *said) if turn.role == "system" and turn.text.strip())
    earlier = "\n\n".join(f"{turn.role}: {turn.text}" for turn in before if turn.role != "system")
    media = tuple(part for turn in before for part in turn.parts if not isinstance(part, Text))
    head = [f"{title}\n{text}" for title, text in ((_INSTRUCTIONS, system), (_EARLIER, earlier)) if text]
    return (Text("\n\n".join((*head, _NOW))), *media, *parts) if head else parts
