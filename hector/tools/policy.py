"""Under which conditions a tool is called: what its function is marked with, as the configuration changes it."""

from hector.config.tools import Tool
from hector.core.ports import OnUnknown, ToolPolicy


def policy_of(own: ToolPolicy, tool: Tool | None) -> ToolPolicy:
    """The policy of a tool. `tool` is None for one that is used without having been declared."""
    if tool is None:
        return own
    approval = own.approval if tool.require_approval is None else tool.require_approval
    prompt, expires = tool.approval_prompt or own.prompt, tool.approval_expires or own.expires
    return ToolPolicy(approval, prompt, expires, tool.on_unknown or _by_nature(own, tool))


def _by_nature(own: ToolPolicy, tool: Tool) -> OnUnknown:
    if tool.idempotent is None:
        return own.on_unknown
    return "retry" if tool.idempotent else "ask"
