"""Tool wrappers: each adds one behaviour and delegates."""

import asyncio
from dataclasses import replace

from hector.core.content import Content, JsonObject, Text
from hector.core.errors import ToolError
from hector.core.ports import Tool, ToolContext, ToolOutput, ToolSpec
from hector.core.record import dataclass


@dataclass(frozen=True, slots=True)
class Timed:
    """Gives up after `seconds`. A plain function's thread cannot be stopped: its late result is dropped."""

    inner: Tool
    seconds: float

    @property
    def spec(self) -> ToolSpec:
        return self.inner.spec

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        """Raises ToolError when the time is over."""
        try:
            async with asyncio.timeout(self.seconds):
                return await self.inner.call(args, context)
        except TimeoutError:
            raise ToolError(f"{self.spec.name} took longer than {self.seconds:g} s and was given up") from None


@dataclass(frozen=True, slots=True)
class Cut:
    """Shortens long text output to `characters`, and says so."""

    inner: Tool
    characters: int

    @property
    def spec(self) -> ToolSpec:
        return self.inner.spec

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        output = await self.inner.call(args, context)
        return replace(output, content=tuple(self._cut(part) for part in output.content))

    def _cut(self, part: Content) -> Content:
        if not isinstance(part, Text) or len(part.text) <= self.characters:
            return part
        left_out = len(part.text) - self.characters
        return replace(part, text=f"{part.text[: self.characters]}\n[{left_out} more characters were left out]")
