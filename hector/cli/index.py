"""`hector index`: take documents in now; beside a server that runs, by asking it to."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from hector.cli.layout import Style, as_json, plain
from hector.config.flags import add_place_arguments
from hector.core.errors import HectorError, StartupError
from hector.core.record import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from hector.cli.place import Place
    from hector.cli.progress import Progress as Bar
    from hector.config.root import HectorConfig
    from hector.rag.ingest_progress import Progress
    from hector.rag.knowledge import Knowledge
    from hector.rag.shelving import Running
    from hector.store.collection_rows import Failure

_LOOK: Final = 0.2
"""Seconds between two looks at how far it is."""
_PATIENCE: Final = 15.0
"""Seconds that a server may be in trouble before its trouble is the result."""
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one store. `problem`: why it is not whole; empty if it is."""

    progress: "Progress | None"
    failures: "Sequence[Failure]" = ()
    problem: str = ""
    by: str = "this process"


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "index",
        help="take in documents of document stores",
        description="Look through the sources of document stores and take in what has changed. Where a server keeps "
        "the index, it is asked to; else this command does it. What is done already is never done twice.",
    )
    parser.add_argument("stores", nargs="*", metavar="STORE", help="ids under document_stores; left out: all")
    parser.add_argument("--force", action="store_true", help="read, cut and embed everything anew")
    add_place_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 if all is taken in, documents that cannot be read named; 1 if a store is not whole.

    Raises ConfigError and StartupError.
    """
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use

    place = find_place(arguments)
    names = chosen(place, arguments.stores)
    outcomes = asyncio.run(_carry_out(place, names, force=arguments.force))
    if arguments.json:
        print(as_json({"stores": [_facts(name, one) for name, one in outcomes.items()]}))
    else:
        style = Style()
        print("\n".join(line for name, one in outcomes.items() for line in _lines(name, one, style)))
    return 1 if any(one.problem for one in outcomes.values()) else 0


def chosen(place: "Place", named: Sequence[str]) -> list[str]:
    """The stores that are meant. Raises StartupError."""
    known = place.config.document_stores
    if not known:
        from hector.cli.place import no_stores  # noqa: PLC0415 - loaded on first use

        raise no_stores(place)
    for name in named:
        if name not in known:
            raise StartupError(f"there is no document store {name!r}; there are: {', '.join(known)}")
    indexed = [name for name in named or known if known[name].source.indexed]
    if not indexed:
        raise StartupError(f"{', '.join(named or known)}: searched only, another store fills the collection")
    return list(dict.fromkeys(indexed))


@asynccontextmanager
async def opened(place: "Place") -> "AsyncIterator[Knowledge]":
    """The document stores of the file's app. Raises ConfigError, StartupError."""
    from hector.apps.knowledge import knowledge_of  # noqa: PLC0415 - loaded on first use
    from hector.cli.place import governed  # noqa: PLC0415
    from hector.observe.log import set_up  # noqa: PLC0415
    from hector.tools.catalog import Catalog  # noqa: PLC0415

    set_up("warn")
    with governed(place.startup.egress):
        knowledge = knowledge_of(place.config, Catalog(()))
        try:
            yield knowledge
        finally:
            await knowledge.aclose()


async def _carry_out(place: "Place", names: Sequence[str], *, force: bool) -> dict[str, Outcome]:
    from hector.cli.progress import Progress as Bar  # noqa: PLC0415 - loaded on first use

    outcomes: dict[str, Outcome] = {}
    async with opened(place) as knowledge:
        for name in names:
            with Bar(name) as bar:
                outcomes[name] = await _index(knowledge, name, Shown(name, bar), force=force)
    return outcomes


async def _index(knowledge: "Knowledge", name: str, shown: "Shown", *, force: bool) -> Outcome:
    running = knowledge.store(name)
    problem, by = "", "this process"
    try:
        collection = (await running.opened()).collection
        if collection.file.is_readonly:
            problem = f"this user may not write in {running.plan.folder}: it is searched only"
        elif collection.leads:
            await _ours(running, shown, force=force)
        else:
            by = "the server"
            problem = await _theirs(running, shown, force=force)
    except (HectorError, OSError) as error:
        problem = str(error)
    try:
        return Outcome(await running.progress(), await knowledge.failures(name, _SHOWN), problem, by)
    except (HectorError, OSError) as error:
        return Outcome(None, (), problem or str(error), by)


async def _ours(running: "Running", shown: "Shown", *, force: bool) -> None:
    keeper = await running.keeper()

    async def look() -> None:
        while True:
            shown.show(await keeper.progress())
            await asyncio.sleep(_LOOK)

    looking = asyncio.create_task(look())
    try:
        await keeper.once(force=force)
    finally:
        looking.cancel()
        await asyncio.wait((looking,))


async def _theirs(running: "Running", shown: "Shown", *, force: bool) -> str:
    """Why the process that keeps the index has not done it; empty if it has."""
    from hector.rag import ingest_asking as asking  # noqa: PLC0415 - loaded on first use

    request = await asyncio.to_thread(asking.ask, running.plan.folder, force=force)
    collection = (await running.opened()).collection
    patience = _PATIENCE
    while True:
        progress = await running.progress()
        shown.show(progress)
        if progress.request == request.id and not progress.pending and progress.state == "ready":
            return ""
        patience = patience - _LOOK if progress.trouble else _PATIENCE
        if patience <= 0:
            return progress.trouble
        if collection.lead():  # it has gone: the work is ours now
            await asyncio.to_thread(asking.take, running.plan.folder)
            await _ours(running, shown, force=force)
            return ""
        await asyncio.sleep(_LOOK)


async def glance(name: str, folder: "Path", config: "HectorConfig") -> "Progress":
    """How far a store is, from its folder. Raises StoreError, StartupError."""
    from hector.apps.knowledge import embedder_of  # noqa: PLC0415 - loaded on first use
    from hector.core.clock import SystemClock  # noqa: PLC0415
    from hector.rag.ingest_progress import NOTE, progress_of, tally_of  # noqa: PLC0415
    from hector.store.collection import Collection  # noqa: PLC0415

    _, embedder = embedder_of(config.document_stores[name], config)
    async with await Collection.open(folder, name, lead=False) as collection:
        tally, counts = tally_of(await collection.noted(NOTE)), await collection.counts()
    return progress_of(name, tally, counts, SystemClock().now(), "yes" if embedder is not None else "")


class Shown:
    """Progress as a bar: documents, then chunks."""

    def __init__(self, name: str, bar: "Bar") -> None:
        self._name, self._bar = name, bar
        self._phase: tuple[str, int] = ("", -1)
        self._done = 0

    def show(self, progress: "Progress") -> None:
        """Bring it up to date."""
        if progress.state == "reading":
            self._to(("documents", progress.total), progress.seen)
        elif progress.pending:
            self._to(("chunks", progress.chunks), progress.chunks - progress.pending)

    def _to(self, phase: tuple[str, int], done: int) -> None:
        if phase != self._phase:
            word = "reading" if phase[0] == "documents" else "embedding"
            self._bar.begin(f"{self._name}: {word}", phase[1], phase[0])
            self._phase, self._done = phase, 0
        self._bar.advance(max(done - self._done, 0))
        self._done = max(done, self._done)


def _facts(name: str, one: Outcome) -> dict[str, Any]:
    found = one.progress
    about: dict[str, Any] = {"id": name, "indexed_by": one.by, "problem": one.problem or None}
    if found is not None:
        about |= {
            "documents": found.documents, "failed": found.failed, "chunks": found.chunks, "pending": found.pending,
            "read": found.read, "unchanged": found.unchanged, "removed": found.removed,
            "left_out": dict(found.omitted), "embedder": found.embedder or None,
        }  # fmt: skip
    return about | {"failures": [{"document": one.uri or one.id, "reason": one.reason} for one in one.failures]}


def _lines(name: str, one: Outcome, style: Style) -> list[str]:
    found, lines = one.progress, []
    if found is not None:
        changed = f"{found.read:,} read, {found.unchanged:,} unchanged, {found.removed:,} removed"
        lines.append(f"{style(name, 'bold')}: {found.documents:,} documents, {found.chunks:,} chunks ({changed})")
        if found.pending:
            lines.append(f"  {found.pending:,} chunks wait for their vectors; they are found by their words")
        if found.omitted:
            left = ", ".join(f"{reason}: {number:,}" for reason, number in found.omitted.items())
            lines.append(style(f"  left out: {plain(left)}", "dim"))
        if found.failed:
            lines.append(style(f"  {found.failed:,} cannot be read:", "warn"))
            lines += [f"    {plain(f'{failure.uri or failure.id}: {failure.reason}')}" for failure in one.failures]
    if one.problem:
        lines.append(style(f"{name}: not whole: {plain(one.problem)}", "bad"))
    return lines
