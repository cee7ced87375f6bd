"""Tools of MCP servers that read documents, of a real server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hector.config.chunking import McpParsers
from hector.core.content import JsonObject
from hector.core.errors import ToolError
from hector.core.ports import ToolContext, ToolOutput, ToolSpec
from hector.core.retrieval import Chunk, Content, Extracted, Item
from hector.rag.chunking import Plain, Rules, chunk
from hector.rag.errors import Unreadable
from hector.rag.extract.reading import read
from hector.rag.parsers import Parsers, comes_first, remapped
from tests.mcp.conftest import PYTHON, Used, opened
from tests.rag.extract.writers import pdf

pytestmark = pytest.mark.asyncio(loop_scope="module")
SERVER = str(Path(__file__).with_name("documents_server.py"))
GOOD = pdf(["Native words."])
BAD = b"%PDF-1.7 broken"
DOCLING = "convert_document_into_docling_document"


class Tools:
    """The tools of a toolset, as documents are read with them; `calls` are those that were made."""

    def __init__(self, used: Used) -> None:
        self._used = used
        self.calls: list[tuple[str, JsonObject]] = []

    async def specs(self) -> Mapping[str, ToolSpec]:
        return {name: tool.spec for name, tool in (await self._used.offer()).tools.items()}

    async def call(self, name: str, args: JsonObject) -> ToolOutput:
        self.calls.append((name, args))
        tool = (await self._used.offer()).tools[name]
        return await tool.call(args, ToolContext("c", "a", "default", "u", "s", "t"))


class Gone:
    """A server that is away."""

    async def specs(self) -> Mapping[str, ToolSpec]:
        raise ToolError("the server is away")

    async def call(self, name: str, args: JsonObject) -> ToolOutput:
        raise ToolError("the server is away")


async def native(content: Content, rules: Rules) -> tuple[Extracted, list[Chunk]]:
    found = read(content)
    return found, chunk(found, rules)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[Used]:
    """One for all: its start takes a second."""
    async with opened(name="documents", command=PYTHON, args=(SERVER,)) as used:
        yield used


@pytest.fixture
def tools(server: Used) -> Tools:
    """Its tools, with nothing called yet."""
    return Tools(server)


async def said(
    tools: Any, data: bytes, name: str = "a.pdf", path: str = "/docs/in/a.pdf", **block: Any
) -> tuple[Any, str]:
    """What is known of a document, and its text, read with such a block."""
    section = McpParsers.model_validate({"extensions": ".pdf", **block})
    parsers = Parsers(section, tools, native, root="/docs")
    found, chunks = await parsers.read(Content(Item(name, name, "1"), data, path), Plain())
    return found, "\n".join(one.text for one in chunks)


@pytest.mark.proves("rag.parsers.priority")
async def test_tools_come_before_our_own_readers_by_priority(tools: Tools) -> None:
    found, text = await said(tools, GOOD, tool_names="read_document")
    assert text == "# Read\n\nThis is a.pdf of /docs/in/a.pdf."
    assert found.metadata == {"format": "pdf", "extractor": "read_document"}
    laters: list[dict[str, Any]] = [{"priority": 5}, {"prefer_native": True}]
    for later in laters:
        assert (await said(tools, GOOD, tool_names="read_document", **later))[1] == "Native words."
    _, text = await said(
        tools, b"plain", "a.log", "/docs/a.log", tool_names="read_document", extensions="log", prefer_native=True
    )
    assert text.startswith("# Read")
    assert (await said(tools, b"plain", "a.txt", tool_names="read_document"))[1] == "plain"


@pytest.mark.proves("rag.parsers.priority")
async def test_what_our_readers_cannot_read_goes_to_the_tools(tools: Tools) -> None:
    found, text = await said(tools, BAD, tool_names="read_document", prefer_native=True)
    assert text.startswith("# Read")
    assert "cannot be read here" in found.notes[0]


@pytest.mark.proves("rag.parsers.next")
async def test_errors_and_empty_results_are_noted_and_the_next_is_asked(tools: Tools) -> None:
    found, text = await said(tools, GOOD, tool_names="missing, break_down, find_nothing, read_document")
    assert text.startswith("# Read")
    assert [note.split(":")[0].split(" ")[0] for note in found.notes] == ["missing", "break_down", "find_nothing"]
    assert "there is no such tool; offered are:" in found.notes[0]
    assert "cannot read /docs/in/a.pdf" in found.notes[1]
    found, text = await said(tools, GOOD, tool_names="find_nothing")
    assert (text, found.notes) == ("Native words.", ("find_nothing found no text",))
    with pytest.raises(Unreadable, match="find_nothing found no text; .*damaged"):
        await said(tools, BAD, tool_names="find_nothing")
    with pytest.raises(Unreadable, match="damaged.*; break_down: "):
        await said(tools, BAD, tool_names="break_down", prefer_native=True)


@pytest.mark.proves("rag.parsers.next")
async def test_a_server_that_is_away_is_done_without() -> None:
    found, text = await said(Gone(), GOOD, tool_names="read_document")
    assert (text, found.notes) == ("Native words.", ("no tool reads it: the server is away",))


@pytest.mark.proves("rag.parsers.docling")
async def test_a_document_that_is_converted_first_is_exported_by_its_key(tools: Tools) -> None:
    found, text = await said(tools, GOOD, tool_names=DOCLING)
    assert text == "# Docling\n\nConverted /docs/in/a.pdf."
    assert tools.calls == [
        (DOCLING, {"source": "/docs/in/a.pdf"}),
        ("export_docling_document_to_markdown", {"document_key": "key-1"}),
    ]
    assert found.title == "Docling"


@pytest.mark.proves("rag.parsers.docling")
async def test_a_key_that_nobody_takes_is_told_of() -> None:
    async with opened(name="documents", command=PYTHON, args=(SERVER,), env={"NO_EXPORT": "1"}) as used:
        found, text = await said(Tools(used), GOOD, tool_names=DOCLING)
    assert text == "Native words."
    assert "no tool ..._as_markdown or ..._to_markdown takes it" in found.notes[0]


@pytest.mark.proves("rag.parsers.arguments")
async def test_the_path_goes_into_the_right_argument_as_the_server_sees_it(tools: Tools) -> None:
    await said(tools, GOOD, tool_names="read_optional", path_prefix="/mnt/share/")
    assert tools.calls == [("read_optional", {"path": "/mnt/share/in/a.pdf"})]
    assert remapped("/docs/in/a.pdf", "/docs", "") == "/docs/in/a.pdf"
    assert remapped("/elsewhere/a.pdf", "/docs", "/mnt") == "/mnt/a.pdf"
    item = Item("a.pdf", "a.pdf", "1")
    blocks: list[tuple[dict[str, Any], bool]] = [
        ({}, True), ({"priority": 5}, False), ({"prefer_native": True}, False), ({"priority": 6}, True),
    ]  # fmt: skip
    for block, first in blocks:
        assert comes_first(McpParsers.model_validate({"tool_names": "x", **block}), item) is first


@pytest.mark.proves("rag.parsers.arguments")
async def test_what_is_no_file_is_not_given_to_tools(tools: Tools) -> None:
    assert (await said(tools, GOOD, path="", tool_names="read_document"))[1] == "Native words."
    assert tools.calls == []


CONFIG = """
llms: {m: {provider: scripted, rules: [{text: hi}]}}
agents: {a: {llm: m}}
tools:
  documents: {type: mcp, command: PYTHON, args: [SERVER]}
document_stores:
  docs:
    source: {type: directory, path: docs}
    embedder: none
    mcp_parsers: {tool_names: [read_document], extensions: [.pdf], path_prefix: /mnt}
"""


@pytest.mark.slow
@pytest.mark.proves("rag.parsers.wired")
async def test_a_document_store_reads_with_the_tools_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "docs" / "in").mkdir(parents=True)
    (tmp_path / "docs" / "in" / "a.pdf").write_bytes(GOOD)
    (tmp_path / "docs" / "b.md").write_text("# Native\n\nOur own words.", "utf-8")
    (tmp_path / "hector.yaml").write_text(CONFIG.replace("PYTHON", PYTHON).replace("SERVER", SERVER), "utf-8")
    shown = b""
    for command in (["index"], ["search", "document markdown read"], ["search", "own words"]):
        program = await asyncio.create_subprocess_exec(
            PYTHON, "-m", "hector", *command, "--config", "hector.yaml", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        shown += (await program.communicate())[0]
        assert program.returncode == 0
    assert b"2 documents" in shown
    assert b"This is a.pdf of /mnt/in/a.pdf." in shown
    assert b"Our own words." in shown
