"""Tool wrappers: each adds one behaviour and delegates."""

import asyncio
import json
import logging
from dataclasses import replace
from typing import Final

from hector.core.content import Content, Data, JsonObject, Text
from hector.core.errors import ToolError
from hector.core.ports import Tool, ToolContext, ToolOutput, ToolSpec
from hector.core.record import dataclass

log = logging.getLogger("hector.tools")
PATIENCE: Final = 0.5
"""Seconds that a cancelled call has to end."""
_left: set["asyncio.Task[ToolOutput]"] = set()
"""Calls that did not end in time; kept so that they are not collected in mid-air."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Gives up after `seconds` (None: never by itself), and soon when it is cancelled, whatever the tool makes of that.

    A plain function's thread cannot be stopped: its late result is dropped.
    """

    inner: Tool
    seconds: float | None

    @property
    def spec(self) -> ToolSpec:
        return self.inner.spec

    def check(self, args: JsonObject) -> None:
        self.inner.check(args)

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        """Raises ToolError when the time is over."""
        running = asyncio.create_task(self.inner.call(args, context))
        try:
            await asyncio.wait((running,), timeout=self.seconds)
            if running.done():
                return running.result()
        finally:
            await _end(running, self.spec.name)
        raise ToolError(f"{self.spec.name} took longer than {self.seconds:g} s and was given up")


async def _end(running: "asyncio.Task[ToolOutput]", name: str) -> None:
    """Cancel a call that still runs; one that resists is left behind, so that the run can go on or end."""
    if not running.done():
        running.cancel()
        await asyncio.wait((running,), timeout=PATIENCE)
    if not running.done():
        log.error("tool does not end when it is cancelled; it is left behind", extra={"tool": name})
        _left.add(running)
        running.add_done_callback(_forget)


def _forget(ended: "asyncio.Task[ToolOutput]") -> None:
    _left.discard(ended)
    if not ended.cancelled():
        ended.exception()  # nobody else will ask, and asyncio would complain


@dataclass(frozen=True, slots=True)
class Cut:
    """Shortens long text output to `characters`, and says so. Data that are longer as JSON become such a text."""

    inner: Tool
    characters: int

    @property
    def spec(self) -> ToolSpec:
        return self.inner.spec

    def check(self, args: JsonObject) -> None:
        self.inner.check(args)

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        output = await self.inner.call(args, context)
        return replace(output, content=tuple(self._cut(part) for part in output.content))

    def _cut(self, part: Content) -> Content:
        if isinstance(part, Data):
            written = json.dumps(part.value, ensure_ascii=False)
            return part if len(written) <= self.characters else self._cut(Text(written, metadata=part.metadata))
        if not isinstance(part, Text) or len(part.text) <= self.characters:
            return part
        left_out = len(part.text) - self.characters
        return replace(part, text=f"{part.text[: self.characters]}\n[{left_out} more characters were left out]")
