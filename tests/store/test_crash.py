"""What was acknowledged is there after the process is killed."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from hector.core.task import TaskQuery, TaskState
from hector.store import open_store
from tests.store.turns import ME

ROOT = Path(__file__).parents[2]
CHILD = """
import asyncio, sys
from hector.store import open_store
from tests.store.turns import answer, begin, done

async def converse(store, number):
    turn = 0
    while True:
        accepted = await begin(store, f"q{turn}", task=f"{number}-{turn}", context=f"c{number}")
        print("accepted", accepted.task.id, flush=True)
        assert await store.tasks.record(done(accepted, answer(f"a{turn}", state={"turn": turn})))
        print("done", accepted.task.id, flush=True)
        turn += 1

async def main():
    store = await open_store(sys.argv[1])
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(converse(store, number))

asyncio.run(main())
"""


async def killed_after(lines: int, dsn: str) -> tuple[set[str], set[str]]:
    """Let a process write until it has acknowledged so much, then kill it: the ids that it accepted and finished."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, dsn, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    said = [await child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    said += (await child.stdout.read()).splitlines(keepends=True)
    assert await child.wait() == -signal.SIGKILL
    words = [line.split() for line in said if line.endswith(b"\n")]
    accepted = {word[1].decode() for word in words if word[0] == b"accepted"}
    return accepted, {word[1].decode() for word in words if word[0] == b"done"}


@pytest.mark.proves("state.crash", "durability.sessions", "durability.tasks")
@pytest.mark.parametrize("lines", [1, 50, 500])
async def test_nothing_acknowledged_is_lost(lines: int, file: Path) -> None:
    accepted, finished = await killed_after(lines, f"sqlite://{file}")
    store = await open_store(f"sqlite://{file}")  # the lock went with its owner
    for task_id in accepted:
        task = await store.tasks.get(ME, task_id)
        assert task.status.state is TaskState.COMPLETED or task_id not in finished
        assert [artifact.id for artifact in task.artifacts] == ["answer-1"] or task_id not in finished
    for number in range(8):
        turns = [task_id for task_id in finished if task_id.startswith(f"{number}-")]
        if turns:
            session = await store.sessions.load(ME, f"c{number}")
            texts = [event.message.text for event in session.events]
            assert texts[: 2 * len(turns)] == [f"{kind}{turn}" for turn in range(len(turns)) for kind in "qa"]
            assert session.state["turn"] >= len(turns) - 1
    running = (await store.tasks.list(ME, None, TaskQuery(state=TaskState.WORKING))).total
    assert (await store.queue.statistics()).processing >= running
    await store.aclose()
