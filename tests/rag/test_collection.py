"""An index.db: documents in, words and passages out, and what becomes of it in hard times."""

import asyncio
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hector.core.errors import StartupError, StoreError, StoreUnavailable
from hector.core.retrieval import Embedding
from hector.store.collection import Collection, OtherEmbedding
from hector.store.collection_file import IndexDamaged
from hector.store.collection_rows import Counts, Stored
from tests.rag.shelves import item, put, texts, vector


@pytest.fixture
async def docs(tmp_path: Path) -> AsyncIterator[Collection]:
    async with await Collection.open(tmp_path / "app" / "docs", "docs") as collection:
        yield collection


@pytest.mark.proves("rag.words")
async def test_a_document_is_found_by_its_words_at_once(docs: Collection) -> None:
    await put(docs, "a", ["The pump was running dry.", "Nothing of interest."], title="Manual", lang="en")
    (found,) = await docs.lexical("Do the pumps run?", 10)
    passage = (await docs.passages([found.key]))[found.key]
    assert (passage.store, passage.document, passage.title, passage.number) == ("docs", "a", "Manual", 0)
    assert (passage.uri, passage.place.first_line, passage.metadata) == ("file:///a.txt", 1, {"lang": "en"})
    assert found.score > 0
    assert await docs.counts() == Counts(documents=1, failed=0, chunks=2, pending=2)


@pytest.mark.proves("rag.words")
async def test_a_shrunken_document_leaves_no_tail(docs: Collection) -> None:
    await put(docs, "a", ["alpha", "beta", "gamma"])
    assert await put(docs, "a", ["alpha"]) == Stored(added=0, kept=1, removed=2)
    assert await texts(docs, "gamma beta") == []
    assert len(await docs.removals(10)) == 2


async def test_what_stays_keeps_its_vector(docs: Collection) -> None:
    await put(docs, "a", ["alpha", "beta", "same", "same"])
    before = {one.text: one.key for one in await docs.pending(10)}
    await docs.embedded([(one.key, vector(one.text)) for one in await docs.pending(10)])
    assert await put(docs, "a", ["new", "same", "beta", "same", "alpha"]) == Stored(added=1, kept=4, removed=0)
    assert [one.text for one in await docs.pending(10)] == ["new"]
    found = await docs.passages(list(before.values()))
    assert {found[key].text for key in before.values()} == {"alpha", "beta", "same"}
    assert found[before["alpha"]].number == 4


async def test_a_new_title_is_found_and_the_old_one_is_not(docs: Collection) -> None:
    await put(docs, "a", ["text"], title="Zebras")
    assert await put(docs, "a", ["text"], title="Giraffes") == Stored(added=0, kept=1, removed=0)
    assert await texts(docs, "zebra") == []
    assert await texts(docs, "giraffe") == ["text"]


async def test_vectors_of_the_same_text_are_remembered(docs: Collection) -> None:
    await put(docs, "old", ["moved text"])
    await docs.embedded([(one.key, vector(one.text)) for one in await docs.pending(10)])
    await docs.remove(["old"])
    await put(docs, "new", ["moved text"])
    assert [one.vector for one in await docs.pending(10)] == [vector("moved text")]


async def test_what_was_not_seen_goes(docs: Collection) -> None:
    for name in "abc":
        await put(docs, name, [f"text {name}"], scan=1)
    await docs.touch(["a"], 2)
    await docs.refresh(item("b", "2"), 2)
    assert await docs.unseen(2) == 1
    assert await docs.sweep(2) == 1
    known = await docs.known(["a", "b", "c"])
    assert sorted(known) == ["a", "b"]
    assert known["b"].fingerprint == "2"


async def test_a_document_that_cannot_be_read_is_kept_with_its_reason(docs: Collection) -> None:
    await put(docs, "a", ["was readable"])
    await docs.fail(item("a", "2"), "a password is needed", retry_at=50.0)
    await docs.fail(item("a", "2"), "a password is needed", retry_at=100.0)
    (failure,) = await docs.failures()
    assert (failure.id, failure.reason, failure.attempts) == ("a", "a password is needed", 2)
    assert await texts(docs, "readable") == []
    assert (await docs.due(99.0), await docs.due(100.0), await docs.next_due()) == ([], ["a"], 100.0)
    await put(docs, "a", ["readable again"])
    assert (await docs.failures(), await docs.counts()) == ([], Counts(1, 0, 1, 1))


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"lang": "en"}, {"a", "b"}),
        ({"lang": ["de", "fr"]}, {"c"}),
        ({"lang": "en", "year": 2024}, {"b"}),
        ({"year": 2024.0}, {"b", "c"}),
        ({"public": True}, {"a"}),
        ({"tags": "red"}, {"a", "c"}),
        ({"tags": []}, set()),
        ({"nothing": "x"}, set()),
        ({"lang": "' OR 1=1 --"}, set()),
    ],
)
async def test_filters(docs: Collection, where: dict[str, object], found: set[str]) -> None:
    await put(docs, "a", ["word a"], lang="en", year=2023, public=True, tags=["red", "blue"])
    await put(docs, "b", ["word b"], lang="en", year=2024, public=1)
    await put(docs, "c", ["word c"], lang="de", year=2024, tags=("red",))
    assert {text.removeprefix("word ") for text in await texts(docs, "word", where=where)} == found


@pytest.mark.parametrize(
    "query", ['"', 'alpha" OR "', "alpha AND (", "NEAR(alpha, 2)", "terms : alpha", "alpha*", "-alpha", "^alpha + '"]
)
async def test_a_question_is_text_and_no_syntax(docs: Collection, query: str) -> None:
    await put(docs, "a", ["alpha"])
    await put(docs, "b", ["beta"])
    assert await texts(docs, query) == (["alpha"] if "alpha" in query else [])


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("水泵在夜间停止运转", "水泵"),
        ("ポンプが止まりました", "ポンプは?"),
        ("Überdruckventile öffnen", "uberdruckventile"),
        ("Ｆｕｌｌ ｗｉｄｔｈ", "full"),
        ("running pumps", "RUNS"),
        ("naïve café", "cafe"),
    ],
)
async def test_words_of_many_scripts_are_found(docs: Collection, text: str, query: str) -> None:
    await put(docs, "a", [text])
    await put(docs, "b", ["something else 其他 別の"])
    assert await texts(docs, query) == [text]


async def test_words_at_the_end_of_a_very_long_chunk_are_found(docs: Collection) -> None:
    await put(docs, "a", ["filling " * 20_000 + "needle"])
    assert len(await docs.lexical("needle", 10)) == 1
    await docs.remove(["a"])
    assert await docs.lexical("needle filling", 10) == []


async def test_text_that_is_no_unicode_is_stored_all_the_same(docs: Collection) -> None:
    bad = "bad\udcff\0name"
    await put(docs, bad, ["half \ud800 and nul \0 word"], title="\udfff", key="\ud800")
    assert list(await docs.known([bad])) == [bad]
    assert len(await docs.lexical("word", 10)) == 1
    assert await docs.remove([bad]) == 1


async def test_embeddings_are_never_mixed(docs: Collection) -> None:
    one, other = Embedding("openai", "small", 4, "x"), Embedding("openai", "large", 8, "y")
    await docs.adopt(one)
    await docs.adopt(one)
    with pytest.raises(OtherEmbedding, match=r"holds vectors of openai/small \(4 dimensions\), not of openai/large"):
        await docs.adopt(other)
    await put(docs, "a", ["text"])
    await docs.embedded([(one.key, vector("x")) for one in await docs.pending(1)])
    await docs.forget_vectors()
    await docs.adopt(other)
    assert [one.vector for one in await docs.pending(5)] == [None]


async def test_all_of_it_can_be_forgotten(docs: Collection) -> None:
    await put(docs, "a", ["alpha"], lang="en")
    first = (await docs.pending(1))[0].key
    await docs.clear()
    assert await docs.counts() == Counts(0, 0, 0, 0)
    assert await texts(docs, "alpha") == []
    await put(docs, "a", ["alpha"])
    assert (await docs.pending(1))[0].key > first  # no key ever means two things


async def test_reading_does_not_wait_for_writing(docs: Collection) -> None:
    await put(docs, "a", ["alpha"])
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        writing = [group.create_task(put(docs, f"d{n}", [f"beta {n}"] * 20)) for n in range(40)]
        assert await texts(docs, "alpha") == ["alpha"]
        assert not all(task.done() for task in writing)


# Other processes


async def test_one_process_writes_and_all_read(tmp_path: Path) -> None:
    async with await Collection.open(tmp_path / "docs") as first, await Collection.open(tmp_path / "docs") as second:
        assert (first.leads, second.leads, first.fresh, second.fresh) == (True, False, True, False)
        await put(first, "a", ["alpha"])
        assert await texts(second, "alpha") == ["alpha"]
        with pytest.raises(StoreUnavailable, match="another process of Hector writes it"):
            await put(second, "b", ["beta"])
        assert not second.lead()
        await first.aclose()
        assert second.lead()
        await put(second, "b", ["beta"])


WRITE = """
import asyncio, sys
from pathlib import Path
from hector.store.collection import Collection
from tests.rag.shelves import put
async def main():
    collection = await Collection.open(Path(sys.argv[1]))
    n = 0
    while True:
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                n += 1
                group.create_task(put(collection, f"d{n}", [f"alpha {n}", f"beta {n}"]))
        print(n, flush=True)
asyncio.run(main())
"""


def killed_at(folder: Path, most: int) -> int:
    """Let a process write until it says that so many documents are stored, then kill it; how many it said."""
    child = subprocess.Popen([sys.executable, "-c", WRITE, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = 0
    for line in child.stdout:
        said = int(line)
        if said >= most:
            break
    child.kill()
    child.wait()
    child.stdout.close()
    return said


async def test_killed_while_it_writes_nothing_is_half_there(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    said = await asyncio.to_thread(killed_at, folder, 30)
    async with await Collection.open(folder) as docs:
        counts = await docs.counts()
        assert counts.documents >= said
        assert counts.chunks == 2 * counts.documents == counts.pending
        assert len(await docs.lexical("alpha", 10_000)) == counts.documents
        assert docs.leads


# Hard times


async def test_a_damaged_index_says_what_to_do_and_can_be_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "index.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(IndexDamaged, match=r"is damaged .*: index again with --force, or delete "):
        await Collection.open(folder)
    await Collection.delete(folder)
    async with await Collection.open(folder) as docs:
        await put(docs, "a", ["alpha"])


async def test_a_cut_index_is_told_from_a_good_one(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    async with await Collection.open(folder) as docs:
        await put(docs, "a", [f"alpha {n} " * 50 for n in range(100)])
    file = folder / "index.db"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 3 // 4096 * 4096])
    with pytest.raises(IndexDamaged):
        async with await Collection.open(folder) as docs:
            await put(docs, "a", ["beta"])


async def test_a_folder_deleted_under_it_is_noticed(docs: Collection) -> None:
    await put(docs, "a", ["alpha"])
    shutil.rmtree(docs.folder)
    with pytest.raises(StoreUnavailable, match=r"index .* moved or deleted"):
        await put(docs, "b", ["beta"])


async def test_an_older_format_is_made_anew_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    async with await Collection.open(folder) as docs:
        await put(docs, "a", ["alpha"])
    for version in (-1, 99):
        raw = sqlite3.connect(folder / "index.db")
        raw.execute(f"PRAGMA user_version = {version}")
        raw.commit()
        raw.close()
        if version < 0:
            async with await Collection.open(folder) as docs:
                assert (docs.fresh, await docs.counts()) == (True, Counts(0, 0, 0, 0))
        else:
            with pytest.raises(StoreError, match="has format 99, made by a newer Hector"):
                await Collection.open(folder)


async def test_a_full_disk_leaves_what_was_there(docs: Collection) -> None:
    await put(docs, "a", ["alpha"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
    try:
        with pytest.raises(StoreUnavailable, match="index .* disk"):
            await put(docs, "b", [f"beta {n} " * 100 for n in range(300)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert await docs.counts() == Counts(1, 0, 1, 1)
    await put(docs, "b", ["beta"])
    assert await texts(docs, "beta") == ["beta"]


async def test_a_folder_without_leave_to_write_is_told_of_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "index.db.lock").mkdir()
    with pytest.raises(StartupError, match=r"index .*: Is a directory\. .*persist_path"):
        await Collection.open(tmp_path, "docs")


@pytest.mark.proves("rag.index.readonly")
async def test_a_folder_that_may_not_be_written_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "docs"
    async with await Collection.open(folder, "docs") as writer:
        await put(writer, "a", ["alpha"])
    here = sorted(path.name for path in folder.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr("hector.store.collection_file.is_readonly", lambda _: True)
        alone = await Collection.open(folder, "docs")
    assert (alone.leads, alone.lead(), alone.file.is_readonly) == (False, False, True)
    assert await texts(alone, "alpha") == ["alpha"]
    assert sorted(path.name for path in folder.iterdir()) == here

    async with await Collection.open(folder, "docs") as writer:
        await put(writer, "b", ["beta"])
        with pytest.raises(StoreUnavailable, match="start it again"):
            await texts(alone, "alpha")
        with monkeypatch.context() as patch:
            patch.setattr("hector.store.collection_file.is_readonly", lambda _: True)
            beside = await Collection.open(folder, "docs", lead=False)
        assert await texts(beside, "beta") == ["beta"]
        await put(writer, "c", ["gamma"])
        assert await texts(beside, "gamma") == ["gamma"]
        await beside.aclose()
    await alone.aclose()
