"""Writes docs/api.md, the table of all endpoints, from the OpenAPI document that a server gives."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.observability import Metrics
from hector.config.root import HectorConfig
from hector.core.clock import SystemClock
from hector.store import open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from hector.web.app import create_app
from hector.web.metrics import Watched

PAGE: Final = Path(__file__).parents[1] / "docs" / "api.md"
_HEAD: Final = """# Endpoints

Written by `python -m scripts.reference` from the table that the server itself is made of; a server gives the same with
every field as OpenAPI 3.1 at `/openapi.json`. Required fields have a `!`. What the rights mean, and which role has
which, is in [Authentication](guide/authentication.md); how to use it all, in [The Admin API](guide/admin-api.md) and
[the A2A surface](a2a.md).
"""


_HEADS: Final = {"openai": "OpenAI's API", "mcp": "MCP"}


async def document() -> dict[str, Any]:
    """The OpenAPI document of a server with nothing in it."""
    config = HectorConfig.model_validate(
        {"llms": {"default": {"provider": "scripted", "rules": []}}, "agents": {"one": {"instruction": "Help."}}}
    )
    store = await open_store("sqlite://:memory:")
    apps = Apps(build(config, Catalog(())))
    try:
        async with TaskService(apps, store, SystemClock(), config.server) as tasks:
            transport = httpx.ASGITransport(
                create_app(tasks, apps, store, config.server, watched=Watched.of(Metrics(enabled=True)))
            )
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                found: dict[str, Any] = (await client.get("/openapi.json")).json()
                return found
    finally:
        await apps.aclose()
        await store.aclose()


def page() -> str:
    """The whole page."""
    found = asyncio.run(document())
    return "\n".join([_HEAD, *_tables(found)]) + "\n"


def _tables(found: dict[str, Any]) -> Iterator[str]:
    for tag in found["tags"]:
        yield f"## {_HEADS.get(tag['name'], tag['name'].capitalize())}\n"
        yield "| Endpoint | Right | What it does | Parameters and fields | Answers |"
        yield "| --- | --- | --- | --- | --- |"
        for path, methods in found["paths"].items():
            for method, one in methods.items():
                if tag["name"] in one["tags"]:
                    yield _row(path, method, one, found["components"]["schemas"])
        yield ""


def _row(path: str, method: str, one: dict[str, Any], schemas: dict[str, Any]) -> str:
    codes = ", ".join(code for code in one["responses"] if code not in ("500", "503"))
    cells = (f"`{method.upper()} {path}`", one["x-access"], one["summary"], ", ".join(_fields(one, schemas)), codes)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _fields(one: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    for parameter in one["parameters"]:
        if parameter["in"] == "query":
            yield f"`{parameter['name']}`"
    content = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    schema = schemas.get(content.get("$ref", "").rpartition("/")[2], {})
    required = schema.get("required", ())
    for name in schema.get("properties", {}):
        yield f"`{name}`{'!' if name in required else ''}"
