"""Which part of a long conversation a model is shown. Pure: messages in, the place from which they are shown out.

A tool call and its results are never parted: both are shown, or neither.
"""

from collections.abc import Sequence

from hector.agents.estimate import tokens_of
from hector.agents.history import Conversation
from hector.core.content import Message


def safe(messages: Sequence[Message], start: int) -> int:
    """The first place at or before `start` at which a conversation may be cut."""
    start = min(max(start, 0), len(messages))
    while 0 < start < len(messages) and messages[start].role == "tool":
        start -= 1
    return start


def last_messages(messages: Sequence[Message], count: int) -> int:
    """Where the last `count` messages begin; a few more, where a call would be parted from its results."""
    return safe(messages, len(messages) - count)


def fitting(messages: Sequence[Message], budget: float, factor: float, least: int) -> int:
    """Where as many of the last messages begin as fit in `budget` tokens, the last `least` of them in any case."""
    start, left = len(messages), budget
    for at in range(len(messages) - 1, -1, -1):
        left -= tokens_of(messages[at]) * factor
        if left < 0:
            break
        if messages[at].role != "tool":
            start = at
    return min(start, safe(messages, len(messages) - max(least, 1)))


def total(messages: Sequence[Message], factor: float) -> float:
    """Tokens of them all."""
    return factor * sum(map(tokens_of, messages))


def shown_from(conversation: Conversation, start: int, *before: Message) -> list[Message]:
    """The messages from one on, and the one that says what is to be done now, wherever that stands."""
    messages, asked = conversation.messages, conversation.asked
    pinned = (messages[asked],) if 0 <= asked < start else ()
    return [*before, *pinned, *messages[start:]]
