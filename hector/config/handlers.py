"""Built-in tools: those that work on files; and those that are more than a function, as blocks of their own kind."""

from collections.abc import Mapping
from typing import Any, Final

from hector.config.document import Document, matches
from hector.core.record import dataclass

FILE_TOOLS: Final = (
    "text_editor", "read_file", "write_file", "search_replace", "apply_patch", "grep_search", "list_files",
)  # fmt: skip
"""Handlers that work in a folder."""
LOCAL_TOOLS: Final = frozenset((*FILE_TOOLS, "filetool"))
"""Handlers that reach files of the server: never for apps that come through the admin API."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """The type that a handler stands for, and keys of it that follow from the handler."""

    type: str
    keys: Mapping[str, Any]


_COMMAND: Final = _Kind("command", {})
KINDS: Final[Mapping[str, _Kind]] = {
    "bash": _COMMAND,
    "execute_command": _COMMAND,
    "commandtool": _COMMAND,
    "web_fetch": _Kind("web", {"tools": ["web_fetch"]}),
    "web_request": _Kind("web", {"tools": ["web_request"]}),
    "web_search": _Kind("web", {"tools": ["web_search"]}),
    "webtool": _Kind("web", {}),
}
"""By handler."""
_SIGNS: Final = frozenset(("allowed_commands", "denied_commands", "deny_by_default"))


def unfold(document: Document) -> None:
    """Give each such block its type, and declare what an agent uses without having declared it."""
    for where in list(matches(document.value, "tools.*")):
        block = document.value["tools"][where[-1]]
        if isinstance(block, dict):
            _unfold(block, str(where[-1]))
    for where in list(matches(document.value, "agents.*.tools.*")):
        _declare(document, where)


def _unfold(block: dict[str, Any], name: str) -> None:
    """A handler by name, or, for a block that says nothing about its kind, by the id of the block."""
    handler = block.get("handler")
    if handler is None and "type" not in block and _SIGNS.isdisjoint(block) and not {"url", "command"} & block.keys():
        handler = name
    kind = KINDS.get(str(handler).strip().lower()) if handler else None
    if kind is None or block.get("type", "function") not in {"function", kind.type}:
        if "type" not in block and not _SIGNS.isdisjoint(block):
            block["type"] = "command"
        return
    block.pop("handler", None)
    block["type"] = kind.type
    for key, value in kind.keys.items():
        block.setdefault(key, value)


def _declare(document: Document, where: tuple[str | int, ...]) -> None:
    agent, place = document.value["agents"][where[1]], where[-1]
    name = agent["tools"][place]
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        return
    declared = document.value.setdefault("tools", {})
    if isinstance(declared, dict) and name not in declared and not offered(declared, name):
        declared[name] = {"type": kind.type, **kind.keys}


def offered(declared: Mapping[str, Any], name: str) -> bool:
    """Whether a block offers that tool under its own name."""
    webs = (block for block in declared.values() if isinstance(block, dict) and block.get("type") == "web")
    return any(name in (block.get("tools") or KINDS) for block in webs)
