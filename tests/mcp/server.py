"""An MCP server made with the official package. Usage: server.py stdio, or server.py sse|streamable-http PORT [TOKEN].

With a TOKEN, requests have to carry one that begins with it, and `/token` gives such tokens by client credentials.
"""

import asyncio
import os
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.types import ToolAnnotations
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

server = FastMCP("tests", log_level="ERROR")
PIXEL = b"\x89PNG\r\n\x1a\n"
given: list[str] = []


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(description=os.environ.get("DESCRIPTION", "Say it."))
def say(text: str) -> str:
    return f"said {text}"


@server.tool()
async def slow(seconds: float, note: str, ctx: Context[Any, Any, Any]) -> str:
    """Take long."""
    await ctx.report_progress(1, 2, "half")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        await asyncio.to_thread(Path(note).write_text, "cancelled", encoding="utf-8")
        raise
    return "done"


@server.tool()
def die() -> str:
    """End the server."""
    print("out of memory, or so", file=sys.stderr, flush=True)
    os._exit(3)


@server.tool(structured_output=False)
def picture() -> list[Any]:
    """A picture with words."""
    return ["look", Image(data=PIXEL, format="png")]


@server.tool()
def surroundings() -> dict[str, Any]:
    """Where it runs."""
    return {"cwd": os.getcwd(), "env": sorted(os.environ), "pid": os.getpid()}


@server.tool()
async def grow(ctx: Context[Any, Any, Any]) -> str:
    """Have one more tool."""
    server.add_tool(lambda: "new", name="fresh.tool", description="Came later.")
    await ctx.session.send_tool_list_changed()
    return "grown"


@server.tool()
def flood() -> str:
    """Write much to standard error."""
    for _ in range(200):
        print("x" * 10_000, file=sys.stderr)
    return "flooded"


@server.resource("note://one")
def note() -> str:
    """A note."""
    return "the note"


@server.prompt()
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Greet {name}."


def guarded(app: ASGIApp, token: str) -> ASGIApp:
    """The application behind access tokens."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        request = Request(scope, receive)
        who = request.headers.get("authorization", "")
        if request.url.path == "/token":
            form = await request.form() if "multipart" in request.headers.get("content-type", "") else {}
            right = who == "Basic " + b64encode(b"robot:s3cret").decode()
            given.append(f"{token}{len(given)}")
            answer = {"access_token": given[-1], "expires_in": 3600} if right else {"error": "invalid_client"}
            await JSONResponse({**answer, **form}, 200 if right else 401)(scope, receive, send)
        elif given and who == f"Bearer {given[-1]}":
            await app(scope, receive, send)
        else:
            await JSONResponse({"error": "who are you"}, 401)(scope, receive, send)

    return serve


def main() -> None:
    """Serve until killed."""
    kind, *rest = sys.argv[1:]
    if kind == "stdio":
        server.run("stdio")
        return
    app: ASGIApp = server.sse_app() if kind == "sse" else server.streamable_http_app()
    if len(rest) > 1:
        app = guarded(app, rest[1])
    uvicorn.run(app, host="127.0.0.1", port=int(rest[0]), log_level="error")


if __name__ == "__main__":
    main()
