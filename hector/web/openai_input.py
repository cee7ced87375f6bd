"""What clients of OpenAI's API send: chat messages and inputs, read into turns of a conversation.

What would change the answer and cannot be done here is refused by name; what only tunes a model (temperature, stop,
seed and the like) is the agent's own business and left unread.
"""

import binascii
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, TypeAlias

from hector.core.content import Content, JsonObject, Media, Text
from hector.core.errors import InvalidRequest, Violation
from hector.core.ids import LONGEST_ID, wrong_with
from hector.core.record import dataclass

Role: TypeAlias = Literal["system", "user", "assistant"]
MOST_TURNS: Final = 10_000
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_TOOLS: Final = "the agent has its own tools, and takes none from clients"
_REFUSED: Final = {
    "tools": _TOOLS,
    "functions": _TOOLS,
    "logprobs": "agents give no probabilities",
    "top_logprobs": "agents give no probabilities",
    "audio": "agents answer in text",
    "prompt": "there are no stored prompts here; send the text",
    "background": "use A2A to follow a task later",
}
"""Parameters that are refused wherever they ask for anything."""
_NAMES: Final = ("session_id", "conversation_id")
"""Fields of `metadata` that name a conversation."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: Role
    parts: tuple[Content, ...]

    @property
    def text(self) -> str:
        """Its text parts."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. `session` names the conversation, `previous` the response that it goes on from; mostly neither."""

    model: str
    turns: tuple[Turn, ...]
    stream: bool = False
    include_usage: bool = False
    session: str = ""
    user: str = ""
    previous: str = ""

    @property
    def said(self) -> tuple[Turn, ...]:
        """What is new: the user's turns at the end."""
        return self.turns[len(self.before) :]

    @property
    def before(self) -> tuple[Turn, ...]:
        """All up to the agent's last answer, the conversation as the client has it."""
        last = max((at for at, turn in enumerate(self.turns, 1) if turn.role == "assistant"), default=0)
        return self.turns[:last]


def chat(value: Any) -> Asked:
    """The body of POST /v1/chat/completions. Raises InvalidRequest."""
    body = _body(value)
    _check(body)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise wrong("messages", "must be a list of at least one message")
    turns = _turns(messages, "messages")
    options = body.get("stream_options")
    with_usage = isinstance(options, dict) and options.get("include_usage") is True
    return _asked(body, turns, "messages", include_usage=with_usage)


def responses(value: Any) -> Asked:
    """The body of POST /v1/responses. Raises InvalidRequest."""
    body = _body(value)
    _check(body)
    given, instructions = body.get("input"), body.get("instructions")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list) or not items:
        raise wrong("input", "must be a text, or a list of at least one message")
    turns = _turns(items, "input")
    if isinstance(instructions, str) and instructions:
        turns = (Turn("system", (Text(instructions),)), *turns)
    previous = body.get("previous_response_id") or ""
    if not isinstance(previous, str):
        raise wrong("previous_response_id", "must be a text")
    conversation = body.get("conversation")
    named = conversation.get("id") if isinstance(conversation, dict) else conversation
    if named and previous:
        raise wrong("conversation", "cannot be given together with previous_response_id")
    return _asked(body, turns, "input", session=named, previous=previous)


def _asked(body: JsonObject, turns: tuple[Turn, ...], where: str, *, session: Any = None, **more: Any) -> Asked:
    model, user, metadata = body.get("model"), body.get("user") or "", body.get("metadata") or {}
    if not isinstance(model, str) or not model:
        raise wrong("model", "must be the id of an agent; GET /v1/models lists them")
    if not isinstance(metadata, dict):
        raise wrong("metadata", "must be an object")
    names = [("conversation", session), *((f"metadata.{key}", metadata.get(key)) for key in _NAMES)]
    at, named = next(((at, name) for at, name in names if name), ("", ""))
    for field, text in (("user", user), (at, named)):
        if not isinstance(text, str) or len(text) > LONGEST_ID:
            raise wrong(field, f"must be a text of at most {LONGEST_ID} characters")
    if said := wrong_with(named):
        raise wrong(at, said)
    found = Asked(model, turns, body.get("stream") is True, session=named, user=user, **more)
    if not any(turn.role == "user" for turn in found.said):
        raise wrong(where, "must end with a message of the user")
    return found


def _body(value: Any) -> JsonObject:
    if not isinstance(value, dict):
        raise wrong("", "the body must be a JSON object")
    return value


def _check(body: JsonObject) -> None:
    for name, reason in _REFUSED.items():
        if body.get(name):
            raise wrong(name, f"is not supported: {reason}")
    if body.get("n") not in (None, 1):
        raise wrong("n", "must be 1: an agent gives one answer")
    modalities = body.get("modalities")
    if modalities and (not isinstance(modalities, list) or "audio" in modalities):
        raise wrong("modalities", 'must be ["text"]: agents answer in text')
    for name, shaped in (("response_format", body.get("response_format")), ("text.format", _format(body.get("text")))):
        if isinstance(shaped, dict) and shaped.get("type") not in (None, "text"):
            raise wrong(name, "must be text: the shape of answers is the agent's structured_output")


def _format(value: Any) -> Any:
    return value.get("format") if isinstance(value, dict) else None


def _turns(messages: Sequence[Any], where: str) -> tuple[Turn, ...]:
    if len(messages) > MOST_TURNS:
        raise wrong(where, f"has more than {MOST_TURNS} entries")
    return tuple(turn for at, one in enumerate(messages) for turn in _turn(one, f"{where}[{at}]"))


def _turn(message: Any, where: str) -> Iterator[Turn]:
    if not isinstance(message, dict):
        raise wrong(where, "must be an object")
    if message.get("type") == "reasoning":
        return
    role = _ROLES.get(str(message.get("role")))
    if role is None or message.get("tool_calls") or message.get("type") not in (None, "message"):
        raise wrong(where, f"must be a message of the system, the user or the assistant: {_TOOLS}")
    content = message.get("content")
    if isinstance(content, str):
        yield Turn(role, (Text(content),))
    elif isinstance(content, list):
        yield Turn(role, tuple(_part(part, f"{where}.content[{at}]") for at, part in enumerate(content)))
    elif content is None and role == "assistant":
        yield Turn(role, ())
    else:
        raise wrong(f"{where}.content", "must be a text or a list of parts")


def _part(part: Any, where: str) -> Content:
    if not isinstance(part, dict):
        raise wrong(where, "must be an object")
    match part.get("type"):
        case "text" | "input_text" | "output_text":
            return Text(_text(part, "text", where))
        case "refusal":
            return Text(_text(part, "refusal", where))
        case "image_url" | "input_image":
            found = part.get("image_url")
            inner = found if isinstance(found, dict) else {"url": found}
            return _media(_text(inner, "url", f"{where}.image_url"), "image/jpeg", None, f"{where}.image_url")
        case "input_audio":
            inner = part["input_audio"] if isinstance(part.get("input_audio"), dict) else {}
            kind = {"mp3": "audio/mpeg"}.get(str(inner.get("format")), f"audio/{inner.get('format', 'wav')}")
            return Media(kind, data=_base64(_text(inner, "data", f"{where}.input_audio"), where))
        case "file" | "input_file":
            inner = part["file"] if isinstance(part.get("file"), dict) else part
            name = inner.get("filename") if isinstance(inner.get("filename"), str) else None
            given = inner.get("file_data") or inner.get("file_url")
            if not isinstance(given, str):
                raise wrong(where, "must bring the file itself, as file_data: there are no uploaded files here")
            return _media(given, _guess(name), name, where)
        case kind:
            raise wrong(
                f"{where}.type", f"{str(kind)[:40]!r} is not taken; allowed: text, image_url, input_audio, file"
            )


def _media(given: str, kind: str, name: str | None, where: str) -> Media:
    """A file from a data URL, from an address, or from bare base64."""
    if given.startswith("data:"):
        head, _, data = given[5:].partition(",")
        found, *marks = head.split(";")
        if "base64" not in marks:
            raise wrong(where, "must be base64: data:<type>;base64,<data>")
        return Media(found or kind, data=_base64(data, where), name=name)
    if given.startswith(("http://", "https://")):
        return Media(_guess(given.partition("?")[0], kind), url=given, name=name)
    return Media(kind, data=_base64(given, where), name=name)


def _base64(text: str, where: str) -> str:
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise wrong(where, "must be base64") from None
    return text


def _guess(name: str | None, otherwise: str = "application/octet-stream") -> str:
    import mimetypes  # noqa: PLC0415 - reads the system's tables: only when a client sends a file without its type

    return (mimetypes.guess_type(name)[0] if name else None) or otherwise


def _text(value: JsonObject, key: str, where: str) -> str:
    found = value.get(key)
    if not isinstance(found, str):
        raise wrong(f"{where}.{key}", "must be a text")
    return found


def wrong(field: str, description: str) -> InvalidRequest:
    """One field that is wrong."""
    return InvalidRequest(f"{field} {description}".strip(), [Violation(field, description)])
