"""Several streams of steps at the same time, as one: what tools and called agents do side by side in one turn."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

from hector.agents.approval import Waiting
from hector.agents.invoke import Answered
from hector.core.errors import AgentError
from hector.core.event import Output

Step: TypeAlias = Output | Answered | Waiting
_Item: TypeAlias = tuple[int, Step | None, asyncio.Event | None]
_OVER: Final = None


async def together(sources: Sequence[AsyncGenerator[Step]]) -> AsyncGenerator[Step]:
    """What any of the sources yields, as it comes; a source goes on when its item has been dealt with.

    What ends or pauses the run is held back until all sources have ended, and then comes in their order. The error of a
    source does not stop the others, so that nothing is cut off: the first is raised at the end.
    """
    queue: asyncio.Queue[_Item] = asyncio.Queue()
    tasks = [asyncio.create_task(_pump(at, source, queue)) for at, source in enumerate(sources)]
    held: dict[int, list[Step]] = {at: [] for at in range(len(tasks))}
    try:
        left = len(tasks)
        while left:
            at, step, taken = await queue.get()
            if step is None or taken is None:
                left -= 1
            elif isinstance(step, Waiting) or (isinstance(step, Answered) and step.control is not None):
                held[at].append(step)
                taken.set()
            else:
                yield step
                taken.set()
        await asyncio.wait(tasks)
        for steps in held.values():
            for step in steps:
                yield step
        _raise(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # those that are not raised have been overtaken


def _raise(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """The first error of tasks that have ended."""
    for task in tasks:
        if task.cancelled():  # not by us: what it waited for was
            raise AgentError("what a tool or a called agent waited for was cancelled")
        task.result()


async def _pump(at: int, source: AsyncGenerator[Step], queue: "asyncio.Queue[_Item]") -> None:
    try:
        async with aclosing(source) as steps:
            async for step in steps:
                taken = asyncio.Event()
                queue.put_nowait((at, step, taken))
                await taken.wait()
    finally:
        queue.put_nowait((at, _OVER, None))
