"""Reference (a): what one writes in an afternoon: Starlette, uvicorn, stock httpx, one send per token, no storage."""

import argparse
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


def _question(agent: str, call: dict[str, Any], *, stream: bool) -> dict[str, Any]:
    text = "".join(part.get("text", "") for part in call["params"]["message"]["parts"])
    messages = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": text}]
    return {"model": agent, "messages": messages, "stream": stream}


def _task(task_id: str, state: str, text: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {"id": task_id, "contextId": str(uuid.uuid4()), "status": {"state": state}}
    if text is not None:
        body["artifacts"] = [{"artifactId": "answer", "parts": [{"text": text}]}]
    return body


def _token(line: str) -> str:
    if not line.startswith("data: ") or line == "data: [DONE]":
        return ""
    choices = json.loads(line[6:])["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else ""


class Proxy:
    """Forwards each turn to the model as one call."""

    def __init__(self, model_url: str) -> None:
        self._client = httpx.AsyncClient(base_url=model_url, timeout=120, limits=httpx.Limits(max_connections=None))

    async def turn(self, request: Request) -> Response:
        """POST /agents/{agent}."""
        call = await request.json()
        agent = request.path_params["agent"]
        if call["method"] == "SendStreamingMessage":
            return StreamingResponse(self._events(agent, call), media_type="text/event-stream")
        response = await self._client.post("/chat/completions", json=_question(agent, call, stream=False))
        text = response.json()["choices"][0]["message"]["content"]
        result = {"task": _task(str(uuid.uuid4()), "TASK_STATE_COMPLETED", text)}
        return JSONResponse({"jsonrpc": "2.0", "id": call.get("id"), "result": result})

    async def _events(self, agent: str, call: dict[str, Any]) -> AsyncIterator[str]:
        task_id = str(uuid.uuid4())

        def event(result: dict[str, Any]) -> str:
            return f"data: {json.dumps({'jsonrpc': '2.0', 'id': call.get('id'), 'result': result})}\n\n"

        yield event({"task": _task(task_id, "TASK_STATE_WORKING", None)})
        question = _question(agent, call, stream=True)
        async with self._client.stream("POST", "/chat/completions", json=question) as response:
            async for line in response.aiter_lines():
                if token := _token(line):
                    artifact = {"artifactId": "answer", "parts": [{"text": token}]}
                    yield event({"artifactUpdate": {"taskId": task_id, "artifact": artifact, "append": True}})
        yield event({"statusUpdate": {"taskId": task_id, "status": {"state": "TASK_STATE_COMPLETED"}}})


async def _health(request: Request) -> Response:
    return PlainTextResponse("ok")


def build(model_url: str) -> Starlette:
    """The application; `model_url` is an OpenAI base URL."""
    return Starlette(
        routes=[Route("/agents/{agent}", Proxy(model_url).turn, methods=["POST"]), Route("/health", _health)]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--http", default="auto")
    parser.add_argument("--loop", default="auto")
    given = parser.parse_args()
    uvicorn.run(
        build(given.model), port=given.port, http=given.http, loop=given.loop, log_level="warning", access_log=False
    )
