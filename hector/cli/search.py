"""`hector search`: what an agent would find in the document stores, with scores, also beside a server."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from hector.cli.layout import Style, as_json, count, plain, span, terminal_width
from hector.config.flags import add_place_arguments
from hector.core.errors import HectorError, StartupError

if TYPE_CHECKING:
    from hector.cli.place import Place
    from hector.core.retrieval import Findings, Passage
    from hector.rag.knowledge import Knowledge
    from hector.rag.search_legs import Shelf

MODES: Final = ("hybrid", "lexical", "dense")
_EXCERPT: Final = 320
"""Characters of a passage that are shown."""


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "search",
        help="look something up in document stores",
        description="Search document stores as an agent would, and show what is found, with scores. 1 if nothing is.",
    )
    parser.add_argument("question", help="what to look for")
    add_search_arguments(parser)
    parser.add_argument("--limit", metavar="N", type=int, help="how many passages at most; left out: search.top_k")
    parser.add_argument("--full", action="store_true", help="show whole passages instead of excerpts")
    add_place_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """Which stores, and how."""
    parser.add_argument(
        "--store", action="append", default=[], metavar="ID", help="only this document store; may be repeated"
    )
    parser.add_argument(
        "--mode", choices=MODES, help="by words and meaning, by words alone, by meaning alone; left out: as configured"
    )


def run(arguments: argparse.Namespace) -> int:
    """0; 1 where nothing is found. Raises ConfigError, StartupError, SearchError."""
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use

    if arguments.limit is not None and not 1 <= arguments.limit <= 200:
        raise StartupError("--limit: a number from 1 to 200")
    place = find_place(arguments)
    names = stores_of(place, arguments.store)
    findings, seconds = asyncio.run(_search(place, names, arguments))
    if arguments.json:
        print(as_json(_facts(arguments.question, findings, seconds)))
    else:
        print("\n".join(page(arguments.question, findings, seconds, Style(), full=arguments.full)))
    return 0 if findings.passages else 1


def stores_of(place: "Place", named: Sequence[str]) -> list[str]:
    """The stores that are meant. Raises StartupError."""
    known = list(place.config.document_stores)
    if not known:
        from hector.cli.place import no_stores  # noqa: PLC0415 - loaded on first use

        raise no_stores(place)
    for name in named:
        if name not in known:
            raise StartupError(f"there is no document store {name!r}; there are: {', '.join(known)}")
    return list(dict.fromkeys(named)) or known


@asynccontextmanager
async def opened(place: "Place") -> "AsyncIterator[Knowledge]":
    """The document stores of the file's app, with its models. Raises ConfigError, StartupError."""
    from hector.apps.app import Models  # noqa: PLC0415 - loaded on first use
    from hector.apps.knowledge import knowledge_of  # noqa: PLC0415
    from hector.apps.lookup import named_models  # noqa: PLC0415
    from hector.cli.place import governed  # noqa: PLC0415
    from hector.models.registry import create  # noqa: PLC0415
    from hector.observe.log import set_up  # noqa: PLC0415
    from hector.tools.catalog import Catalog  # noqa: PLC0415

    set_up("warn")
    with governed(place.startup.egress):
        models = Models(lambda name: create(name, place.config.llms[name]))
        knowledge = knowledge_of(place.config, Catalog(()), models=named_models(place.config, models))
        try:
            yield knowledge
        finally:
            await knowledge.aclose()
            await models.aclose()


async def shelves_of(knowledge: "Knowledge", names: Sequence[str], mode: str | None) -> "list[Shelf]":
    """The stores as they are searched; nothing is indexed. Raises HectorError."""
    from hector.rag.trial import in_mode  # noqa: PLC0415 - loaded on first use

    shelves = []
    for name in names:
        running = knowledge.store(name)
        await running.opened(lead=False)
        shelf = await running.shelf()
        shelves.append(shelf if mode is None else in_mode(shelf, mode))
    return shelves


async def _search(place: "Place", names: Sequence[str], arguments: argparse.Namespace) -> "tuple[Findings, float]":
    import time  # noqa: PLC0415 - for searches only
    from dataclasses import replace  # noqa: PLC0415

    from hector.core.retrieval import Question  # noqa: PLC0415

    async with opened(place) as knowledge:
        shelves: list[Shelf] = []
        notes: list[str] = []
        for name in names:
            try:
                shelves += await shelves_of(knowledge, [name], arguments.mode)
            except (HectorError, OSError) as error:
                notes.append(f"store {name}: it cannot be searched: {error}")
        if not shelves:
            raise StartupError("\n".join(notes))
        began = time.perf_counter()
        findings = await knowledge.searcher(shelves).search(Question(arguments.question, arguments.limit))
        return replace(findings, notes=(*notes, *findings.notes)), time.perf_counter() - began


def page(question: str, findings: "Findings", seconds: float, style: Style, *, full: bool) -> Iterator[str]:
    """What people see."""
    from hector.core.passages import source  # noqa: PLC0415 - loaded on first use

    for number, one in enumerate(findings.passages, 1):
        scores = [f"score {one.score:.2f}"]
        scores += [f"cosine {one.dense:.2f}"] if one.dense is not None else []
        scores += [f"words {one.lexical:.3g}"] if one.lexical is not None else []
        yield f"{style(f'{number}.', 'dim')} {style(plain(source(one)), 'good')}  {style(', '.join(scores), 'dim')}"
        yield f"   {style(plain(f'{one.store}: {one.uri or one.document}'), 'dim')}"
        for line in _excerpt(question, one, style, full=full):
            yield f"   {line}"
        yield ""
    for note in findings.notes:
        yield style(f"note: {plain(note)}", "warn")
    without = bool(findings.notes and findings.passages) and all(one.dense is None for one in findings.passages)
    how = " by words alone" if without else ""
    yield style(f"{count(len(findings.passages), 'passage')}{how} in {span(seconds)}", "dim")


def _excerpt(question: str, passage: "Passage", style: Style, *, full: bool) -> list[str]:
    """Lines of a passage, the words that were looked for set off."""
    import textwrap  # noqa: PLC0415 - for searches only

    from hector.store.highlight import best_window, marked  # noqa: PLC0415 - loaded on first use

    text = plain(passage.text)
    if not full:
        text = best_window(text, question, _EXCERPT)
    lines = textwrap.wrap(text, max(min(terminal_width(), 120) - 4, 40)) if terminal_width() < 400 else [text]
    return ["".join(style(piece, "bold") if hit else piece for piece, hit in marked(one, question)) for one in lines]


def _facts(question: str, findings: "Findings", seconds: float) -> dict[str, Any]:
    from hector.core.passages import facts  # noqa: PLC0415 - loaded on first use

    rows = facts(findings.passages)
    passages = [{**row, "text": one.text} for row, one in zip(rows, findings.passages, strict=True)]
    return {
        "query": question,
        "passages": passages,
        "notes": list(findings.notes),
        "duration_ms": round(seconds * 1000, 1),
    }
