"""Embedding APIs of OpenAI, Ollama, Cohere and Gemini: what they refuse, and vectors made of the words of a text."""

import base64
import json
import math
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from tests.models.fakeprovider.dialect import BAD_KEY, Refusal, Seen, need, only
from tests.models.fakeprovider.turn import Turn

DIMENSION = 24
"""Numbers of a vector, where no other length is asked for."""
_OPENAI = "model input encoding_format dimensions user"
_OLLAMA = "model input truncate dimensions keep_alive options"
_COHERE = "model texts input_type embedding_types truncate output_dimension max_tokens"
_GEMINI = re.compile(r"/v1(beta)?/models/[\w.-]+:batchEmbedContents")
_COHERE_TYPES = ("search_document", "search_query", "classification", "clustering")


def vector(text: str, dimension: int = DIMENSION) -> list[float]:
    """Texts that share words are near each other; not of length 1."""
    found = [0.125] * dimension
    for word in re.findall(r"\w+", text.lower()):
        found[zlib.crc32(word.encode()) % dimension] += 1.0
    return found


def unit(text: str, dimension: int = DIMENSION) -> list[float]:
    """The same with length 1."""
    found = vector(text, dimension)
    return [number / math.hypot(*found) for number in found]


class EmbeddingsDialect:
    """Four APIs with one answer each."""

    name = "embeddings"
    stream_type = ""

    def handles(self, request: Seen) -> bool:
        return request.method == "POST" and _kind(request) != ""

    def streams(self, request: Seen) -> bool:
        return False

    def model(self, request: Seen) -> str:
        return str(request.body.get("model", ""))

    def last_words(self, request: Seen) -> str:
        return ""

    def check(self, request: Seen) -> None:
        kind = _kind(request)
        need(request.headers.get("content-type") == "application/json", "invalid content type")
        key = request.headers.get("x-goog-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        need(key != BAD_KEY, f"Incorrect API key provided: {BAD_KEY}", status=401)
        need(kind == "ollama" or key, "no key", status=401)
        _CHECKS[kind](request.body)
        need(all(isinstance(text, str) and text for text in _texts(request)), "input: must not be empty")

    def body(self, request: Seen, turn: Turn) -> bytes:
        body = request.body
        asked = body.get("dimensions") or body.get("output_dimension")
        if _kind(request) == "gemini":
            asked = body["requests"][0].get("outputDimensionality")
        found = [vector(text, asked or DIMENSION) for text in _texts(request)]
        return json.dumps(_answer(_kind(request), body, found)).encode()

    def events(self, request: Seen, turn: Turn) -> list[bytes]:
        raise AssertionError

    def noise(self) -> bytes:
        raise AssertionError

    def error(self, refusal: Refusal) -> bytes:
        return json.dumps({"error": {"message": refusal.message, "code": refusal.code}}).encode()

    def stream_error(self, refusal: Refusal) -> bytes:
        raise AssertionError


def _kind(request: Seen) -> str:
    paths = {"/v1/embeddings": "openai", "/api/embed": "ollama", "/v2/embed": "cohere"}
    return paths.get(request.path, "gemini" if _GEMINI.fullmatch(request.path) else "")


def _texts(request: Seen) -> list[str]:
    body = request.body
    match _kind(request):
        case "gemini":
            return [one["content"]["parts"][0]["text"] for one in body["requests"]]
        case "cohere":
            return list(body["texts"])
        case _:
            return list(body["input"])


def _openai(body: Mapping[str, Any]) -> None:
    only(body, _OPENAI, "")
    need(isinstance(body["input"], list) and 0 < len(body["input"]) <= 2048, "input: too many inputs")
    need(body.get("encoding_format", "float") in {"float", "base64"}, "encoding_format")
    need(body.get("dimensions", 1) > 0, "dimensions")
    need(sum(map(len, body["input"])) < 300_000, "Requested 300001 tokens, max 300000 tokens per request")


def _ollama(body: Mapping[str, Any]) -> None:
    only(body, _OLLAMA, "")
    need(body["model"] != "missing", 'model "missing" not found, try pulling it first', status=404)
    need(isinstance(body["input"], list) and body["input"], "input")


def _cohere(body: Mapping[str, Any]) -> None:
    only(body, _COHERE, "")
    need(0 < len(body["texts"]) <= 96, "texts: at most 96")
    need(body["input_type"] in _COHERE_TYPES, "input_type")
    need(body["embedding_types"] == ["float"], "embedding_types")
    need(body.get("truncate", "END") in {"NONE", "START", "END"}, "truncate")
    need(body.get("output_dimension", 256) in {256, 512, 1024, 1536}, "output_dimension")


def _gemini(body: Mapping[str, Any]) -> None:
    only(body, "requests", "")
    need(0 < len(body["requests"]) <= 100, "at most 100 requests can be in one batch")
    for one in body["requests"]:
        only(one, "model content taskType title outputDimensionality", "requests.")
        need(one["model"].startswith("models/"), "model")
        need(one["taskType"] in {"RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"}, "taskType")


_CHECKS = {"openai": _openai, "ollama": _ollama, "cohere": _cohere, "gemini": _gemini}


def _answer(kind: str, body: Mapping[str, Any], found: list[list[float]]) -> dict[str, Any]:
    match kind:
        case "openai":
            shown: list[Any] = found
            if body.get("encoding_format") == "base64":
                shown = [base64.b64encode(struct.pack(f"<{len(one)}f", *one)).decode() for one in found]
            rows = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(shown)]
            return {"object": "list", "data": rows[::-1], "model": body["model"], "usage": {"prompt_tokens": 8}}
        case "cohere":
            return {"id": "1", "embeddings": {"float": found}, "texts": body["texts"], "meta": {}}
        case "gemini":
            return {"embeddings": [{"values": one} for one in found]}
        case _:
            return {"model": body["model"], "embeddings": found, "total_duration": 5}
