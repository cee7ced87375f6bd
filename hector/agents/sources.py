"""The tools of an agent that are known only at run time, such as those of MCP servers."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from typing import Final

from hector.core.ports import Offer, Tool, ToolPolicy, Toolset
from hector.core.record import dataclass

log = logging.getLogger("hector.agents")
SILENT: Final = 1.0
"""Seconds of waiting for tools of which nobody is told."""


@dataclass(frozen=True, slots=True)
class Source:
    """A toolset, and what this agent takes of it: every tool, or those of `only`. `fit` makes each ready for use.

    It takes what a tool says of itself, and whether its calls are timed from outside.
    """

    entry: str
    toolset: Toolset
    fit: Callable[[Tool, ToolPolicy, bool], tuple[Tool, ToolPolicy]]
    only: Collection[str] | None = None


class Sources:
    """All of one agent. `taken` are the names of its other tools, which count first."""

    def __init__(self, sources: Sequence[Source], taken: Collection[str] = ()) -> None:
        self._sources = sources
        self._taken = frozenset(taken)
        self._seen: tuple[Offer | None, ...] = ()
        self._offer = Offer({}, {})

    @property
    def away(self) -> tuple[str, ...]:
        """The entries whose tools are missing for now."""
        return tuple(source.entry for source in self._sources if source.toolset.away)

    @property
    def missing(self) -> bool:
        """Whether anything has to be loaded."""
        return None in self._look()

    async def arrive(self) -> AsyncGenerator[str]:
        """Load what has to be loaded; yield each entry that takes long, once. Raises what loading raises."""
        if not self.missing:
            return
        loading = asyncio.create_task(self._load())
        try:
            await asyncio.wait((loading,), timeout=SILENT)
            late = [source for source in self._sources if source.toolset.offered is None and not loading.done()]
            for source in late:
                yield source.entry
            await loading
        finally:
            loading.cancel()
            await asyncio.wait((loading,))

    async def offer(self) -> Offer:
        """Their tools now: the same object as before if nothing has changed. Raises what loading them raises."""
        seen = self._look()
        if None in seen:
            await self._load()
            seen = self._look()
        if len(seen) != len(self._seen) or any(new is not old for new, old in zip(seen, self._seen, strict=True)):
            self._offer, self._seen = self._joined(seen), seen
        return self._offer

    def _look(self) -> tuple[Offer | None, ...]:
        return tuple([source.toolset.offered for source in self._sources])

    async def _load(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    if source.toolset.offered is None:
                        group.create_task(source.toolset.load())
        except* Exception as errors:  # noqa: BLE001 - one of them says enough
            raise _first(errors) from None

    def _joined(self, seen: Sequence[Offer | None]) -> Offer:
        tools: dict[str, Tool] = {}
        policies: dict[str, ToolPolicy] = {}
        for source, offer in zip(self._sources, seen, strict=True):
            if offer is None:
                continue
            for name, tool in offer.tools.items():
                if source.only is not None and name not in source.only:
                    continue
                if name in self._taken or name in tools:
                    log.warning("two tools share a name: the later one is left out", extra=_facts(name, source))
                    continue
                own = offer.policies.get(name, ToolPolicy())
                tools[name], policies[name] = source.fit(tool, own, offer.timed)
        return Offer(tools, policies)


def _facts(name: str, source: Source) -> dict[str, str]:
    return {"tool": name, "entry": source.entry}


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
