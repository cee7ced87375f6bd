"""A client of server-sent events by the book: an event counts once its blank line has come, ids are sent back."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx

ENDED = ("TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED")


@dataclass
class Client:
    """One reader of one task, which may be cut off and come back as often as it likes."""

    http: httpx.AsyncClient
    task_id: str
    texts: dict[str, str] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    events: list[tuple[str, bool]] = field(default_factory=list)
    """The id of every event, and whether it was a snapshot."""
    last: str = ""
    snapshots: int = 0
    needless: int = 0
    """Snapshots of a task that went on, although the server had been told a position behind which it could go on."""
    cuts: int = 0

    @property
    def text(self) -> str:
        """The answer, its artifacts joined."""
        return "".join(self.texts.values())

    @property
    def over(self) -> bool:
        """The task has ended."""
        return bool(self.states) and self.states[-1] in ENDED

    @property
    def was_told(self) -> bool:
        """The server that runs the task has told it something before the end, wherever it was connected."""
        return any(not name.startswith("0.0-") and not name.endswith("-end") for name, _ in self.events)

    async def follow(self, *urls: str, period: float | None = None) -> None:
        """Read to the end of the task, asking one server after the other, cut off every `period` seconds."""
        while not self.over:
            try:
                async with asyncio.timeout(period):
                    await self.read(urls[self.cuts % len(urls)])
            except (TimeoutError, httpx.TransportError):
                pass
            self.cuts += 1

    async def read(self, url: str) -> None:
        """One stream, from where the last one broke off."""
        headers = {"Last-Event-ID": self.last} if self.last else {}
        async with self.http.stream("GET", f"{url}/tasks/{self.task_id}:subscribe", headers=headers) as answer:
            if answer.status_code == 400 and not self.last:  # it ended before we were told anything
                self._take("0.0-end", "", {"task": (await self.http.get(f"{url}/tasks/{self.task_id}")).json()})
                return
            assert answer.status_code == 200, await answer.aread()
            name, data, kind = "", "", ""
            async for line in answer.aiter_lines():
                key, _, value = line.partition(": ")
                if not line and data:
                    self._take(name, kind, json.loads(data))
                if not line:
                    name, data, kind = "", "", ""
                elif key == "id":
                    name = value
                elif key == "data":
                    data = value
                elif key == "event":
                    kind = value

    def _take(self, name: str, kind: str, event: dict[str, Any]) -> None:
        if kind == "error":
            return
        before, self.last = self.last, name
        ((what, value),) = event.items()
        self.events.append((name, what == "task"))
        if what == "task":
            known = before and not before.startswith("0.0-")
            self.needless += bool(known) and value["status"]["state"] not in ENDED
            self.snapshots += 1
            self.texts = {found["artifactId"]: _text(found) for found in value.get("artifacts", ())}
            self.states.append(value["status"]["state"])
            return
        if what == "statusUpdate":
            self.states.append(value["status"]["state"])
        else:
            found = value["artifact"]
            before = self.texts.get(found["artifactId"], "") if value.get("append") else ""
            self.texts[found["artifactId"]] = before + _text(found)

    def check_once_in_order(self) -> None:
        """Behind each snapshot every event came once and in order, and the end came last."""
        before = ("0.0", "0")
        for name, is_snapshot in self.events:
            epoch, _, number = name.partition("-")
            if not is_snapshot and epoch == before[0] != "0.0":
                assert number in (str(int(before[1]) + 1), "end"), self.events
            before = (epoch, number)
        assert self.events[-1][0].endswith("-end")


def _text(artifact: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in artifact["parts"])
