"""What the fake provider is told to do with a request: one `Turn` each, in no provider's dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. `args` as text goes out verbatim, so that it may be malformed."""

    name: str
    args: Mapping[str, Any] | str = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer, or one way to fail. Counts are in events (SSE events, NDJSON lines) of a stream.

    Without streaming, `cut` counts bytes of the body, and the other stream faults do not apply.
    """

    text: str = ""
    thinking: str = ""
    redacted: bool = False
    """Also give a thinking item whose content is encrypted."""
    calls: tuple[Call, ...] = ()
    finish: str = ""
    """"stop", "length", "content_filter", "pause"; empty: what the content says."""
    as_output: bool = False
    """The text is the structured answer: where that is the call of a tool, make one."""
    words: bool = True
    """Stream the text word by word; else in one piece."""

    status: int = 200
    """400 and above: an error answer in the provider's shape."""
    message: str = ""
    kind: str = ""
    """The provider's type or status string of an error; empty: the usual one for `status`."""
    code: str = ""
    param: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: str | None = None
    """The body verbatim, instead of anything else."""
    content_type: str | None = None

    hang_up: bool = False
    """Close the connection instead of answering."""
    cut: int | None = None
    """Break the connection after this many events."""
    truncate: int | None = None
    """End the stream in an orderly way after this many events."""
    stall: int | None = None
    """Say nothing more after this many events, until the client goes."""
    malform: int | None = None
    """Send an event that is no JSON after this many events."""
    fail: int | None = None
    """Send the provider's in-stream error (`message`, `kind`, `code`) after this many events."""
    noise: bool = False
    """Add keep-alive comments, pings and unknown events, and split writes inside characters."""
    first_delay: float = 0.0
    pace: float = 0.0
    close: bool = False
    """Close the connection after the answer without having said so: a stale keep-alive for the client."""
    linger: bool = False
    """Leave the stream open after its last event."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Turn":
        """The same from a JSON object; `calls` is a list of {name, args}."""
        calls = tuple(Call(**call) for call in value.get("calls", ()))
        return cls(**{**value, "calls": calls})

    @property
    def chunks(self) -> list[str]:
        """The text in the pieces in which it is streamed."""
        if not self.words:
            return [self.text] if self.text else []
        return [word + " " for word in self.text.split(" ")[:-1]] + [self.text.split(" ")[-1]] if self.text else []
