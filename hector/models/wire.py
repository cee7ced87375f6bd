"""The seam between one wire format (pure functions) and the HTTP loop that all of them share.

A wire format turns a ModelRequest into an `HttpCall`, and what comes back into deltas, a ModelReply or a ModelError. It
does no I/O and holds no state of a call except in its `Decoder`. Retries, timeouts and cancellation live in `http.py`,
error classes in `faults.py`, what every format does to a conversation in `history.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from typing import Any, Final, Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

from hector.core.content import JsonObject, Replay, ToolCall
from hector.core.errors import ModelError, ModelUnavailable
from hector.core.event import Delta
from hector.core.ids import new_id
from hector.core.jsontext import encoder
from hector.core.ports import ModelReply, ModelRequest
from hector.core.record import dataclass

Framing: TypeAlias = Literal["sse", "ndjson"]

REPLAY: Final = "replay"
"""The one `dropped` name that is not remembered: leave out the provider's own items for this request only."""


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One POST. `path` starts with "/" and is added to the base URL; `headers` come on top of the client's own.

    `names` maps the tool names on the wire back to ours where they differ (see names.py); `output_tool` names the tool
    whose arguments are in truth the structured answer. Both are for `decode` and `decoder` of the same call. `tools` is
    the text of `body["tools"]`, where that is known already (see wording.py).
    """

    path: str
    body: JsonObject
    headers: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    output_tool: str | None = None
    tools: bytes = b""

    @property
    def document(self) -> bytes:
        """The body as it goes over the wire; tools that are in words already come last."""
        if not self.tools:
            return encoded(self.body)
        rest = encoded({key: value for key, value in self.body.items() if key != "tools"})
        return b'%b%b"tools":%b}' % (rest[:-1], b"," if len(rest) > 2 else b"", self.tools)


_encode: Final = encoder(ascii_only=False)


def encoded(value: object) -> bytes:
    """A value as JSON, as it goes over the wire. Half a character, which no UTF-8 can say, becomes a question mark."""
    return _encode(value).encode("utf-8", "replace")


class Decoder(Protocol):
    """Reads one stream. `feed` raises ModelError for an error that the provider reports inside the stream."""

    @property
    def done(self) -> bool:
        """The terminal event has come; nothing that matters follows. May stay False: then the stream's end counts."""

    def feed(self, event: str | None, data: str) -> tuple[Delta, ...]:
        """One SSE event (its name or None, its data) or one NDJSON line (event is None)."""

    def finish(self) -> ModelReply:
        """The whole turn. Raises ModelUnavailable (`cut_off`) if the terminal event never came, AskAgain if useless."""


class Wire(Protocol):
    """One wire format for one configured model. Pure: no I/O."""

    @property
    def origin(self) -> str:
        """`<format>:<model>`: the mark on replayed items."""

    @property
    def label(self) -> str:
        """How error texts name this model (see `label`)."""

    @property
    def framing(self) -> Framing:
        """How a stream is cut into events."""

    @property
    def droppable(self) -> Mapping[str, str]:
        """Lower-case words that a 400 may use for a parameter -> the name to put in `dropped` for the second try."""

    def encode(self, request: ModelRequest, *, stream: bool, dropped: frozenset[str]) -> HttpCall:
        """The call to make, without the parameters in `dropped`. Raises UnsupportedContent."""

    def decode(self, body: JsonObject, call: HttpCall) -> ModelReply:
        """A non-streaming answer of status 200. Raises ModelError, and AskAgain when the answer is of no use."""

    def decoder(self, call: HttpCall) -> Decoder:
        """A fresh reader for the stream that answers `call`."""

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelError:
        """What an answer with a status of 400 and above means. `headers` have lower-case names."""


class AskAgain(ModelUnavailable):
    """A well-formed answer of no use (empty, or a tool call that the provider could not parse): worth one more try.

    `reply` is what to hand on when the second try ends the same way.
    """

    def __init__(self, message: str, reply: ModelReply) -> None:
        super().__init__(message)
        self.reply = reply


@lru_cache(maxsize=256)
def label(name: str, model: str, base_url: str) -> str:
    """How errors name a model: `llm 'main' (claude-sonnet-5-5 at api.anthropic.com)`. Never holds credentials."""
    host = urlsplit(base_url).netloc.rpartition("@")[2] or base_url
    return f"llm {name!r} ({model} at {host})"


@lru_cache(maxsize=256)
def host_of(base_url: str) -> str:
    """The server's name in lower case; empty for none."""
    return urlsplit(base_url).hostname or ""


def join_base(base_url: str, *versions: str) -> str:
    """`base_url` without a trailing slash and without any of `versions` ("v1"), so that paths can be added."""
    trimmed = base_url.rstrip("/")
    return next((trimmed.removesuffix(f"/{end}") for end in versions if trimmed.endswith(f"/{end}")), trimmed)


def own_item(replay: Replay | None, origin: str) -> JsonObject | None:
    """The provider's item, if this very origin made it; else None: foreign items are never sent."""
    return replay.item if replay is not None and replay.origin == origin else None


def parse_call(call_id: str, name: str, text: str, replay: Replay | None = None) -> ToolCall:
    """A tool call from its argument text: empty means `{}`, anything but a JSON object is kept as `raw`."""
    call_id = call_id or f"call_{new_id()}"
    if not text.strip():
        return ToolCall(call_id, name, {}, None, replay)
    try:
        args = json.loads(text)
    except (ValueError, RecursionError):
        args = None
    if isinstance(args, dict):
        return ToolCall(call_id, name, args, None, replay)
    return ToolCall(call_id, name, {}, text, replay)


def compact(value: Any) -> str:
    """JSON without spaces, as it goes over the wire."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def count(counts: Any, key: str) -> int:
    """A number of tokens from a provider's usage object; 0 for what is absent, null or no number."""
    found = counts.get(key) if isinstance(counts, dict) else None
    return found if type(found) is int and found > 0 else 0


def cut_off(who: str) -> ModelUnavailable:
    """The error of a stream that ended without its terminal event. `who` is `Wire.label`."""
    return ModelUnavailable(f"{who}: the answer was cut off before its end; try again")
