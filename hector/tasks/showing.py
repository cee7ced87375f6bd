"""What those who watch a run are shown of its model: each piece once, turns set off from each other."""

from typing import Final

from hector.core.content import Message, Text, Thinking
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.tasks.live import LiveTask

TURN_BREAK: Final = "\n\n"
"""Between the texts of two model turns of one answer."""


class Showing:
    """Follows one run."""

    def __init__(self, live: LiveTask) -> None:
        self._live = live
        self._streamed = False
        self._thought = False

    def grow(self, deltas: tuple[Delta, ...]) -> tuple[Delta, ...]:
        """These pieces of the present turn as they are shown."""
        kinds = {*map(type, deltas)}
        self._thought = self._thought or ThinkingDelta in kinds
        if TextDelta not in kinds:
            return deltas
        first, self._streamed = not self._streamed, True
        return (TextDelta(TURN_BREAK), *deltas) if first and self._live.pieces else deltas

    def rest(self, message: Message, *, structured: bool) -> tuple[Delta, ...]:
        """What a model said in one piece, as deltas, unless it was already shown while it came.

        A `structured` answer is nothing but the checked JSON, which comes with the message.
        """
        if message.role != "assistant":
            return ()
        found: list[Delta] = []
        for part in message.parts:
            if isinstance(part, Thinking) and part.text and not self._thought:
                found.append(ThinkingDelta(part.text))
            elif isinstance(part, Text) and part.text and not self._streamed:
                if structured and part.media_type is None:
                    continue
                found.append(TextDelta(part.text))
                self._live.media_type = part.media_type
        return tuple(found)

    def turn_over(self) -> None:
        """The next pieces belong to another turn."""
        self._streamed = self._thought = False
