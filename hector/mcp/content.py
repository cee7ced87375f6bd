"""Results of servers as content of ours. Works on the official package's values by their names only."""

import json
from typing import Any, Final

from hector.core.content import Content, Data, Media, Text
from hector.core.unseen import seen

_UNNAMED: Final = "application/octet-stream"


def content_of(result: Any) -> tuple[Content, ...]:
    """What a tool answered: its blocks, and its structured result where no block says the same."""
    blocks = tuple(block_of(block) for block in result.content)
    value = result.structuredContent
    if value is None or any(block.type == "text" and _says(block.text, value) for block in result.content):
        return blocks
    return (*blocks, Data(_legible(value)))


def block_of(block: Any) -> Content:
    """One block: text, image, audio, an embedded resource or a link to one."""
    match block.type:
        case "text":
            return Text(legible(block.text))
        case "image" | "audio":
            return Media(block.mimeType, block.data)
        case "resource":
            return resource_of(block.resource)
        case _:
            return Text(legible(_link(block)))


def resource_of(resource: Any) -> Content:
    """A resource's text, or its bytes."""
    uri = str(resource.uri)
    text = getattr(resource, "text", None)
    if text is not None:
        return Text(legible(text), media_type=resource.mimeType, name=uri)
    return Media(resource.mimeType or _UNNAMED, resource.blob, name=uri)


def legible(text: str) -> str:
    """A text as people see it, and whether something was left out that only a model would have read."""
    clean, hidden = seen(text)
    return f"{clean}\n[{hidden} signs that nobody sees were left out]" if hidden else clean


def _legible(value: Any) -> Any:
    """All texts in a value as they are seen."""
    if isinstance(value, dict):
        return {seen(key)[0]: _legible(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_legible(inner) for inner in value]
    return seen(value)[0] if isinstance(value, str) else value


def _link(block: Any) -> str:
    said = [f"resource {block.uri}", block.name, block.description, block.mimeType]
    return ", ".join(str(part) for part in said if part)


def _says(text: str, value: Any) -> bool:
    """Whether a text is a structured value in words; a plain one comes wrapped, such as {"result": ...}."""
    wrapped = next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else None
    if wrapped is not None and text == wrapped:
        return True
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return found == value or (wrapped is not None and found == wrapped)
