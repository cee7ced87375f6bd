"""Values to compact JSON text, by an encoder that is made once.

`json.JSONEncoder.encode` makes the inner encoder anew for each value, which costs as much as encoding a small value.
"""

import json
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any


def encoder(*, ascii_only: bool = True, allow_nan: bool = True) -> Callable[[Any], str]:
    """A function like `json.dumps` without spaces. It raises ValueError also for what holds itself, or is too deep."""
    plain = json.JSONEncoder(separators=(",", ":"), ensure_ascii=ascii_only, allow_nan=allow_nan, check_circular=False)
    chunks = _chunks(plain, encode_basestring_ascii if ascii_only else encode_basestring)

    def encode(value: Any) -> str:
        try:
            return "".join(chunks(value, 0))
        except RecursionError:
            raise ValueError("the value holds itself, or is nested too deep") from None

    return encode


def _chunks(plain: json.JSONEncoder, quote: Callable[[str], str]) -> Callable[[Any, int], Iterable[str]]:
    """The inner encoder: the one in C, where this Python has it."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, _: plain.iterencode(value)
    found: Callable[[Any, int], Iterable[str]] = make(
        None, plain.default, quote, None, ":", ",", False, False, plain.allow_nan
    )
    return found
