"""Embedders in a configuration: told apart, completed, refused."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from hector.config.embedders import (
    BuiltinEmbedder,
    CohereEmbedder,
    Embedder,
    EmbedderBase,
    OpenAiEmbedder,
    complete,
    guess,
    lacks_key,
)
from hector.config.environment import Environment


def read(**embedder: Any) -> EmbedderBase:
    found: EmbedderBase = TypeAdapter(Embedder).validate_python(embedder)
    return found


@pytest.mark.proves("rag.embedders")
@pytest.mark.parametrize(
    ("embedder", "provider"),
    [
        ({}, "builtin"),
        ({"model": "all-MiniLM-L6-v2"}, "builtin"),
        ({"model_dir": "/models/bge"}, "builtin"),
        ({"model": "nomic-embed-text"}, "ollama"),
        ({"model": "all-minilm:l6-v2"}, "ollama"),
        ({"model": "mxbai-embed-large"}, "ollama"),
        ({"base_url": "http://gpu:11434"}, "ollama"),
        ({"model": "text-embedding-3-large"}, "openai"),
        ({"base_url": "http://localhost:8080/v1", "model": "bge-m3"}, "openai"),
        ({"model": "embed-english-v3.0"}, "cohere"),
        ({"model": "embed-v4.0"}, "cohere"),
        ({"model": "gemini-embedding-001"}, "gemini"),
    ],
)
def test_provider_is_guessed(embedder: dict[str, Any], provider: str) -> None:
    assert guess(embedder) == provider
    assert read(**embedder).model_dump()["provider"] == provider


def test_defaults() -> None:
    assert isinstance(read(provider="builtin"), BuiltinEmbedder)
    cohere = read(provider="cohere")
    assert isinstance(cohere, CohereEmbedder)
    assert (cohere.model, cohere.batch_size, cohere.timeout) == ("embed-english-v3.0", 96, 30.0)
    openai = read(provider="openai", api_key="sk-1")
    assert isinstance(openai, OpenAiEmbedder)
    assert (openai.model, openai.batch_size) == ("text-embedding-3-small", 100)
    assert "sk-1" not in repr(openai)


@pytest.mark.parametrize(
    "embedder",
    [
        {"provider": "cohere", "batch_size": 97},
        {"provider": "cohere", "truncate": "MIDDLE"},
        {"provider": "cohere", "input_type": "image"},
        {"provider": "openai", "dimension": 0},
        {"provider": "openai", "encoding_format": "binary"},
        {"provider": "builtin", "api_key": "x"},
        {"provider": "word2vec"},
    ],
)
def test_what_does_not_fit_is_refused(embedder: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**embedder)


def test_keys_and_addresses_come_from_the_environment() -> None:
    environment = Environment({"COHERE_API_KEY": "c-1", "OPENAI_BASE_URL": "http://gate/v1", "OLLAMA_HOST": "box"})
    cohere, openai, ollama = {"provider": "Cohere"}, {"model": "text-embedding-3-small"}, {"provider": "ollama"}
    for embedder in (cohere, openai, ollama):
        complete(embedder, environment)
    assert cohere == {"provider": "cohere", "api_key": "c-1"}
    assert openai["base_url"] == "http://gate/v1"
    assert ollama["base_url"] == "http://box:11434"


def test_a_key_is_wanted_only_where_nothing_goes_without() -> None:
    assert lacks_key({"provider": "openai"}) == ("OPENAI_API_KEY",)
    assert lacks_key({"provider": "gemini"}) == ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    assert lacks_key({"provider": "openai", "base_url": "http://localhost:8080/v1"}) == ()
    assert lacks_key({"provider": "cohere", "api_key": "k"}) == ()
    assert lacks_key({"provider": "builtin"}) == ()
