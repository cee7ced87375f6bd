"""Documents that tools of MCP servers read, before or behind the readers that Hector has itself.

Which comes first is decided by priority: a reader for the format has 5, plain text has 1. What gives nothing, or an
error, is noted, and the next one is asked.
"""

import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, Protocol, TypeAlias

from hector.core.content import Data, JsonObject, Text
from hector.core.errors import HectorError
from hector.core.ports import ToolOutput, ToolSpec
from hector.core.record import dataclass
from hector.core.retrieval import Chunk, Content, Extracted, Item
from hector.rag.chunking import Rules
from hector.rag.errors import Unreadable
from hector.rag.extract import formats

Native: TypeAlias = Callable[[Content, Rules], Awaitable[tuple[Extracted, Sequence[Chunk]]]]
"""Our own readers: `pool.Readers.read`."""
MARKDOWN: Final = "text/markdown"
_BELOW_NATIVE: Final = formats.NATIVE - 1
_ARGUMENTS: Final = ("file_path", "path", "input", "document")
_EXPORTS: Final = ("_as_markdown", "_to_markdown")
"""How tools are called that give a document which another one has converted."""
_KEY: Final = "document_key"
_TEXTS: Final = ("markdown", "text", "content", "result", "output")


class Settings(Protocol):
    """The block `mcp_parsers`."""

    @property
    def tool_names(self) -> Sequence[str]:
        """The tools, in the order in which they are tried."""

    @property
    def extensions(self) -> Sequence[str]:
        """Endings with their dot, in small letters."""

    @property
    def priority(self) -> int:
        """What has more reads first."""

    @property
    def prefer_native(self) -> bool:
        """Come after the readers for a format."""

    @property
    def path_prefix(self) -> str:
        """What stands for the source's folder."""


class Tools(Protocol):
    """The tools of MCP servers that an app has."""

    async def specs(self) -> Mapping[str, ToolSpec]:
        """All that are offered, by name. Raises HectorError."""

    async def call(self, name: str, args: JsonObject) -> ToolOutput:
        """Raises HectorError where there is no answer."""


class Parsers:
    """Reads documents with tools and with our own readers, whichever come first. `root`: the source's own folder."""

    def __init__(self, settings: Settings, tools: Tools, native: Native, root: str = "") -> None:
        self._settings, self._tools, self._native = settings, tools, native
        self._root = os.path.abspath(root) if root else ""

    async def read(self, content: Content, rules: Rules) -> tuple[Extracted, Sequence[Chunk]]:
        """As our own readers do. Raises Unreadable with every reason."""
        path = self._path(content)
        if not path or formats.ending(content.item.name) not in self._settings.extensions:
            return await self._native(content, rules)
        if comes_first(self._settings, content.item):
            return await self._tools_first(content, path, rules)
        try:
            return await self._native(content, rules)
        except Unreadable as error:
            read, notes = await self._by_tools(content.item, path, rules)
            if read:
                return _noted(read, [f"read by a tool, as it cannot be read here: {error}"])
            raise Unreadable("; ".join([str(error), *notes])) from None

    async def _tools_first(self, content: Content, path: str, rules: Rules) -> tuple[Extracted, Sequence[Chunk]]:
        read, notes = await self._by_tools(content.item, path, rules)
        if read:
            return read
        try:
            return _noted(await self._native(content, rules), notes)
        except Unreadable as error:
            raise Unreadable("; ".join([*notes, str(error)])) from None

    async def _by_tools(
        self, item: Item, path: str, rules: Rules
    ) -> tuple[tuple[Extracted, Sequence[Chunk]] | None, list[str]]:
        """What the first tool that has something to say says; and what the others did not."""
        notes: list[str] = []
        try:
            specs = await self._tools.specs()
        except HectorError as error:
            return None, [f"no tool reads it: {error}"]
        for name in self._settings.tool_names:
            try:
                text = await _Calls(self._tools, specs).text(name, path)
            except HectorError as error:
                notes.append(f"{name}: {error}"[:300])
                continue
            if not text.strip():
                notes.append(f"{name} found no text")
                continue
            extracted, chunks = await self._native(_as_markdown(item, text), rules)
            metadata = {**extracted.metadata, "format": formats.ending(item.name)[1:], "extractor": name}
            return (Extracted(extracted.title, (), metadata, (*notes, *extracted.notes)), chunks), notes
        return None, notes

    def _path(self, content: Content) -> str:
        """Where a tool finds the document: its file, or its address; empty: nowhere."""
        if not content.path:
            return content.item.uri if "://" in content.item.uri else ""
        return remapped(content.path, self._root, self._settings.path_prefix)


def comes_first(settings: Settings, item: Item) -> bool:
    """Whether tools read an item before our own readers do."""
    priority = min(settings.priority, _BELOW_NATIVE) if settings.prefer_native else settings.priority
    return priority > formats.priority(item)


def remapped(path: str, root: str, prefix: str) -> str:
    """A path as a server sees it that has the source's folder elsewhere."""
    if not prefix:
        return path
    file = PurePath(path)
    inner = file.relative_to(root) if root and file.is_relative_to(root) else PurePath(file.name)
    return f"{prefix.rstrip('/')}/{inner.as_posix()}"


def argument(spec: ToolSpec) -> str:
    """The argument of a tool that takes a path: the first that it requires, else the first that is called like one."""
    required = spec.parameters.get("required")
    if isinstance(required, list) and required:
        return str(required[0])
    known = spec.parameters.get("properties")
    return next((name for name in _ARGUMENTS if isinstance(known, dict) and name in known), _ARGUMENTS[0])


@dataclass(frozen=True, slots=True)
class _Calls:
    """The calls that one document takes."""

    tools: Tools
    specs: Mapping[str, ToolSpec]

    async def text(self, name: str, path: str) -> str:
        """What a tool says of a document. Raises Unreadable, or what the call raises."""
        spec = self.specs.get(name)
        if spec is None:
            offered = ", ".join(sorted(self.specs)[:10]) or "none"
            raise Unreadable(f"there is no such tool; offered are: {offered}")
        said = _said(await self.tools.call(name, {argument(spec): path}))
        key = said.get(_KEY) if isinstance(said, dict) else None
        if not isinstance(key, str):
            return _text(said)
        return await self._exported(key)

    async def _exported(self, key: str) -> str:
        """A document that has been converted, and is asked for by its key."""
        export = next((self.specs[name] for name in sorted(self.specs) if name.endswith(_EXPORTS)), None)
        if export is None:
            raise Unreadable("it gives a document_key, but no tool ..._as_markdown or ..._to_markdown takes it")
        properties = export.parameters.get("properties")
        takes = _KEY if isinstance(properties, dict) and _KEY in properties else argument(export)
        return _text(_said(await self.tools.call(export.name, {takes: key})))


def _said(output: ToolOutput) -> Any:
    """Text, or the value that it is the JSON of. Raises Unreadable for an error."""
    texts = [part.text for part in output.content if isinstance(part, Text)]
    if output.is_error:
        raise Unreadable(" ".join(texts)[:250] or "it failed")
    data = next(
        (part.value for part in output.content if isinstance(part, Data) and isinstance(part.value, dict)), None
    )
    if data is not None and (_KEY in data or not texts):
        return data
    text = "\n\n".join(texts)
    if not text.lstrip().startswith("{"):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) and (_KEY in value or _text(value)) else text


def _text(said: Any) -> str:
    """The text in what a tool said."""
    if isinstance(said, dict):
        return next((said[name] for name in _TEXTS if isinstance(said.get(name), str)), "")
    return said if isinstance(said, str) else ""


def _as_markdown(item: Item, text: str) -> Content:
    return Content(Item(item.id, item.name, item.fingerprint, item.uri, media_type=MARKDOWN), text)


def _noted(read: tuple[Extracted, Sequence[Chunk]], notes: Sequence[str]) -> tuple[Extracted, Sequence[Chunk]]:
    extracted, chunks = read
    return Extracted(extracted.title, (), extracted.metadata, (*notes, *extracted.notes)), chunks
