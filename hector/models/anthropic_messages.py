"""A conversation as Anthropic's Messages API wants it: alternating messages made of content blocks."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hector.core.content import Content, Data, JsonObject, Media, Message, Part, Text, Thinking, ToolCall, ToolResult
from hector.core.errors import UnsupportedContent
from hector.models import history
from hector.models.wire import own_item

THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})
"""Types of the blocks that hold reasoning."""

_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TAKES: Final = "text, images (png, jpeg, gif, webp), PDF files and text documents"
_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


class Conversation:
    """Encodes one conversation. Ids of calls from other providers are made to fit, and to differ."""

    def __init__(self, origin: str, label: str, mangled: Mapping[str, str]) -> None:
        self._origin = origin
        self._label = label
        self._mangled = mangled
        self._taken: set[str] = set()
        self._ids: dict[str, str] = {}
        self._messages: list[JsonObject] = []

    def encode(self, messages: Sequence[Message]) -> list[JsonObject]:
        """Alternating messages, the user's first. Raises UnsupportedContent for parts not answered yet."""
        settled = history.settle(messages)
        fresh = history.unanswered(settled)
        for at, message in enumerate(settled):
            if message.role == "assistant":
                self._add("assistant", self._assistant(message.parts))
            elif message.role == "tool":
                self._add("user", [self._result(part) for part in message.parts if isinstance(part, ToolResult)])
            else:
                self._add("user", self._user(message.parts, strict=at >= fresh))
        return self._messages

    def _add(self, role: str, blocks: list[JsonObject]) -> None:
        if not blocks:
            return
        if not self._messages and role == "assistant":
            self._messages.append({"role": "user", "content": [_text("Continue.")]})
        if self._messages and self._messages[-1]["role"] == role:
            self._messages[-1]["content"] += blocks
        else:
            self._messages.append({"role": role, "content": blocks})

    def _user(self, parts: Iterable[Part], *, strict: bool) -> list[JsonObject]:
        found = [self._content(part, strict=strict) for part in parts if isinstance(part, Text | Media | Data)]
        return [block for block in found if block is not None]

    def _assistant(self, parts: Iterable[Part]) -> list[JsonObject]:
        blocks: list[JsonObject] = []
        self._ids = {}
        for part in parts:
            block = self._own(part) or self._said(part)
            if block is not None:
                blocks.append(block)
        while blocks and blocks[-1]["type"] in THOUGHTS:  # the API refuses a turn that ends in a thought
            blocks.pop()
        return blocks

    def _own(self, part: Part) -> JsonObject | None:
        """The provider's own block, if this model made it."""
        item = own_item(part.replay, self._origin) if isinstance(part, Text | Thinking | ToolCall) else None
        if item is not None and isinstance(part, ToolCall):
            self._ids[part.id] = item["id"]
            self._taken.add(item["id"])
        return item

    def _said(self, part: Part) -> JsonObject | None:
        match part:
            case ToolCall(call_id, name, args):
                self._ids[call_id] = self._fitting(call_id)
                name = self._mangled.get(name, name)
                return {"type": "tool_use", "id": self._ids[call_id], "name": name, "input": args}
            case Media():
                return _text(history.placeholder(part))
            case Text() | Data():
                return self._content(part, strict=False)
            case _:
                return None

    def _fitting(self, call_id: str) -> str:
        candidate = call_id
        while not _ID.fullmatch(candidate) or candidate in self._taken:
            digest = hashlib.sha256(f"{len(self._taken)}:{candidate}".encode()).hexdigest()[:8]
            candidate = f"{re.sub(r'[^a-zA-Z0-9_-]', '_', call_id)[:55]}_{digest}"
        self._taken.add(candidate)
        return candidate

    def _result(self, result: ToolResult) -> JsonObject:
        block: JsonObject = {"type": "tool_result", "tool_use_id": self._ids[result.call_id]}
        shown = (Text(history.result_text(result)),) if result.is_error else result.content  # errors are text only
        content = self._user(shown, strict=False)
        if len(content) == 1 and content[0]["type"] == "text":
            block["content"] = content[0]["text"]
        elif content:
            block["content"] = content
        if result.is_error:
            block["is_error"] = True
        return block

    def _content(self, part: Content, *, strict: bool) -> JsonObject | None:
        """A block of a user message or a tool result. Not strict: a part that cannot be shown is named instead."""
        match part:
            case Text(text):
                return _text(text) if text.strip() else None
            case Data():
                return _text(history.data_text(part))
            case Media():
                try:
                    return self._media(part)
                except UnsupportedContent:
                    if strict:
                        raise
                    return _text(history.placeholder(part))

    def _media(self, media: Media) -> JsonObject | None:
        kind = history.media_kind(media.media_type)
        if kind == "image":
            return {"type": "image", "source": self._source(media, _image_type(media))}
        if kind == "pdf":
            return _titled({"type": "document", "source": self._source(media, "application/pdf")}, media)
        if kind == "text" and media.data is not None:
            text = history.document_text(media)
            source = {"type": "text", "media_type": "text/plain", "data": text}
            return _titled({"type": "document", "source": source}, media) if text.strip() else None
        raise history.unsupported(self._label, media.media_type, _TAKES)

    def _source(self, media: Media, media_type: str) -> JsonObject:
        if media.data is None:
            return {"type": "url", "url": media.url}
        if media_type.startswith("image/") and media_type not in _IMAGES:
            raise history.unsupported(self._label, media.media_type, _TAKES)
        return {"type": "base64", "media_type": media_type, "data": media.data}


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _image_type(media: Media) -> str:
    found = media.media_type.partition(";")[0].strip().lower()
    return "image/jpeg" if found == "image/jpg" else found


def _titled(block: JsonObject, media: Media) -> JsonObject:
    return {**block, "title": media.name} if media.name else block
