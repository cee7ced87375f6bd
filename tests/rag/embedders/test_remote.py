"""Embedding services: what they are sent, and what becomes of their answers."""

import array
import json
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from hector.config.egress import Egress
from hector.config.embedders import Embedder as Section
from hector.core.errors import ConfigError
from hector.core.retrieval import Embedder
from hector.net.gate import governed
from hector.rag.embedders import build
from hector.rag.embedders.answers import LARGE, check_vectors, parse
from hector.rag.errors import EmbeddingError, EmbeddingUnavailable
from tests.models.fakeprovider import BAD_KEY, FakeProvider, Turn, fake_provider
from tests.models.fakeprovider.embeddings import DIMENSION, unit

PROVIDERS = ("openai", "ollama", "cohere", "gemini")
TEXTS = ["the red fox", "a blue whale", "Überraschung \ud800 本"]


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as found:
        yield found


def embedder(fake: FakeProvider, provider: str, **settings: Any) -> Embedder:
    block = {
        "provider": provider, "base_url": fake.url, "api_key": "k-secret-123", "dimension": DIMENSION,
        "retry": {"initial_delay": 0.01}, "model": "custom", **settings,
    }  # fmt: skip
    return build(
        TypeAdapter(Section).validate_python({key: value for key, value in block.items() if value is not None})
    )


def numbers(vector: bytes) -> list[float]:
    return list(array.array("f", vector))


@pytest.mark.proves("rag.embedders.remote")
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_each_service_gives_vectors_in_order(fake: FakeProvider, provider: str) -> None:
    made = embedder(fake, provider, dimension=None)
    found = await made.embed(TEXTS, "document")
    described = await made.describe()
    await made.aclose()
    assert (described.provider, described.model, described.dimension) == (provider, "custom", DIMENSION)
    for text, vector in zip(TEXTS, found, strict=True):
        assert numbers(vector) == pytest.approx(unit(text.replace("\ud800", "?")), abs=1e-6)
    assert not fake.refusals


async def test_an_unknown_dimension_is_asked_for_once(fake: FakeProvider) -> None:
    made = embedder(fake, "openai", dimension=None)
    assert [(await made.describe()).dimension for _ in range(2)] == [DIMENSION] * 2
    await made.aclose()
    assert len(fake.seen) == 1


async def test_what_is_known_is_not_asked_for(fake: FakeProvider) -> None:
    made = embedder(fake, "openai", dimension=None, model="text-embedding-3-large")
    assert (await made.describe()).dimension == 3072
    assert not fake.seen


async def test_questions_are_told_from_documents(fake: FakeProvider) -> None:
    for provider in ("cohere", "gemini"):
        made = embedder(fake, provider)
        await made.embed(["x"], "query")
        await made.embed(["x"], "document")
        await made.aclose()
    cohere, gemini = fake.seen[:2], fake.seen[2:]
    assert [seen.body["input_type"] for seen in cohere] == ["search_query", "search_document"]
    tasks = [seen.body["requests"][0]["taskType"] for seen in gemini]
    assert tasks == ["RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT"]


async def test_prefixes_are_put_before_texts(fake: FakeProvider) -> None:
    made = embedder(fake, "ollama", query_prefix="search_query: ", document_prefix="search_document: ")
    await made.embed(["x"], "query")
    await made.embed(["x"], "document")
    described = await made.describe()
    await made.aclose()
    assert [seen.body["input"] for seen in fake.seen] == [["search_query: x"], ["search_document: x"]]
    assert described.weights


@pytest.mark.parametrize(
    ("provider", "settings", "sent"),
    [
        ("openai", {"encoding_format": "base64", "user": "u-1"}, {"encoding_format": "base64", "user": "u-1"}),
        ("openai", {"model": "text-embedding-3-small", "dimension": 256}, {"dimensions": 256}),
        ("openai", {"model": "bge-m3", "dimension": None, "output_dimension": 64}, {"dimensions": 64}),
        ("ollama", {"dimension": None, "output_dimension": 64, "keep_alive": "1h"}, {"keep_alive": "1h"}),
        ("ollama", {"dimension": None, "output_dimension": 64}, {"dimensions": 64, "truncate": True}),
        ("cohere", {"dimension": None, "output_dimension": 512}, {"output_dimension": 512, "truncate": "END"}),
        ("cohere", {"truncate": "START"}, {"truncate": "START", "embedding_types": ["float"]}),
        ("cohere", {"input_type": "clustering"}, {"input_type": "clustering"}),
    ],
)  # fmt: skip
async def test_settings_are_sent(fake: FakeProvider, provider: str, settings: dict[str, Any], sent: Any) -> None:
    made = embedder(fake, provider, **settings)
    (vector,) = await made.embed(["x"], "query")
    assert len(vector) == 4 * (await made.describe()).dimension
    await made.aclose()
    assert fake.seen[0].body.items() >= sent.items()
    assert not fake.refusals


async def test_calls_are_bounded_by_count_and_by_size(fake: FakeProvider) -> None:
    made = embedder(fake, "openai", batch_size=2)
    await made.embed(["a", "b", "c"], "document")
    await made.embed(["d" * 150_000, "e" * 100_000], "document")
    await made.aclose()
    assert [len(seen.body["input"]) for seen in fake.seen] == [2, 1, 1, 1]


async def test_a_call_that_is_too_much_is_divided(fake: FakeProvider) -> None:
    fake.script(Turn(status=400, message="Requested 300001 tokens, max 300000 tokens per request"))
    made = embedder(fake, "openai")
    found = await made.embed(["a", "b", "c"], "document")
    await made.aclose()
    assert [len(seen.body["input"]) for seen in fake.seen] == [3, 1, 2]
    assert numbers(found[2]) == pytest.approx(unit("c"), abs=1e-6)


@pytest.mark.proves("rag.embedders.remote")
@pytest.mark.parametrize("turn", [Turn(status=429, headers={"retry-after": "0"}), Turn(status=503), Turn(hang_up=True)])
async def test_what_may_pass_is_tried_again(fake: FakeProvider, turn: Turn) -> None:
    fake.script(turn)
    made = embedder(fake, "openai")
    assert len(await made.embed(["a"], "query")) == 1
    await made.aclose()
    assert len(fake.seen) == 2


def test_a_large_answer_is_read_as_a_small_one() -> None:
    numbers = [[0.5 + at, -1, 2.5e-3] * 500 for at in range(40)]
    rows = [{"index": at, "embedding": one, "note": None} for at, one in enumerate(numbers)]
    for answer in ({"data": rows}, {"data": rows, "note": 'vectors like [1, 2] or {"vector apart": 0}'}):
        data = json.dumps(answer).encode()
        assert len(data) > LARGE
        found = parse(data)
        assert [list(row.pop("embedding")) for row in found["data"]] == numbers
        assert found == answer | {"data": [{"index": at, "note": None} for at in range(len(rows))]}
    odd = parse(b'{"data": [[1, null], [1e999], [%s]]}' % b",".join([b"1" * 400] * (LARGE // 400)))
    assert odd["data"][0] == [1, None]
    for vector in odd["data"]:
        with pytest.raises(EmbeddingError, match="something else than numbers|no finite number"):
            check_vectors("it", [vector], 1, len(vector))
    with pytest.raises(ValueError, match="Expecting"):
        parse(b'{"data":' + b"[1, 2]," * LARGE)


async def test_it_gives_up_in_the_end(fake: FakeProvider) -> None:
    fake.default = Turn(status=503, message="overloaded")
    made = embedder(fake, "cohere", retry={"max_attempts": 3, "initial_delay": 0.01})
    with pytest.raises(EmbeddingUnavailable, match=r"custom at 127.*HTTP 503: overloaded \(gave up after 3 tries\)"):
        await made.embed(["a"], "query")
    await made.aclose()
    assert len(fake.seen) == 3


async def test_nobody_there_is_retryable() -> None:
    async with fake_provider() as gone:
        pass
    made = embedder(gone, "ollama", retry={"max_attempts": 1})
    with pytest.raises(EmbeddingUnavailable) as error:
        await made.embed(["a"], "query")
    await made.aclose()
    assert error.value.retryable


async def test_a_key_that_is_refused_is_not_shown(fake: FakeProvider) -> None:
    made = embedder(fake, "openai", api_key=BAD_KEY)
    with pytest.raises(EmbeddingError, match="401.*check the api_key") as error:
        await made.embed(["a"], "query")
    await made.aclose()
    assert BAD_KEY not in str(error.value)
    assert not error.value.retryable
    assert len(fake.seen) == 1


def row(*values: Any) -> str:
    return json.dumps({"embeddings": [list(one) for one in values]})


@pytest.mark.proves("rag.embedders.remote")
@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (row(), "0 vectors came for 1 texts"),
        (row([1.0] * 24, [1.0] * 24), "2 vectors came for 1 texts"),
        (row([1.0] * 25), "25 numbers came, 24 were expected"),
        (row([0.0] * 24), "all zero"),
        (row([1.0] * 23 + [math.nan]), "no finite number"),
        (row([1.0] * 23 + [math.inf]), "no finite number"),
        (row([1.0] * 23 + ["x"]), "something else than numbers"),
        ('{"embeddings": [[1.0', "holds no vectors"),
        ("[]", "holds no vectors"),
        ('{"other": 1}', "holds no vectors"),
        ("<html><h1>Welcome</h1></html>", "holds no vectors: Welcome"),
        ('{"embeddings": {"a": 1}}', "something else than numbers|numbers came|holds no vectors"),
    ],
)
async def test_what_is_no_vector_is_refused(fake: FakeProvider, raw: str, words: str) -> None:
    fake.script(Turn(raw=raw))
    made = embedder(fake, "ollama")
    with pytest.raises(EmbeddingError, match=words):
        await made.embed(["a"], "query")
    await made.aclose()


async def test_the_egress_policy_holds(fake: FakeProvider) -> None:
    made = embedder(fake, "openai")
    with governed(Egress(mode="none", purposes={})), pytest.raises(EmbeddingError):
        async with fake_provider():
            await embedder(fake, "openai", base_url="http://embedder.example/v1").embed(["a"], "query")
    await made.aclose()


def test_a_login_in_the_address_is_refused(fake: FakeProvider) -> None:
    with pytest.raises(ConfigError, match="user name"):
        embedder(fake, "openai", base_url="http://me:pw@127.0.0.1:1/v1")
