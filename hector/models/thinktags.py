"""Reasoning that a model writes into its answer between `<think>` and `</think>`, taken apart while it streams."""

from typing import Final

from hector.core.event import Delta, TextDelta, ThinkingDelta

OPEN: Final = "<think>"
CLOSE: Final = "</think>"


class ThinkSplitter:
    """Splits a stream of text into thinking and answer, however the tags fall on the borders of its pieces.

    Only a block at the very start of the answer counts (after blanks, and again right after a block), so that an
    answer which merely mentions the tag stays whole. A block that never closes is thinking to its end.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"  # start | thinking | gap (after a block) | answer

    def feed(self, text: str) -> tuple[Delta, ...]:
        """What `text` adds. What may still turn out to be a tag is held back."""
        if self._state == "answer":
            return (TextDelta(text),) if text else ()
        self._held += text
        found: list[Delta] = []
        while self._step(found):
            pass
        return tuple(found)

    def finish(self) -> tuple[Delta, ...]:
        """What was held back to the end."""
        held, self._held = self._held, ""
        if self._state == "gap":
            held = held.lstrip()
        if not held:
            return ()
        return (ThinkingDelta(held),) if self._state == "thinking" else (TextDelta(held),)

    def _step(self, found: list[Delta]) -> bool:
        """Take one decision on what is held. False when there is none to take before more comes."""
        return self._inside(found) if self._state == "thinking" else self._before(found)

    def _inside(self, found: list[Delta]) -> bool:
        thought, closed, rest = self._held.partition(CLOSE)
        if closed:
            self._state, self._held = "gap", rest
        else:
            keep = _overlap(thought)
            thought, self._held = thought[: len(thought) - keep], thought[len(thought) - keep :]
        if thought:
            found.append(ThinkingDelta(thought))
        return bool(closed)

    def _before(self, found: list[Delta]) -> bool:
        if self._state == "answer":
            return False
        ahead = self._held.lstrip()
        if ahead.startswith(OPEN):
            self._state, self._held = "thinking", ahead[len(OPEN) :]
            return True
        if OPEN.startswith(ahead):
            return False
        found.append(TextDelta(ahead if self._state == "gap" else self._held))
        self._state, self._held = "answer", ""
        return False


def _overlap(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of the closing tag."""
    return next((size for size in range(min(len(text), len(CLOSE) - 1), 0, -1) if CLOSE.startswith(text[-size:])), 0)
