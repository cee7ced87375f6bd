"""A client of the server under attack, which remembers what it was told."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import httpx

from tests.chaos.process import PATIENCE

HEADERS: Final = {"A2A-Version": "1.0"}
AGENT: Final = "/agents/chaos"


@dataclass(slots=True)
class Client:
    """Sends messages; `acknowledged` are the ids of the tasks that it was given, by the name of the run."""

    http: httpx.AsyncClient
    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: int = 0

    async def send(
        self, url: str, run: str, plan: str, *, context: str | None = None, wait: bool = False
    ) -> dict[str, Any] | None:
        """Send `run RUN PLAN`; the task, or None if the connection broke or the answer was 503 (asked for again)."""
        text = f"run {run} {plan}"
        message: dict[str, Any] = {"messageId": str(uuid4()), "role": "ROLE_USER", "parts": [{"text": text}]}
        if context is not None:
            message["contextId"] = context
        body = {"message": message, "configuration": {"returnImmediately": not wait}}
        task = await self._post(f"{url}{AGENT}/message:send", body)
        if task is not None:
            self.acknowledged[run] = task["id"]
        return task

    async def _post(self, url: str, body: Any) -> dict[str, Any] | None:
        try:
            answer = await self.http.post(url, json=body)
        except httpx.TransportError:
            self.refused += 1
            return None
        if answer.status_code == 503:
            self.refused += 1
            return None
        if answer.status_code != 200:
            raise AssertionError(f"{url} answers {answer.status_code}: {answer.text}")
        found: dict[str, Any] = answer.json()["task"]
        return found

    async def task(self, url: str, task_id: str) -> dict[str, Any]:
        """A task as the server tells it."""
        answer = await self.http.get(f"{url}{AGENT}/tasks/{task_id}")
        if answer.status_code != 200:
            raise AssertionError(f"task {task_id}: {answer.status_code} {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    async def pending(self, url: str, task_id: str) -> list[dict[str, Any]]:
        """The requests for approval that a task's status message holds."""
        message = (await self.task(url, task_id))["status"].get("message", {})
        found = [part["data"] for part in message.get("parts", ()) if "data" in part]
        return [data for data in found if data.get("type") == "tool_approval_request"]

    async def decide(self, url: str, task_id: str, decisions: dict[str, str]) -> bool:
        """Answer what a task waits for; call id -> "approve" or "deny". False: the server is away."""
        parts = [
            {"data": {"type": "tool_approval", "tool_call_id": call, "decision": decision}}
            for call, decision in decisions.items()
        ]
        message = {"messageId": str(uuid4()), "role": "ROLE_USER", "parts": parts, "taskId": task_id}
        body = {"message": message, "configuration": {"returnImmediately": True}}
        return await self._post(f"{url}{AGENT}/message:send", body) is not None

    async def cancel(self, url: str, task_id: str) -> int:
        """Cancel a task; the status of the answer."""
        return (await self.http.post(f"{url}{AGENT}/tasks/{task_id}:cancel", json={})).status_code

    async def insist(self, url: str, task_id: str, call: str, decision: str) -> int:
        """Decide about a call without asking whether somebody else has done so; the status of the answer."""
        parts = [{"data": {"type": "tool_approval", "tool_call_id": call, "decision": decision}}]
        message = {"messageId": str(uuid4()), "role": "ROLE_USER", "parts": parts, "taskId": task_id}
        body = {"message": message, "configuration": {"returnImmediately": True}}
        return (await self.http.post(f"{url}{AGENT}/message:send", json=body)).status_code

    @contextlib.asynccontextmanager
    async def stream(
        self, url: str, task_id: str, last: str | None
    ) -> AsyncIterator[AsyncIterator[tuple[str, dict[str, Any]]]]:
        """Follow a task, behind the event `last` if one is given: ids and bodies of events."""
        headers = {"Last-Event-ID": last} if last is not None else {}
        async with self.http.stream("POST", f"{url}{AGENT}/tasks/{task_id}:subscribe", headers=headers) as answer:
            if answer.status_code != 200:
                raise AssertionError(f"{answer.status_code}: {(await answer.aread()).decode()}")
            yield _events(answer)


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("id:"):
            name = line[3:].strip()
        elif line.startswith("data:"):
            yield name, json.loads(line[5:])


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """With as many connections as it takes."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(headers=HEADERS, timeout=PATIENCE, limits=limits) as http:
        yield Client(http)
