"""Under which conditions a configured tool is called."""

from hector.config.tools import Tool
from hector.core.ports import OnUnknown, ToolPolicy


def policy_of(tool: Tool, *, idempotent: bool) -> ToolPolicy:
    """The policy of a tool; `idempotent` is what its function says of itself, the file may know better."""
    harmless = idempotent if tool.idempotent is None else tool.idempotent
    on_unknown: OnUnknown = tool.on_unknown or ("retry" if harmless else "ask")
    return ToolPolicy(tool.require_approval, tool.approval_prompt, tool.approval_expires or None, on_unknown)
