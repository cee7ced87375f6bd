"""The flat index: exact, and right after whatever happens to its files or its process."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hector.core.retrieval import Embedding, VectorRow
from hector.rag import flat_scan
from hector.rag.errors import VectorStoreError, VectorStoreUnavailable
from hector.rag.flat import FlatIndex
from hector.store.collection import Collection
from tests.rag.shelves import DIMENSION, EMBEDDING, dot, drop, embed, near, put, vector

EMPTY = subprocess.DEVNULL


@pytest.fixture
async def docs(tmp_path: Path) -> AsyncIterator[Collection]:
    async with await Collection.open(tmp_path / "docs", "docs") as collection:
        yield collection


@pytest.fixture(params=[False, True], ids=["floats", "compressed"])
async def index(docs: Collection, request: pytest.FixtureRequest) -> AsyncIterator[FlatIndex]:
    index = FlatIndex(docs, compress=request.param)
    await index.open(EMBEDDING)
    yield index
    await index.aclose()


async def check(collection: Collection, index: FlatIndex) -> int:
    """Each chunk is found by the vector of its text, first and with a cosine of 1; nothing else is; how many."""
    found = await collection.lexical("text", 100_000)
    passages = await collection.passages([one.key for one in found])
    pending = {one.key for one in await collection.pending(100_000)}
    for key, passage in passages.items():
        answers = await index.search(vector(passage.text), 100)
        same = [one for one in answers if one.score > 0.99]
        keys = {one.key for one in same}
        assert key in keys or key in pending
        for other in keys & passages.keys():
            assert passages[other].text == passage.text
    return len(passages)


@pytest.mark.proves("vector.chromem")
async def test_the_nearest_are_found_in_order(docs: Collection, index: FlatIndex) -> None:
    await put(docs, "a", [f"text {n}" for n in range(300)])
    await embed(docs, index)
    wanted = vector("question")
    keys = [one.key for one in await docs.lexical("text", 1000)]
    passages = await docs.passages(keys)
    exact = sorted(((dot(vector(passages[key].text), wanted), key) for key in keys), reverse=True)
    found = await index.search(wanted, 10)
    if not index._compress:
        assert [one.key for one in found] == [key for _, key in exact[:10]]
    assert len({one.key for one in found} & {key for _, key in exact[:10]}) >= 9
    assert [one.score for one in found] == pytest.approx([score for score, _ in exact[:10]], abs=0.01)
    assert len(await index.search(wanted, 1000)) == 300
    assert await docs.pending(1) == []


@pytest.mark.parametrize("most", [1, 200])
async def test_codes_and_blocks_find_what_floats_do(
    docs: Collection, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    index = FlatIndex(docs)
    await index.open(EMBEDDING)
    rows = [VectorRow(n + 1, vector(n % 950), "") for n in range(1000)]  # some are the same
    await index.add(rows)
    await index.remove(list(range(5, 400, 7)))
    questions = [vector(f"q{n}") for n in range(10)]
    plain = [await index.search(one, most) for one in questions]
    for name, value in (("CODES_FROM", 1), ("_CACHE", 100 * DIMENSION), ("_MANY", 300)):
        monkeypatch.setattr(flat_scan, name, value)
        one_by_one = [await index.search(one, most) for one in questions]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(index.search(one, most)) for one in questions]
        for answers in (one_by_one, [task.result() for task in tasks]):
            for answer, expected in zip(answers, plain, strict=True):
                assert [one.score for one in answer] == pytest.approx([one.score for one in expected], abs=1e-6)
    await index.aclose()


@pytest.mark.proves("vector.filters")
async def test_filters_let_through_what_fits(docs: Collection, index: FlatIndex) -> None:
    for n in range(30):
        await put(docs, f"d{n}", [f"text {n}"], third=n % 3, tags=["x", "y"] if n < 2 else ["x"])
    await embed(docs, index)
    assert len(await index.search(vector("q"), 100, {"third": 1})) == 10
    assert sorted(await near(docs, index, "q", 100, {"tags": "y"})) == ["text 0", "text 1"]
    assert await near(docs, index, "q", 100, {"third": [0, 1], "tags": "y"}) != []
    assert await index.search(vector("q"), 100, {"third": 7}) == []


async def test_what_changes_is_found_as_it_is_now(docs: Collection, index: FlatIndex) -> None:
    await put(docs, "a", ["text one", "text two"])
    await embed(docs, index)
    await put(docs, "a", ["text three", "text two"])
    assert (await embed(docs, index), await drop(docs, index)) == (1, 1)
    assert await near(docs, index, "text three", 1) == ["text three"]
    assert sorted(await near(docs, index, "text one", 10)) == ["text three", "text two"]
    await index.add([VectorRow(key, vector("other"), "") for key in [one.key for one in await docs.lexical("two", 1)]])
    assert await near(docs, index, "other", 1) == ["text two"]
    assert len(await index.search(vector("x"), 10)) == 2


async def test_free_rows_are_used_again_and_files_are_put_together(docs: Collection, index: FlatIndex) -> None:
    await put(docs, "a", [f"text {n}" for n in range(100)])
    await put(docs, "b", [f"text {n}" for n in range(100, 150)])
    await embed(docs, index)
    await docs.remove(["a"])
    await drop(docs, index)
    await put(docs, "c", [f"text {n}" for n in range(150, 200)])
    await embed(docs, index)
    assert await check(docs, index) == 100
    sizes = [path.stat().st_size for path in docs.folder.glob("vectors-*.rows")]
    assert sizes == [150 * 16]
    await index.compact()
    assert await check(docs, index) == 100
    assert [path.stat().st_size for path in docs.folder.glob("vectors-*.rows")] == [100 * 16]
    await put(docs, "d", ["text 777"])
    await embed(docs, index)
    assert await near(docs, index, "text 777", 1) == ["text 777"]


async def test_it_is_as_it_was_when_it_is_opened_again(docs: Collection, index: FlatIndex) -> None:
    await put(docs, "a", [f"text {n}" for n in range(40)])
    await embed(docs, index)
    await index.aclose()
    again = FlatIndex(docs, compress=index._compress)
    await again.open(EMBEDDING)
    assert (await check(docs, again), await docs.pending(1)) == (40, [])
    with pytest.raises(VectorStoreError, match="holds vectors of test/random"):
        await again.open(Embedding("test", "other", DIMENSION))
    with pytest.raises(VectorStoreError, match="holds vectors of 16 numbers; this one has 4"):
        await again.search(vector("x", 4), 1)
    with pytest.raises(VectorStoreError, match="something else than numbers"):
        await again.add([VectorRow(1, b"\x00\x00\xc0\x7f" * DIMENSION, "")])
    await again.clear()
    assert await again.search(vector("x"), 10) == []
    await again.aclose()


@pytest.mark.proves("vector.compress")
async def test_compress_can_be_switched(docs: Collection) -> None:
    for compress in (False, True, False):
        index = FlatIndex(docs, compress=compress)
        await index.open(EMBEDDING)
        await put(docs, "a", [f"text {n}" for n in range(40)])
        await embed(docs, index)
        assert (await check(docs, index), await docs.pending(1)) == (40, [])
        endings = {path.suffix for path in docs.folder.glob("vectors-*")}
        assert endings == ({".i8", ".rows"} if compress else {".f32", ".i8", ".rows"})
        await index.aclose()


@pytest.mark.proves("vector.readers")
async def test_readers_elsewhere_see_what_is_written(docs: Collection, index: FlatIndex) -> None:
    async with await Collection.open(docs.folder) as other:
        reader = FlatIndex(other, compress=index._compress)
        await reader.open(EMBEDDING)
        assert await reader.search(vector("x"), 10) == []
        for turn in range(5):
            await put(docs, "a", [f"text {n}" for n in range(turn, 20 + turn)])
            await embed(docs, index)
            await drop(docs, index)
            if turn == 3:
                await index.compact()
            assert await check(other, reader) == 20
        with pytest.raises(VectorStoreError, match="holds vectors of"):
            await FlatIndex(other).open(Embedding("test", "other", DIMENSION))
        await docs.forget_vectors()
        await index.open(Embedding("test", "other", DIMENSION))
        await embed(docs, index)
        with pytest.raises(VectorStoreError, match="of another embedding by now: restart this process"):
            await reader.search(vector("x"), 10)
        await reader.aclose()


async def test_vectors_that_lay_elsewhere_are_made_here(docs: Collection) -> None:
    index = FlatIndex(docs)
    await index.open(EMBEDDING)
    await put(docs, "a", ["text 1"])
    await embed(docs, index)
    assert await docs.settle("a server")  # and back again
    await docs.embedded([(one.key, vector(one.text)) for one in await docs.pending(10)])
    again = FlatIndex(docs)
    await again.open(EMBEDDING)
    assert await again.search(vector("text 1"), 10) == []
    assert [one.text for one in await docs.pending(10)] == ["text 1"]
    await again.open(EMBEDDING)
    assert await embed(docs, again) == 1
    assert await check(docs, again) == 1
    await again.aclose()
    await index.aclose()


async def test_searching_while_rows_move_finds_nothing_wrong(docs: Collection, index: FlatIndex) -> None:
    await put(docs, "a", [f"text {n}" for n in range(200)])
    await embed(docs, index)
    stop = asyncio.Event()

    async def ask() -> int:
        count = 0
        while not stop.is_set():
            for n in (3, 77, 199):
                (best,) = await index.search(vector(f"text {n}"), 1)
                assert (await docs.passages([best.key]))[best.key].text == f"text {n}"
                count += 1
        return count

    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(ask()) for _ in range(4)]
        for turn in range(4):
            await put(docs, "b", [f"text {n}" for n in range(1000 + turn * 50, 1100 + turn * 50)])
            await drop(docs, index)
            await embed(docs, index)
            await index.compact()
        stop.set()
    assert sum(task.result() for task in asking) > 20


# Hard times


@pytest.mark.parametrize("ending", ["f32", "i8", "rows"])
async def test_files_that_were_cut_cost_vectors_and_nothing_else(docs: Collection, ending: str) -> None:
    index = FlatIndex(docs)
    await index.open(EMBEDDING)
    await put(docs, "a", [f"text {n}" for n in range(100)])
    await embed(docs, index)
    await index.aclose()
    (file,) = docs.folder.glob(f"vectors-*.{ending}")
    width = file.stat().st_size // 100
    file.write_bytes(file.read_bytes()[: 70 * width + 3])
    again = FlatIndex(docs)
    await again.open(EMBEDDING)
    assert len(await docs.pending(1000)) == 30
    assert len(await again.search(vector("x"), 1000)) == 70
    await embed(docs, again)
    assert len(await again.search(vector("x"), 1000)) == 100
    await again.aclose()
    file.unlink()
    again = FlatIndex(docs)
    await again.open(EMBEDDING)
    assert len(await docs.pending(1000)) == 100
    assert await embed(docs, again) == 100
    assert await check(docs, again) == 100
    await again.aclose()


@pytest.mark.proves("vector.damage")
async def test_rows_that_were_damaged_are_made_again(docs: Collection, index: FlatIndex) -> None:
    await put(docs, "a", [f"text {n}" for n in range(20)])
    await embed(docs, index)
    (file,) = docs.folder.glob("vectors-*.i8" if index._compress else "vectors-*.f32")
    width = file.stat().st_size // 20
    with file.open("r+b") as raw:
        raw.seek(5 * width + 8)
        raw.write(b"\x07\x07")
    assert len(await index.search(vector("text 5"), 20)) == 19
    assert [one.text for one in await docs.pending(5)] == ["text 5"]
    await embed(docs, index)
    assert await check(docs, index) == 20


async def test_a_full_disk_leaves_what_was_there(docs: Collection, index: FlatIndex) -> None:
    await put(docs, "a", [f"text {n}" for n in range(100)])
    await embed(docs, index)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (120 * 16, limits[1]))
    try:
        with pytest.raises(VectorStoreUnavailable):
            await index.add([VectorRow(n, vector(n), "") for n in range(1, 200)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert await check(docs, index) == 100
    await index.add([VectorRow(1, vector("new"), "")])
    assert (await index.search(vector("new"), 1))[0].key == 1


def run_until_killed(folder: Path, moment: str, passage: int, compress: bool) -> None:
    args = (str(folder), moment, str(passage), str(int(compress)))
    child = subprocess.run([sys.executable, "-m", "tests.rag.writer_of_vectors", *args], stdout=EMPTY, check=False)
    assert child.returncode == -signal.SIGKILL


MOMENTS = [
    ("flat.written", 1), ("flat.written", 9), ("flat.told", 1), ("flat.told", 12), ("flat.forgotten", 2),
    ("flat.staged", 1), ("flat.swapped", 1), ("flat.swapped", 2),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(("moment", "passage"), MOMENTS)
async def test_no_death_gives_a_chunk_another_ones_vector(
    tmp_path: Path, moment: str, passage: int, compress: bool
) -> None:
    folder = tmp_path / "docs"
    for _ in range(2):
        await asyncio.to_thread(run_until_killed, folder, moment, passage, compress)
        async with await Collection.open(folder) as docs:
            index = FlatIndex(docs, compress=compress)
            await index.open(EMBEDDING)
            await check(docs, index)
            await drop(docs, index)
            await embed(docs, index)
            assert await check(docs, index) > 0
            assert await docs.pending(1) == []
            await index.aclose()


@pytest.mark.proves("vector.death")
async def test_killed_in_the_midst_of_it(tmp_path: Path) -> None:
    """Without a chosen moment, and without a graceful end."""
    folder = tmp_path / "docs"
    await asyncio.to_thread(run_until_killed, folder, "flat.written", 3, False)
    assert os.listdir(folder)
    async with await Collection.open(folder) as docs:
        index = FlatIndex(docs)
        await index.open(EMBEDDING)
        await drop(docs, index)
        await embed(docs, index)
        assert await check(docs, index) > 0
        await index.aclose()
