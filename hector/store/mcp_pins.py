"""What was kept of the tools of MCP servers, and which of them have changed since (mcp/pins.py)."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from hector.core.clock import Clock, SystemClock, milliseconds
from hector.core.digest import args_hash
from hector.core.errors import Conflict
from hector.store.database import Connection, Database, Work
from hector.store.queries import load

MOST: Final = 1000
"""Tools of a server that are kept; of more, those go that it offers no more, the oldest first."""
SHOWN: Final = 50
"""Changed tools that are shown, and accepted, at a time: each has two texts of up to 32,000 characters."""


class _Pin(NamedTuple):
    """The digest that was accepted, the one that is offered if it differs, when that was noted (ms), whether no text of
    the accepted one is kept.
    """

    digest: str
    offered: str
    at: int
    untold: bool


_Known: TypeAlias = dict[str, _Pin]
"""By tool."""


class Changed(NamedTuple):
    """A tool that its server describes otherwise than it was accepted; `at`: seconds since the epoch.

    `digest` is of what is offered; `before` and `now` are the descriptions, empty where none was kept.
    """

    app: str
    server: str
    tool: str
    at: float
    digest: str
    before: str
    now: str


def digest_of(changed: Iterable[Changed]) -> str:
    """What stands for some changed tools of one server together."""
    return args_hash({one.tool: one.digest for one in changed})


class McpPins:
    """The repository."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._sql = load("mcp_pins", database.dialect)

    async def compare(
        self, app: str, server: str, digests: Mapping[str, str], texts: Mapping[str, str] | None = None
    ) -> frozenset[str]:
        """Keep the digests of tools that are new, note those that differ, and say which do. Raises StoreError.

        `texts` are what people are shown of the tools.
        """
        known = await self._database.read(self._known(app, server))
        plan = _Plan(known, digests, texts or {})
        if plan.writes:
            await self._database.write(self._note(app, server, plan))
        return frozenset(plan.differing)

    def accept(
        self, app: str, server: str, tool: str | None, digest: str, beside: Work[None] | None = None
    ) -> Awaitable[int]:
        """Take what was shown of a tool, or of all changed tools of a server; how many had changed.

        Raises Conflict unless `digest` stands for just that: somebody accepts what he has seen.
        """

        async def unit(con: Connection) -> int:
            found = _read(await con.all(self._sql["changed"], (app, server, tool, SHOWN)))
            if found and digest not in {digest_of(found), found[0].digest if len(found) == 1 else ""}:
                raise Conflict(
                    f"what MCP server {server!r} says of {tool or 'its tools'} is not what this digest stands for\n"
                    "Look at it again with: hector mcp changed"
                )
            if beside is not None:
                await beside(con)
            at = milliseconds(self._clock.now())
            await con.many(self._sql["accept"], [(at, app, server, one.tool, one.digest) for one in found])
            return len(found)

        return self._database.write(unit)

    def changed(
        self, app: str | None = None, server: str | None = None, tool: str | None = None
    ) -> Awaitable[tuple[Changed, ...]]:
        """Those that wait for an operator, the first SHOWN of them; None stands for all."""

        async def unit(con: Connection) -> tuple[Changed, ...]:
            return _read(await con.all(self._sql["changed"], (app, server, tool, SHOWN)))

        return self._database.read(unit)

    def _known(self, app: str, server: str) -> Work[_Known]:
        async def unit(con: Connection) -> _Known:
            rows = await con.all(self._sql["of_server"], (app, server))
            return {tool: _Pin(digest, offered, at, bool(untold)) for tool, digest, offered, at, untold in rows}

        return unit

    def _note(self, app: str, server: str, plan: "_Plan") -> Work[None]:
        at = milliseconds(self._clock.now())
        where = (app, server)
        rows: dict[str, list[tuple[Any, ...]]] = {
            "drop": [(*where, tool) for tool in plan.gone],
            "keep": [(*where, *one, at) for one in plan.fresh],
            "offer": [(digest, text, at, *where, tool) for tool, digest, text in plan.noted],
            "tell": [(text, *where, tool, digest) for tool, digest, text in plan.told],
        }

        async def unit(con: Connection) -> None:
            for statement, values in rows.items():
                if values:
                    await con.many(self._sql[statement], values)

        return unit


class _Plan:
    """What follows from what is known and what is offered. Pure.

    A server that has had more tools than are kept could bring one back changed that was forgotten: there a new tool
    counts as a changed one.
    """

    def __init__(self, known: _Known, digests: Mapping[str, str], texts: Mapping[str, str]) -> None:
        full = len(known.keys() | digests.keys()) > MOST
        new = {tool: digest for tool, digest in digests.items() if tool not in known}
        old = {tool: digest for tool, digest in digests.items() if tool in known}
        self.differing = {tool for tool, digest in old.items() if known[tool].digest != digest} | set(
            new if full else ()
        )
        self.gone = _surplus(known, digests) if new else []
        kept = [(tool, digest, texts.get(tool, "")) for tool, digest in sorted(new.items())]
        self.fresh = [(tool, "", "", *said) if full else (tool, *said, "", "") for tool, *said in kept]
        offers = {tool: digest if tool in self.differing else "" for tool, digest in old.items()}
        self.noted = [
            (tool, digest, texts.get(tool, "") if digest else "")
            for tool, digest in sorted(offers.items())
            if known[tool].offered != digest
        ]
        self.told = [
            (tool, digest, texts[tool])
            for tool, digest in sorted(old.items())
            if known[tool].untold and tool in texts and known[tool].digest == digest
        ]

    @property
    def writes(self) -> bool:
        """Whether there is anything to keep."""
        return bool(self.fresh or self.noted or self.told)


def _read(rows: Iterable[Sequence[object]]) -> tuple[Changed, ...]:
    return tuple(
        Changed(str(app), str(server), str(tool), float(str(at)) / 1000, str(digest), str(before), str(now))
        for app, server, tool, at, digest, before, now in rows
    )


def _surplus(known: _Known, digests: Mapping[str, str]) -> list[str]:
    """The tools to forget: those that nobody has accepted first, those that have changed last."""
    excess = len(known.keys() | digests.keys()) - MOST
    past = known.keys() - digests.keys()
    worth = {tool: (known[tool].digest != "", known[tool].offered != "", known[tool].at, tool) for tool in past}
    return sorted(past, key=worth.__getitem__)[: max(excess, 0)]
