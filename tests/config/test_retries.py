"""Tries are counted with or without the first one, in whatever words, in every block that has such a count."""

from pathlib import Path

import pytest

from tests.config.sample import config, errors

LLM = "llms: {m: {provider: ollama, model: x, retry: {%s}}}\n"
EMBEDDER = "embedders: {e: {provider: ollama, model: x, retry: {%s}}}\n"
STORE = "document_stores: {d: {embedder: none, indexing: {retry: {%s}}}}\n"
QUEUE = "server: {queue: {%s}}\n"
PUSH = "server: {push_notifications: {%s}}\n"


@pytest.mark.proves("config.retry-words")
@pytest.mark.parametrize("block", [LLM, EMBEDDER, STORE, QUEUE, PUSH])
def test_both_ways_of_counting_mean_the_same(tmp_path: Path, block: str) -> None:
    attempts, retries = (config(tmp_path, block % text) for text in ("max_attempts: 6", "max_retries: 5"))
    assert attempts == retries
    assert config(tmp_path, block % "max_retries: '5'") == attempts
    assert config(tmp_path, block % "max_retries: 4") != attempts
    assert config(tmp_path, block % "base_delay: 2s") == config(tmp_path, block % "initial_delay: 2s")


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    (found,) = errors(tmp_path, LLM % "max_attempts: 2, max_retries: 1")
    assert (found.kind, found.where[-1]) == ("duplicate", "max_retries")
    (found,) = errors(tmp_path, QUEUE % "max_attempts: many")
    assert found.where[-2:] == ("queue", "max_retries")
    (found,) = errors(tmp_path, QUEUE % "max_attempts: 0")
    assert found.where[-2:] == ("queue", "max_retries")
