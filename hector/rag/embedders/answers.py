"""What services answer, judged: vectors that are none are refused, errors are read for people."""

import base64
import json
import math
import re
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from hector.observe.redact import redact
from hector.rag.errors import EmbeddingError

Numbers: TypeAlias = Sequence[float]
LARGE: Final = 64 * 1024
"""Bytes of an answer from which on it is read in a thread."""
_VECTOR: Final = re.compile(rb'\[\s*-?[0-9][^][{}"]*\]')
_MARK: Final = "vector apart"
_LOOK: Final = 8192
_SHOWN: Final = 500
_TOO_LONG: Final = re.compile(
    rb"(?i)max(imum)?[ _](tokens|context)|too many (tokens|inputs)|tokens per request|too large|batch size"
    rb"|context length"
)


def parse(data: bytes) -> Mapping[str, Any]:
    """The JSON object of an answer. Raises ValueError, LookupError or TypeError for anything else.

    Of a large one, vectors are read one by one: a thread that does so lets others work in between, while `json.loads`
    of a megabyte of numbers keeps everybody waiting for as long as it takes.
    """
    found = json.loads(data) if len(data) <= LARGE else _in_pieces(data)
    if not isinstance(found, dict):
        raise ValueError
    return found


def _in_pieces(data: bytes) -> Any:
    vectors: list[Numbers] = []

    def apart(match: re.Match[bytes]) -> bytes:
        vectors.append(_compact(json.loads(match[0])))
        return b'{"%s":%d}' % (_MARK.encode(), len(vectors) - 1)

    rest = _VECTOR.sub(apart, data)
    try:
        return json.loads(rest, object_hook=lambda one: vectors[one[_MARK]] if _MARK in one else one)
    except ValueError:  # what looked like a vector stood within a text
        return json.loads(data)


def _compact(found: list[Any]) -> Numbers:
    """In a quarter of the memory, and given back in one piece."""
    try:
        return array("d", found)
    except (TypeError, OverflowError):  # judged like any other
        return found


def packed(text: str) -> Numbers:
    """Numbers that travel as base64 of little-endian float32. Raises ValueError."""
    found = array("f", base64.b64decode(text, validate=True))
    if sys.byteorder == "big":
        found.byteswap()
    return found


def check_vectors(label: str, found: Sequence[Numbers], count: int, dimension: int | None) -> list[bytes]:
    """The vectors as bytes, of length 1. Raises EmbeddingError for what cannot be those of `count` texts."""
    if len(found) != count:
        raise EmbeddingError(f"{label}: {len(found)} vectors came for {count} texts")
    return [_vector(label, numbers, dimension or len(found[0])) for numbers in found]


def _vector(label: str, numbers: Numbers, dimension: int) -> bytes:
    if len(numbers) != dimension:
        raise EmbeddingError(
            f"{label}: a vector of {len(numbers)} numbers came, {dimension} were expected; set `dimension` of this "
            "embedder to what its model gives"
        )
    try:
        length = math.hypot(*numbers)
    except (TypeError, OverflowError):
        raise EmbeddingError(f"{label}: a vector holds something else than numbers") from None
    if not 0 < length < math.inf:
        raise EmbeddingError(f"{label}: a vector is all zero or holds something that is no finite number")
    made = array("f", [number / length for number in numbers])
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()


def too_long(status: int, data: bytes) -> bool:
    """Whether a refusal says that there was too much in one call."""
    return status == 413 or (status in {400, 422} and _TOO_LONG.search(data[:_LOOK]) is not None)


def message_of(data: bytes) -> str:
    """What an answer says of itself, for an error text: a message in JSON, or words of a page. Holds no secret."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list) and found:
        found = found[0]
    error = found.get("error", found) if isinstance(found, dict) else None
    if isinstance(error, dict):
        error = next((error[key] for key in ("message", "detail", "error") if error.get(key)), None)
    if not isinstance(error, str):
        error = re.sub(r"<[^>]*>", " ", data[:_LOOK].decode("utf-8", "replace"))
    return " ".join(redact(error).split())[:_SHOWN] or "no details given"
