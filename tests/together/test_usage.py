"""What agents use together adds up: over calls side by side, pauses, repairs and a model that was away."""

from pathlib import Path
from typing import Any

import pytest

from hector.core.content import Message, Text
from hector.core.ids import new_id
from hector.core.task import ClientMessage, Task, TaskState
from hector.store.usage import UsageQuery
from hector.tasks.service import SendOptions
from tests.limits.conftest import ANA, Process, process, settings

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
RULES: list[dict[str, Any]] = [
    {
        "system": "Chief",
        "turn": 0,
        "tool_calls": [
            {"name": "asks", "args": {"request": "go"}},
            {"name": "asks", "args": {"request": "go again"}},
            {"name": "counts", "args": {"request": "how many"}},
        ],
    },
    {"system": "Chief", "text": "done"},
    {"system": "Asks", "turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "which?"}}]},
    {"system": "Asks", "text": "one two three", "error": {"status": 503, "message": "overloaded", "times": 1}},
    {"system": "Counts", "user": "does not fit", "text": '{"n": 1}'},
    {"system": "Counts", "text": "many"},
]
AGENTS: dict[str, Any] = {
    "helper": {"instruction": "Chief.", "agent_tools": ["asks", "counts"], "tools": []},
    "asks": {"instruction": "Asks.", "tools": ["ask_user"]},
    "counts": {"instruction": "Counts.", "tools": [], "structured_output": {"schema": SCHEMA}},
}


async def answer(server: Process, task: Task, text: str) -> Task:
    message = ClientMessage(new_id(), Message("user", (Text(text),)), task.context_id, task.id)
    found = await server.service.send(ANA, "helper", message, SendOptions())
    assert isinstance(found, Task)
    return found


@pytest.mark.proves("limits.usage")
async def test_the_report_is_the_sum_of_the_log(tmp_path: Path) -> None:
    config = settings(*RULES, agents=AGENTS, limits={"usage": True})
    async with process(f"sqlite://{tmp_path / 'hector.db'}", config) as server:
        task = await server.send()
        for word in ("red", "blue"):
            assert task.status.state is TaskState.INPUT_REQUIRED, task.status
            task = await answer(server, task, word)
        assert task.status.state is TaskState.COMPLETED, task.status
        events = (await server.store.sessions.load(ANA, task.context_id)).events
        turns = [(event.author, event.usage) for event in events if event.usage is not None]
        await server.limits.folding.fold()
        report = (await server.store.usage.report(UsageQuery(by=("agent",)))).lines
        for agent in AGENTS:
            mine = [usage for author, usage in turns if author == agent]
            (line,) = [one for one in report if one.place.agent == agent]
            assert line.amounts.input == sum(usage.input for usage in mine)
            assert line.amounts.output == sum(usage.output for usage in mine)
            assert len(mine) == {"helper": 2, "asks": 4, "counts": 2}[agent]
