"""What one provider's dialect must bring to the fake server, and what several of them share.

To add a dialect: write a module with a class of this shape and name it in `DIALECTS` of `__init__.py`. `check` is the
strict half: it refuses, in the provider's words, what the real API refuses. `body` and `events` are the answering half.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from tests.httpserver import Request
from tests.models.fakeprovider.turn import Turn

USAGE = {"input": 40, "cache_read": 25, "cache_write": 10, "output": 17, "reasoning": 5}
"""The counts that every answer reports, translated: `input` includes both cache counts, `output` the reasoning."""
BAD_KEY = "bad-key-000"
"""The key that is refused. Any other one is taken."""


Seen: TypeAlias = Request
"""One request as it came in."""


@dataclass(slots=True)
class Refusal(Exception):  # noqa: N818
    """The provider says no."""

    status: int
    message: str
    kind: str = ""
    code: str = ""
    param: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """One provider."""

    name: str
    stream_type: str

    def handles(self, request: Seen) -> bool:
        """Whether this path belongs to the provider."""

    def streams(self, request: Seen) -> bool:
        """Whether the answer shall be streamed."""

    def check(self, request: Seen) -> None:
        """Raise Refusal for everything that the real API would refuse."""

    def last_words(self, request: Seen) -> str:
        """Text of the last user message or the last tool results: what an unscripted answer answers."""

    def model(self, request: Seen) -> str:
        """The model asked for."""

    def body(self, request: Seen, turn: Turn) -> bytes:
        """The whole answer, not streamed."""

    def events(self, request: Seen, turn: Turn) -> list[bytes]:
        """The streamed answer, framed, one element per event; the last one is the terminal event."""

    def noise(self) -> bytes:
        """Framed events and comments that a client must ignore."""

    def error(self, refusal: Refusal) -> bytes:
        """Body of an error answer."""

    def stream_error(self, refusal: Refusal) -> bytes:
        """The same inside a stream, framed."""


def need(condition: object, message: str, *, kind: str = "", param: str = "", status: int = 400) -> None:
    """Refuse unless `condition`."""
    if not condition:
        raise Refusal(status, message, kind=kind, param=param)


def only(value: Mapping[str, Any], allowed: str, where: str) -> None:
    """Refuse keys that are not among the blank-separated `allowed`."""
    extra = sorted(set(value) - set(allowed.split()))
    need(
        not extra,
        f"{where}{extra[0] if extra else ''}: Extra inputs are not permitted",
        param=extra[0] if extra else "",
    )


def is_base64(text: object) -> bool:
    """Whether this is non-empty standard base64."""
    try:
        return isinstance(text, str) and bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False


def good_image(media_type: str, data: str) -> bool:
    """Whether the bytes begin as the media type says."""
    magic = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8", "image/gif": b"GIF8", "image/webp": b"RIFF"}
    return is_base64(data) and base64.b64decode(data).startswith(magic.get(media_type, b"\0never"))


def sign(text: str) -> str:
    """The signature that this provider puts under a text: base64, checked when it comes back."""
    return base64.b64encode(hashlib.sha256(f"fake provider {text}".encode()).digest()).decode()


def sse(data: Any, event: str | None = None) -> bytes:
    """One framed server-sent event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def call_id(prefix: str, request: Seen, index: int) -> str:
    """An id that differs from call to call within a conversation."""
    digest = hashlib.sha256(json.dumps(request.body, sort_keys=True).encode()).hexdigest()[:12]
    return f"{prefix}{digest}{index:02d}"
