"""What a model call costs, and how much of everything it may need: known before it is made, and after."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from hector.config.budgets import Price
from hector.core.content import Media, Message, Text, ToolCall, ToolResult
from hector.core.ports import ModelReply, ModelRequest, ToolSpec, once
from hector.core.record import dataclass
from hector.core.usage import Usage

UNKNOWN_OUTPUT: Final = 4096
"""Tokens of an answer whose length nothing limits, until a longer one was seen."""
UNKNOWN_SECONDS: Final = 5.0
"""How long a call takes, until a longer one was seen."""
_PER_TOKEN: Final = 3
"""Characters of a token, so that input is rather held for too many tokens than for too few."""
_MEDIA_TOKENS: Final = 1500
"""Of a picture, about."""


class Rate(NamedTuple):
    """Millionths of the currency per token, in other words: its whole units per million tokens."""

    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0


FREE: Final = Rate()


def rate_of(label: str, prices: Sequence[Price]) -> Rate:
    """The first row that fits "provider/model", or nothing at all."""
    for row in prices:
        if fnmatchcase(label.lower(), row.model.lower()):
            read = row.input if row.cache_read is None else row.cache_read
            write = row.input if row.cache_write is None else row.cache_write
            return Rate(row.input, row.output, read, write)
    return FREE


def cost(usage: Usage, rate: Rate) -> int:
    """In millionths of the currency, rounded up."""
    plain = max(0, usage.input - usage.cache_read - usage.cache_write)
    exact = (
        plain * rate.input
        + usage.cache_read * rate.cache_read
        + usage.cache_write * rate.cache_write
        + usage.output * rate.output
    )
    return -int(-exact // 1)


@dataclass(slots=True)
class Model:
    """A configured model as budgets see it; learns from calls that were larger than foreseen."""

    label: str
    rate: Rate
    max_tokens: int = 0
    longest: int = 0
    slowest: float = 0.0

    def estimate(self, request: ModelRequest) -> Usage:
        """What a call may use: rather too much than too little."""
        output = max(self.max_tokens or UNKNOWN_OUTPUT, self.longest)
        return Usage(input=_tokens(request), output=output)

    @property
    def seconds(self) -> float:
        """What a call may take."""
        return max(UNKNOWN_SECONDS, self.slowest)

    def used(self, reply: ModelReply, foreseen: Usage, seconds: float) -> Usage:
        """What a call did use; of providers that do not say, what its texts are worth."""
        usage = reply.usage
        if not usage.total:
            usage = Usage(input=foreseen.input, output=_message_tokens(reply.message))
        self.longest = max(self.longest, usage.output + max(0, usage.input - foreseen.input))
        self.slowest = max(self.slowest, seconds)
        return usage

    def broken_off(self, foreseen: Usage, heard: int) -> Usage:
        """What a call has used that failed after so many characters: providers ask for those and for the question."""
        return Usage(input=foreseen.input, output=heard // _PER_TOKEN + 1)


def dearest(models: Sequence[Model], request: ModelRequest) -> Model:
    """The one whose answer may cost most, in money, or else in tokens: that much is held, whichever answers."""
    if len(models) == 1:
        return models[0]

    def worth(model: Model) -> tuple[int, int]:
        foreseen = model.estimate(request)
        return cost(foreseen, model.rate), foreseen.total

    return max(models, key=worth)


def _tokens(request: ModelRequest) -> int:
    tools = once(request.tools, "characters", lambda: sum(map(_characters, request.tools)))
    said = sum(map(_message_tokens, request.messages))
    return (len(request.system) + tools) // _PER_TOKEN + said + 16


def _characters(tool: ToolSpec) -> int:
    return len(tool.name) + len(tool.description) + len(str(tool.parameters))


def _message_tokens(message: Message) -> int:
    return 8 + sum(_part_tokens(part) for part in message.parts)


def _part_tokens(part: object) -> int:
    match part:
        case Text(text=text):
            return len(text) // _PER_TOKEN + 1
        case ToolCall(name=name, args=args):
            return (len(name) + len(str(args))) // _PER_TOKEN + 8
        case ToolResult(content=content):
            return 8 + sum(map(_part_tokens, content))
        case Media():
            return _MEDIA_TOKENS
        case _:
            return len(str(part)) // _PER_TOKEN
