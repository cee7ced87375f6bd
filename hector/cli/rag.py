"""`hector rag eval`: how good searches are, on questions whose answers are known."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hector.cli.layout import Style, as_json, columns, span
from hector.cli.search import MODES, add_search_arguments, opened, shelves_of, stores_of
from hector.config.flags import add_place_arguments
from hector.core.errors import StartupError

if TYPE_CHECKING:
    from hector.cli.place import Place
    from hector.rag.measure import Figures
    from hector.rag.questions import Asked
    from hector.rag.search_legs import Shelf


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("rag", help="measure how good searches are")
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    one = actions.add_parser(
        "eval",
        help="ask questions whose answers are known: hit rate, MRR, nDCG, recall, latency",
        description="Ask the questions of a file (lines of JSON: query, and relevant: ids or paths of documents), or "
        "of a folder with queries.jsonl and qrels.tsv, and compare what is found with what should be. Without --store, "
        "a corpus.jsonl in that folder is indexed for it.",
    )
    one.add_argument("questions", help="file of questions, or folder in the layout of BEIR")
    one.add_argument("--corpus", metavar="FILE", help="documents to index for it, a line of JSON each: id, title, text")
    one.add_argument("--index", metavar="FOLDER", help="where to keep that index; left out: it goes at the end")
    add_search_arguments(one)
    one.add_argument("--all-modes", action="store_true", help="measure words, meaning and both, each by itself")
    one.add_argument("--limit", metavar="N", type=int, help="only the first N questions")
    add_place_arguments(one)
    one.add_argument("--json", action="store_true", help="as JSON")
    one.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises ConfigError, StartupError, RagError, StoreError."""
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use
    from hector.rag.questions import questions  # noqa: PLC0415

    path = Path(arguments.questions)
    asked = questions(path)[: arguments.limit]
    corpus = _corpus(arguments, path)
    place = find_place(arguments)
    modes = MODES if arguments.all_modes else (arguments.mode,)
    work = (
        _on_stores(place, arguments, asked, modes)
        if corpus is None
        else _on_corpus(place, corpus, arguments.index, asked, modes)
    )
    figures = asyncio.run(work)
    if arguments.json:
        print(as_json({"questions": str(path), "results": [{"mode": mode, **asdict(one)} for mode, one in figures]}))
    else:
        print("\n".join(page(figures, Style())))
    return 0


def _corpus(arguments: argparse.Namespace, path: Path) -> Path | None:
    """The documents that are indexed for this; None where stores are searched. Raises StartupError."""
    if arguments.corpus:
        if arguments.store:
            raise StartupError("--corpus is indexed for this: it goes without --store")
        return Path(arguments.corpus)
    beside = path / "corpus.jsonl"
    if not arguments.store and path.is_dir() and beside.is_file():
        return beside
    if arguments.index:
        raise StartupError("--index is for documents that are indexed for this: give --corpus")
    return None


async def _on_stores(
    place: "Place", arguments: argparse.Namespace, asked: "Sequence[Asked]", modes: Sequence[str | None]
) -> "list[tuple[str, Figures]]":
    from hector.rag.search import Searcher  # noqa: PLC0415 - loaded on first use

    names = stores_of(place, arguments.store)
    async with opened(place) as knowledge:
        found = []
        for mode in modes:
            searcher: Searcher = knowledge.searcher(await shelves_of(knowledge, names, mode))
            found.append((mode or "as configured", await _measured(searcher, asked)))
        return found


async def _on_corpus(
    place: "Place", corpus: Path, kept: str | None, asked: "Sequence[Asked]", modes: Sequence[str | None]
) -> "list[tuple[str, Figures]]":
    from hector.rag.search import Searcher  # noqa: PLC0415 - loaded on first use
    from hector.rag.trial import in_mode  # noqa: PLC0415

    with nullcontext(kept) if kept else TemporaryDirectory(prefix="hector-eval-") as folder:
        async with _indexed(place, corpus, Path(folder)) as shelf:
            found = []
            for mode in modes:
                if mode != "lexical" and shelf.embedder is None:
                    if mode == "dense":
                        raise StartupError("--mode dense: there is no embedder; declare one under embedders")
                    mode = "lexical"
                searcher = Searcher([in_mode(shelf, mode or "hybrid")])
                found.append((mode or "hybrid", await _measured(searcher, asked)))
            return found


@asynccontextmanager
async def _indexed(place: "Place", corpus: Path, folder: Path) -> "AsyncIterator[Shelf]":
    """The documents of a corpus as a store that can be searched."""
    from hector.apps.knowledge import embedder_of  # noqa: PLC0415 - loaded on first use
    from hector.cli.progress import Progress  # noqa: PLC0415
    from hector.config.documents import DocumentStore  # noqa: PLC0415
    from hector.config.searching import Search  # noqa: PLC0415
    from hector.rag import trial  # noqa: PLC0415
    from hector.rag.embedders import build  # noqa: PLC0415
    from hector.rag.questions import corpus as papers_of  # noqa: PLC0415
    from hector.rag.search_legs import Shelf  # noqa: PLC0415
    from hector.store.collection import Collection  # noqa: PLC0415

    papers = list(papers_of(corpus))
    name, section = embedder_of(DocumentStore(), place.config)
    embedder = None if section is None else build(section, name)
    try:
        async with await Collection.open(folder, "eval") as collection:
            with Progress("indexing") as bar:
                bar.begin("indexing", len(papers), "documents")
                await trial.index(collection, papers, trial.WHOLE, bar.advance)
            vectors = None
            if embedder is not None:
                with Progress("embedding") as bar:
                    bar.begin("embedding", (await collection.counts()).pending, "chunks")
                    vectors = await trial.embed(collection, trial.Counted(embedder, bar.advance))
            try:
                yield Shelf("eval", collection, Search(timeout=60.0), embedder, vectors)
            finally:
                if vectors is not None:
                    await vectors.aclose()
    finally:
        if embedder is not None:
            await embedder.aclose()


async def _measured(searcher: Any, asked: "Sequence[Asked]") -> "Figures":
    from hector.cli.progress import Progress  # noqa: PLC0415 - loaded on first use
    from hector.rag.measure import figures  # noqa: PLC0415
    from hector.rag.trial import ask  # noqa: PLC0415

    with Progress("asking") as bar:
        bar.begin("asking", len(asked), "questions")
        return figures(await ask(searcher, asked, bar.advance))


def page(figures: "Sequence[tuple[str, Figures]]", style: Style) -> list[str]:
    """A line per mode."""
    rows: list[tuple[str, ...]] = [("MODE", "QUESTIONS", "HIT RATE", "MRR", "NDCG@10", "RECALL@10", "P50", "P95")]
    for mode, one in figures:
        shares = (f"{value:.4f}" for value in (one.hit, one.mrr, one.ndcg, one.recall))
        rows.append((mode, f"{one.questions:,}", *shares, span(one.p50), span(one.p95)))
    title, *lines = columns(rows, right=range(1, 8))
    return [style(title, "dim"), *lines]
