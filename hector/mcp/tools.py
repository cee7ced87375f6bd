"""What a server offers as tools of ours: its own, and those that read its resources and prompts."""

import json
from typing import Any, Final

from hector.core.content import Content, JsonObject, Text
from hector.core.errors import ToolError
from hector.core.ports import ToolContext, ToolOutput, ToolSpec
from hector.core.record import dataclass
from hector.core.unseen import seen
from hector.mcp.content import block_of, content_of, legible, resource_of
from hector.mcp.offering import Offered
from hector.mcp.provider import Provider

_MOST_LISTED: Final = 200
_NOTHING: Final[JsonObject] = {"type": "object", "properties": {}, "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """A tool of the server, under the name that a model is given."""

    spec: ToolSpec
    provider: Provider
    original: str

    def check(self, args: JsonObject) -> None:
        """Raises ToolError for arguments that are missing; the server judges the rest."""
        missing = [name for name in self.spec.parameters.get("required", ()) if name not in args]
        if missing:
            raise ToolError(f"the arguments of {self.spec.name} do not fit: {', '.join(missing)} must be given")

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        """Raises ToolError when the server is away, or ends meanwhile."""
        self.check(args)

        def report(done: float, total: float | None, message: str | None) -> None:
            context.progress(_progress(done, total, message))

        result = await self.provider.call(self.original, args, report)
        return ToolOutput(content_of(result), is_error=bool(result.isError))


def _progress(done: float, total: float | None, message: str | None) -> str:
    share = f"{done:g}/{total:g}" if total else f"{done:g}"
    return f"{share}: {seen(message)[0][:500]}\n" if message else f"{share}\n"


def remote_tool(provider: Provider, offered: Offered, name: str) -> RemoteTool:
    """One of its own tools."""
    said = "\n".join(text for text in (provider.settings.description, offered.description) if text)
    return RemoteTool(ToolSpec(name, said, offered.parameters), provider, offered.name)


@dataclass(frozen=True, slots=True)
class ListTool:
    """Says which resources, or which prompts, the server has."""

    spec: ToolSpec
    provider: Provider
    kinds: tuple[str, ...]

    def check(self, args: JsonObject) -> None:
        """Takes nothing."""

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        """Raises ToolError when the server is away."""
        found: list[JsonObject] = []
        for kind in self.kinds:
            entries = await self.provider.listed(kind)
            found += [entry.model_dump(mode="json", by_alias=True, exclude_none=True) for entry in entries]
        left_out = len(found) - _MOST_LISTED
        note = f"\n[{left_out} more were left out]" if left_out > 0 else ""
        return ToolOutput((Text(legible(json.dumps(found[:_MOST_LISTED], ensure_ascii=False)) + note),))


@dataclass(frozen=True, slots=True)
class ReadTool:
    """Reads one resource."""

    spec: ToolSpec
    provider: Provider

    def check(self, args: JsonObject) -> None:
        """Raises ToolError unless there is a URI."""
        _text(args, "uri")

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        """Raises ToolError when the server has no such resource, or is away."""
        result = await self.provider.read(_text(args, "uri"))
        return ToolOutput(tuple(resource_of(one) for one in result.contents))


@dataclass(frozen=True, slots=True)
class PromptTool:
    """Fills in one prompt of the server."""

    spec: ToolSpec
    provider: Provider

    def check(self, args: JsonObject) -> None:
        """Raises ToolError unless there is a name, and texts for arguments."""
        _text(args, "name")
        _texts(args)

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        """Raises ToolError when the server has no such prompt, or is away."""
        result = await self.provider.ask("get_prompt", _text(args, "name"), _texts(args))
        content: list[Content] = []
        for message in result.messages:
            content += [Text(f"{message.role}:"), block_of(message.content)]
        return ToolOutput(tuple(content))


def _text(args: JsonObject, name: str) -> str:
    value = args.get(name)
    if not isinstance(value, str) or not value:
        raise ToolError(f"{name} must be a text")
    return value


def _texts(args: JsonObject) -> dict[str, str]:
    value = args.get("arguments") or {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ToolError("arguments must be an object of texts")
    return value


def extra_tools(provider: Provider, server: str, *, resources: bool, prompts: bool) -> dict[str, Any]:
    """Those for resources and prompts, by the names that end theirs."""
    found: dict[str, Any] = {}
    if resources:
        found["list_resources"] = ListTool(
            ToolSpec("", f"List the resources of {server}, with their URIs, and the templates of such URIs.", _NOTHING),
            provider,
            ("resources", "resource_templates"),
        )
        uri = {"uri": {"type": "string", "description": "as it was listed, or a template filled in"}}
        found["read_resource"] = ReadTool(
            ToolSpec("", f"Read a resource of {server}.", {"type": "object", "properties": uri, "required": ["uri"]}),
            provider,
        )
    if prompts:
        found["list_prompts"] = ListTool(
            ToolSpec("", f"List the prompts of {server}, with their arguments.", _NOTHING), provider, ("prompts",)
        )
        shape = {
            "name": {"type": "string", "description": "as it was listed"},
            "arguments": {"type": "object", "additionalProperties": {"type": "string"}},
        }
        found["get_prompt"] = PromptTool(
            ToolSpec(
                "", f"Fill in a prompt of {server}.", {"type": "object", "properties": shape, "required": ["name"]}
            ),
            provider,
        )
    return found
