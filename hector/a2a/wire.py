"""JSON in and out: strict where a lax parser would let trouble in, and always plain ASCII on the way out."""

import json
from collections.abc import Iterable
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any, Final, NoReturn

from hector.a2a.errors import INVALID_REQUEST, PARSE_ERROR, ProtocolError
from hector.core.jsontext import encoder

MOST_DEPTH: Final = 64
"""Objects and lists within each other. A2A itself needs eight; the rest is for metadata and data parts."""

quote: Final = encode_basestring_ascii
"""A text as a JSON string. ASCII only: client libraries split event streams at every Unicode line separator."""

_dump: Final = encoder(allow_nan=False)


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    value = float(digits)
    return value if isfinite(value) else _refuse(digits)


_load: Final = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode


def dumps(value: Any) -> str:
    """Compact JSON in ASCII. Numbers that JSON has no word for, such as a tool may give back, become null."""
    try:
        return _dump(value)
    except ValueError:
        return _dump(_without_nan(value))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def loads(body: bytes) -> Any:
    """A JSON value from UTF-8 bytes. Raises ProtocolError: not UTF-8, not JSON, NaN, absurd numbers, too deep."""
    try:
        value = _load(body.decode())
    except UnicodeDecodeError:
        raise ProtocolError(PARSE_ERROR, "the body is not UTF-8") from None
    except RecursionError:
        raise ProtocolError(INVALID_REQUEST, _TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise ProtocolError(PARSE_ERROR, f"the body is not JSON: {error}") from None
    except ValueError:
        raise ProtocolError(PARSE_ERROR, "the body is not JSON: it holds a number that cannot be read") from None
    if body.count(b"{") + body.count(b"[") > MOST_DEPTH and depth_exceeds(value, MOST_DEPTH):
        raise ProtocolError(INVALID_REQUEST, _TOO_DEEP)
    if b"\\u" in body:
        _refuse_lone_surrogates(value)
    return value


_TOO_DEEP: Final = f"the body is nested more than {MOST_DEPTH} levels deep"


def depth_exceeds(value: Any, most: int) -> bool:
    """Whether objects and lists stand in each other more than `most` levels deep."""
    level = [value]
    for _ in range(most):
        level = [item for box in level for item in _items(box)]
    return any(isinstance(item, dict | list) for item in level)


def _items(box: Any) -> Iterable[Any]:
    if isinstance(box, dict):
        return box.values()
    return box if isinstance(box, list) else ()


def _refuse_lone_surrogates(value: Any) -> None:
    """Half a character cannot be stored or sent on, and only \\u escapes can smuggle one in."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ProtocolError(PARSE_ERROR, "a text in the body holds half a character (a lone surrogate)") from None
