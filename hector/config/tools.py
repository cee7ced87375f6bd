"""Tools: one class per kind, told apart by `type`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from hector.config.base import Section
from hector.config.handlers import FILE_TOOLS
from hector.config.tagged import ByTag

if TYPE_CHECKING:
    from hector.config.toolbase import ToolBase

    Tool: TypeAlias = ToolBase

GENERIC_TOOLS: Final = (
    "ask_user", "current_time", "escalate", "exit_loop", "forget", "list_artifacts", "load_artifact", "memory_search",
    "reject_task", "remember", "reply_directly", "request_approval", "save_artifact", "todo_write",
)  # fmt: skip
"""Handlers that every installation has; agents may name them without declaring them."""
FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "filetool": ("text_editor", "apply_patch", "grep_search", "list_files"),
    "memorytool": ("memory_search", "remember", "forget"),
    "todotool": ("todo_write",),
}
"""Handlers that offer several tools, under their own names."""
SEARCH: Final = "search"
"""The handler that searches the document stores of the agent that has it."""
BUILT_IN: Final = (*GENERIC_TOOLS, *FILE_TOOLS, *FAMILIES, SEARCH)
"""All handlers of our own."""


def _function() -> "type[ToolBase]":
    from hector.config.functiontool import FunctionTool  # noqa: PLC0415 - loaded for the first block of its kind

    return FunctionTool


def _mcp() -> "type[ToolBase]":
    from hector.config.mcp import McpTool  # noqa: PLC0415 - loaded for the first block of its kind

    return McpTool


def _command() -> "type[ToolBase]":
    from hector.config.command import CommandTool  # noqa: PLC0415 - loaded for the first block of its kind

    return CommandTool


def _web() -> "type[ToolBase]":
    from hector.config.webtools import WebTool  # noqa: PLC0415 - loaded for the first block of its kind

    return WebTool


TYPES: Final[Mapping[str, "Callable[[], type[ToolBase]]"]] = {
    "function": _function,
    "mcp": _mcp,
    "command": _command,
    "web": _web,
}
"""By `type`. Those of other modules are imported in their functions, for the first block of their kind."""


def kind_of(block: Mapping[str, Any]) -> str:
    """The kind of a block that does not name it: what its keys belong to."""
    for kind, keys in _SIGNS.items():
        if not keys.isdisjoint(block):
            return kind
    return "function"


_SIGNS: Final = {
    "function": frozenset(("handler", "parameters")),
    "mcp": frozenset(("url", "transport", "command", "args", "filter")),
    "command": frozenset(("allowed_commands", "denied_commands", "deny_by_default")),
}
"""Keys that only one kind has."""

if not TYPE_CHECKING:
    Tool = Annotated[Section, ByTag("type", TYPES, kind_of)]
