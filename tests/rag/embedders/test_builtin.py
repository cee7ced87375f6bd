"""The embedder of the model within: its process starts late, dies well, rests, and lets questions go first."""

import array
import asyncio
import math
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hector.config.embedders import BuiltinEmbedder
from hector.core.errors import ConfigError
from hector.rag.embedders import build
from hector.rag.embedders.builtin import Builtin
from hector.rag.errors import EmbeddingError, EmbeddingUnavailable

DOCUMENTS = ["Retrieval finds passages that answer a question, and says where they stand. " * 20] * 64


def builtin(**settings: object) -> Builtin:
    made = build(BuiltinEmbedder.model_validate(settings))
    assert isinstance(made, Builtin)
    return made


@pytest.fixture
async def embedder() -> AsyncIterator[Builtin]:
    made = builtin()
    yield made
    await made.aclose()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + 60
    while not gone(pid) and time.monotonic() < end:
        time.sleep(0.02)


@pytest.mark.proves("rag.embedders.builtin")
async def test_it_starts_with_the_first_text_and_ends_with_its_owner(embedder: Builtin) -> None:
    described = await embedder.describe()
    assert (described.provider, described.model, described.dimension) == ("builtin", "all-MiniLM-L6-v2", 384)
    assert len(described.weights) == 64
    assert not embedder.processes
    near, same, far = await embedder.embed(
        ["a cat sleeps", "the cat is asleep", "stock prices fell \ud800"], "document"
    )
    (question,) = await embedder.embed(["a cat sleeps"], "query")
    assert await embedder.embed([], "document") == []
    assert cosine(near, question) == pytest.approx(1, abs=1e-5)
    assert cosine(near, same) > 0.7 > 0.3 > cosine(near, far)
    (process,) = embedder.processes
    await embedder.aclose()
    assert gone(process)


def cosine(one: bytes, other: bytes) -> float:
    first, second = array.array("f", one), array.array("f", other)
    assert math.hypot(*first) == pytest.approx(1, abs=1e-5)
    return sum(a * b for a, b in zip(first, second, strict=True))


@pytest.mark.proves("rag.embedders.builtin")
async def test_a_process_that_dies_is_started_again(embedder: Builtin) -> None:
    await embedder.embed(["warm"], "query")
    (first,) = embedder.processes
    async with asyncio.TaskGroup() as group:
        embedding = group.create_task(embedder.embed(DOCUMENTS[:4], "document"))
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
    assert len(embedding.result()) == 4
    assert embedder.processes != (first,)


@pytest.mark.proves("rag.embedders.builtin")
async def test_questions_do_not_wait_for_documents(embedder: Builtin) -> None:
    await embedder.embed(["warm"], "query")
    async with asyncio.TaskGroup() as group:
        documents = group.create_task(embedder.embed(DOCUMENTS, "document"))
        await asyncio.sleep(0)
        await embedder.embed(["a question"], "query")
        assert not documents.done()
        documents.cancel()


async def test_a_process_without_work_ends() -> None:
    embedder = builtin(idle=0.05)
    await embedder.embed(["x"], "query")
    (process,) = embedder.processes
    await asyncio.to_thread(wait_until_gone, process)
    await embedder.embed(["x"], "query")
    assert embedder.processes != (process,)
    await embedder.aclose()


async def test_a_batch_that_takes_too_long_is_given_up() -> None:
    embedder = builtin(timeout=0.2)
    with pytest.raises(EmbeddingUnavailable, match="64 texts took longer than"):
        await embedder.embed(DOCUMENTS, "document")
    assert embedder.processes == ()
    await embedder.aclose()


def environment_of(pid: int) -> bytes:
    path = Path(f"/proc/{pid}/environ")
    if not path.exists():
        pytest.skip("needs /proc")
    return path.read_bytes()


async def test_the_process_has_no_secrets(embedder: Builtin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    await embedder.embed(["x"], "query")
    assert b"sk-secret" not in environment_of(embedder.processes[0])


@pytest.mark.proves("rag.embedders.folder")
async def test_a_damaged_model_is_told_of(tmp_path: Path) -> None:
    for name, content in (
        ("model.safetensors", b"x" * 100),
        ("vocab.txt", b"[UNK]\n[CLS]\n[SEP]\n"),
        ("config.json", b'{"hidden_size": 4}'),
    ):
        (tmp_path / name).write_bytes(content)
    made = builtin(model_dir=str(tmp_path))
    with pytest.raises(EmbeddingError, match="config.json does not describe a BERT model"):
        await made.embed(["x"], "query")
    assert made.processes == ()
    await made.aclose()


@pytest.mark.proves("rag.embedders.folder")
def test_a_folder_that_is_not_there_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"embedders\.default: model_dir: .* is no folder"):
        builtin(model_dir=str(tmp_path / "none"))
