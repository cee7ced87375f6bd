"""The index follows its source: what changes, moves, vanishes, cannot be read, and what is done twice."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from hector.apps.knowledge import delete_folders, knowledge_of
from hector.config.load import parse_config
from hector.core.clock import FakeClock
from hector.core.errors import NotFound
from hector.core.retrieval import Item
from hector.rag.ingest_progress import Tally, progress_of
from hector.rag.ingest_scan import Thoroughness, must_read, next_try
from hector.rag.shelving import Library
from hector.store.collection_rows import Counts, Known
from hector.tools.catalog import Catalog
from tests.httpserver import HttpServer, Request, write_whole
from tests.rag.ingest.world import (
    asked,
    configuration,
    embedding_server,
    found,
    in_trouble,
    knowledge,
    once,
    openai,
    soon,
    until,
    write,
)

NO: Any = {"embedder": "none"}


@pytest.mark.proves("rag.incremental")
async def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples", pear="about pears")
    first = await once(tmp_path, **NO)
    assert (first.read, first.unchanged, first.documents) == (2, 0, 2)
    write(tmp_path, pear="about pears and plums, which are new")
    second = await once(tmp_path, **NO)
    assert (second.read, second.unchanged) == (1, 1)
    assert await asked(tmp_path, "plums", **NO) == ["pear.txt"]


@pytest.mark.proves("rag.incremental")
async def test_a_file_with_a_new_time_and_the_same_text_is_not_cut_again(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples")
    await once(tmp_path, **NO)
    os.utime(tmp_path / "docs" / "apple.txt", (1, 1))
    again = await once(tmp_path, **NO)
    assert (again.read, again.unchanged) == (0, 1)


class Bucket:
    """Objects in the manner of S3; `peak` is how many were asked for at once."""

    def __init__(self) -> None:
        self.open = self.peak = 0
        self.server = HttpServer(self._answer)

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        names = [f"{number}.txt" for number in range(5)]
        if "list-type" in request.query:
            rows = "".join(f"<Contents><Key>{one}</Key><Size>5</Size><ETag>e</ETag></Contents>" for one in names)
            write_whole(writer, 200, f"<ListBucketResult>{rows}</ListBucketResult>".encode(), {})
            return True
        self.open += 1
        self.peak = max(self.peak, self.open)
        await asyncio.sleep(0.03)  # so that another one may come
        self.open -= 1
        write_whole(writer, 200, b"words", {})
        return True


@pytest.mark.parametrize("bound", [1, 2])
async def test_no_more_documents_are_fetched_at_once_than_the_store_says(tmp_path: Path, bound: int) -> None:
    bucket = Bucket()
    async with bucket.server as server:
        blob = {"url": "s3://docs", "endpoint": server.url, "anonymous": True}
        done = await once(tmp_path, **NO, source={"type": "blob", "blob": blob}, indexing={"max_concurrent": bound})
    assert (done.documents, bucket.peak) == (5, bound)


async def test_a_store_names_where_its_vectors_are(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples")
    text = json.loads(configuration(tmp_path, **NO, vector_store="second", collection="own"))
    text["vector_stores"] = {name: {"persist_path": str(tmp_path / name)} for name in ("default", "second")}
    known = knowledge_of(parse_config(json.dumps(text), "hector.json", {}).config, Catalog(()))
    await (await known.store("docs").keeper()).once()
    await known.aclose()
    assert (tmp_path / "second" / "default" / "own" / "index.db").exists()
    assert not (tmp_path / "default").exists()


async def test_without_incremental_indexing_everything_is_compared(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples")
    path = tmp_path / "docs" / "apple.txt"
    await once(tmp_path, **NO, incremental_indexing=False)
    again = await once(tmp_path, **NO, incremental_indexing=False)
    assert (again.read, again.unchanged) == (0, 1)
    assert path.exists()


@pytest.mark.proves("rag.incremental")
async def test_what_vanished_is_found_no_more_and_what_shrank_leaves_no_tail(tmp_path: Path) -> None:
    long = "\n".join(f"line {number} of a long text about zebra{number}" for number in range(60))
    write(tmp_path, long=long, other="about kiwis")
    await once(tmp_path, **NO)
    assert await asked(tmp_path, "zebra59", **NO) == ["long.txt"]
    write(tmp_path, long="line 0 of a short text about zebra0")
    (tmp_path / "docs" / "other.txt").unlink()
    after = await once(tmp_path, **NO)
    assert (after.removed, after.documents, after.chunks) == (1, 1, 1)
    assert await asked(tmp_path, "zebra59", **NO) == []
    assert await asked(tmp_path, "kiwis", **NO) == []


async def test_nothing_is_embedded_twice(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples", pear="about pears")
    with embedding_server() as server:
        with_vectors = openai(server)
        first = await once(tmp_path, **with_vectors)
        assert first.pending == 0
        os.rename(tmp_path / "docs" / "apple.txt", tmp_path / "docs" / "moved.txt")
        write(tmp_path, copy="about pears")
        await once(tmp_path, **with_vectors)
        assert set(server.texts.values()) == {1}, server.texts
        assert "moved.txt" in await asked(tmp_path, "apples, or pears", **with_vectors)


async def test_force_makes_everything_anew(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples")
    with embedding_server() as server:
        await once(tmp_path, **openai(server))
        forced = await once(tmp_path, **openai(server), force=True)
        assert (forced.read, forced.pending) == (1, 0)
        assert server.texts["about apples"] == 2


async def test_another_embedder_makes_all_vectors_anew(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples", pear="about pears")
    with embedding_server() as server:
        await once(tmp_path, **openai(server))
        changed = await once(tmp_path, **openai(server, model="other"))
        assert (changed.read, changed.pending) == (0, 0)
        assert set(server.texts.values()) == {2}


async def test_other_chunks_take_the_place_of_the_old_ones(tmp_path: Path) -> None:
    write(tmp_path, apple="\n".join(f"line {number} about apples" for number in range(100)))
    before = await once(tmp_path, **NO)
    cut = {"strategy": "simple", "size": 1000, "min_size": 0}
    after = await once(tmp_path, **NO, chunking=cut)
    assert after.read == 1
    assert after.chunks < before.chunks


async def test_words_are_found_while_vectors_cannot_be_made(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples")
    with embedding_server() as server:
        server.down = True
        settings = openai(server, retry={"max_attempts": 1})
        known, library = knowledge(tmp_path, **settings), Library()
        known.bind(library)
        library.start()
        keeper = await known.store("docs").keeper()
        await in_trouble(keeper)
        await soon(known, "apples", ["apple.txt"])
        server.down = False
        progress = await until(keeper, "ready")
        assert (progress.trouble, progress.percent) == ("", 100.0)
        await known.aclose()
        await library.aclose()


async def test_a_document_that_cannot_be_read_any_more_is_found_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples", pear="about pears")
    await once(tmp_path, **NO)
    (tmp_path / "docs" / "apple.txt").write_bytes(b"\x00\x01\x02\x03" * 1000)
    after = await once(tmp_path, **NO)
    assert after.failed == 1
    known = knowledge(tmp_path, **NO)
    (failure,) = await known.failures("docs")
    assert (failure.id, failure.stale) == ("apple.txt", True)
    assert failure.reason
    assert await found(known, "apples") == ["apple.txt"]
    await known.aclose()
    write(tmp_path, apple="about apples and cherries")
    assert (await once(tmp_path, **NO)).failed == 0


async def test_a_source_that_is_not_there_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples")
    await once(tmp_path, **NO)
    os.rename(tmp_path / "docs", tmp_path / "away")
    known = knowledge(tmp_path, **NO)
    keeper = await known.store("docs").keeper()
    with pytest.raises(Exception, match="cannot be opened"):
        await keeper.once()
    assert await found(known, "apples") == ["apple.txt"]
    await known.aclose()


@pytest.mark.proves("rag.watch")
async def test_changes_are_taken_in_as_they_happen(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples")
    known, library = knowledge(tmp_path, **NO, watch=True), Library()
    known.bind(library)
    library.start()
    await until(await known.store("docs").keeper(), "ready", scans=1)

    write(tmp_path, plum="about plums")
    await soon(known, "plums", ["plum.txt"])
    os.rename(tmp_path / "docs" / "plum.txt", tmp_path / "docs" / "prune.txt")
    await soon(known, "plums", ["prune.txt"])
    (tmp_path / "docs" / "prune.txt").unlink()
    await soon(known, "plums", [])
    (tmp_path / "docs" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "docs" / "deep" / "er" / "fig.txt").write_text("about figs", encoding="utf-8")
    await soon(known, "figs", ["deep/er/fig.txt"])
    await known.aclose()
    await library.aclose()


async def test_of_two_processes_one_indexes_and_the_other_takes_over(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples")
    ours, theirs = Library(), Library()
    one, other = knowledge(tmp_path, **NO), knowledge(tmp_path, **NO)
    one.bind(ours)
    other.bind(theirs)
    ours.start()
    await until(await one.store("docs").keeper(), "ready")
    theirs.start()
    assert not (await other.store("docs").opened()).collection.leads
    assert await found(other, "apples") == ["apple.txt"]
    write(tmp_path, pear="about pears")
    await other.store("docs").ask()
    await soon(other, "pears", ["pear.txt"])
    await one.aclose()
    await ours.aclose()
    write(tmp_path, plum="about plums")
    await soon(other, "plums", ["plum.txt"])
    await other.aclose()
    await theirs.aclose()


async def test_stores_that_stay_the_same_go_on_when_an_app_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples")
    library = Library()
    library.start()
    before, after = knowledge(tmp_path, **NO), knowledge(tmp_path, **NO)
    before.bind(library)
    running = before.store("docs")
    after.bind(library)
    await before.aclose()
    assert after.store("docs") is running
    assert await found(after, "nothing") == []
    await after.aclose()
    await library.aclose()


@pytest.mark.proves("tenant.vectors")
async def test_a_store_of_another_app_does_not_exist(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples")
    known = knowledge(tmp_path, **NO)
    with pytest.raises(NotFound):
        known.retriever(["docs-of-others"])
    await known.aclose()


async def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    write(tmp_path, apple="about apples")
    await once(tmp_path, **NO)
    (tmp_path / "vectors" / "default" / "docs" / "index.db").write_bytes(b"garbage" * 5000)
    for beside in ("index.db-wal", "index.db-shm"):
        (tmp_path / "vectors" / "default" / "docs" / beside).unlink(missing_ok=True)
    again = await once(tmp_path, **NO)
    assert (again.read, again.documents) == (1, 1)


ITEM = Item("a", "a.txt", "2")
GOOD = Known("a", "2", "r:x", failed=False, reason="", attempts=0, retry_at=None, chunks=1)
BAD = Known("a", "2", "", failed=True, reason="?", attempts=1, retry_at=100.0, chunks=0)


@pytest.mark.parametrize(
    ("known", "how", "now", "expected"),
    [
        (None, Thoroughness(), 0, True),
        (GOOD, Thoroughness(), 0, False),
        (GOOD, Thoroughness(all=True), 0, True),
        (GOOD, Thoroughness(anew=True), 0, True),
        (Known("a", "1", "r:x", False, "", 0, None, 1), Thoroughness(), 0, True),
        (Known("a", "2", "other:x", False, "", 0, None, 1), Thoroughness(), 0, True),
        (BAD, Thoroughness(), 99, False),
        (BAD, Thoroughness(), 100, True),
        (BAD, Thoroughness(failed=True), 0, True),
        (Known("a", "2", "", True, "?", 1, None, 0), Thoroughness(), 1e12, False),
    ],
)
def test_what_has_to_be_read(known: Known | None, how: Thoroughness, now: float, expected: bool) -> None:
    assert must_read(ITEM, known, "r", how, now) is expected


class Patience:
    max_retries, base_delay, max_delay, jitter = 3, 1.0, 30.0, 0.1


def test_what_failed_is_tried_again_ever_later() -> None:
    now = FakeClock(0.0).now()
    waits = [next_try(Patience(), attempts, now, 0.5) for attempts in (1, 2, 3, 4)]
    assert waits == [1.0, 2.0, 4.0, 3600.0]


@pytest.mark.proves("tenant.vectors")
async def test_apps_have_folders_of_their_own_which_go_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, apple="about apples")
    text = json.loads(configuration(tmp_path, **NO)) | {"vector_stores": {}}
    config = parse_config(json.dumps(text), "hector.json", {}).config
    folders = []
    for app in ("default", "red", "blue"):
        known = knowledge_of(config, Catalog(()), app)
        await (await known.store("docs").keeper()).once()
        folders.append(known.plans["docs"].folder)
        await known.aclose()
    assert folders == [tmp_path / ".hector" / "vectors" / app / "docs" for app in ("default", "red", "blue")]
    for app in ("red", "default", ".", "../..", ""):
        delete_folders(app)
    assert [folder.exists() for folder in folders] == [True, False, True]


def test_shares_of_what_is_not_there_are_not_known() -> None:
    empty = progress_of("docs", Tally(scanned=1.0), Counts(0, 0, 0, 0), 2.0, "within")
    assert (empty.percent, empty.read_percent, empty.vectors_percent) == (100.0, 100.0, None)
