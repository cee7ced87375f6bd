"""An MCP server that reads documents, made with the official package."""

import os
from pathlib import Path

from mcp.server.fastmcp import FastMCP

server = FastMCP("documents", log_level="ERROR")
converted: dict[str, str] = {}


@server.tool()
def read_document(file_path: str) -> str:
    """Give a document as Markdown."""
    return f"# Read\n\nThis is {Path(file_path).name} of {file_path}."


@server.tool()
def read_optional(encoding: str = "utf-8", path: str = "") -> str:
    """Nothing is required of it."""
    return f"optional: {path} in {encoding}"


@server.tool()
def find_nothing(input: str) -> str:
    """Find no text."""
    return "  "


@server.tool()
def break_down(document: str) -> str:
    """Fail."""
    raise ValueError(f"cannot read {document}")


@server.tool()
def convert_document_into_docling_document(source: str) -> dict[str, str]:
    """Convert, and give the key of the result."""
    converted["key-1"] = source
    return {"from_cache": "no", "document_key": "key-1"}


@server.tool()
def export_docling_document_to_markdown(document_key: str, max_size: int | None = None) -> dict[str, str]:
    """Export what was converted."""
    return {"document_key": document_key, "markdown": f"# Docling\n\nConverted {converted[document_key]}."}


if __name__ == "__main__":
    if os.environ.get("NO_EXPORT"):
        server._tool_manager._tools.pop("export_docling_document_to_markdown")
    server.run("stdio")
