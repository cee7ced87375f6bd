"""Remembers what was said in a turn, after it has ended: nobody waits for it, and it is not lost."""

from collections.abc import Iterable, Sequence
from typing import Final

from hector.agents.history import DECISIONS, in_turns, this_run
from hector.core.content import Message, Text
from hector.core.errors import NotFound
from hector.core.event import Event
from hector.core.job import Job, NewJob
from hector.core.task import Caller
from hector.observe import metrics
from hector.store import Store
from hector.store.memories import NewMemory
from hector.store.terms import terms_of
from hector.tasks.outcome import Done, Outcome

LATER: Final = -2
"""The priority of such jobs: behind runs and deliveries."""


def job_for(caller: Caller, task_id: str, context_id: str, invocation: str, keep: float, most: int) -> NewJob:
    """The job that remembers a turn; what it says is kept for so many seconds (0: for ever)."""
    payload = {"context": context_id, "invocation": invocation, "keep": keep, "most": most}
    return NewJob("remember", caller, task_id, payload, priority=LATER)


class Remembering:
    """`core.outcome.Handler` of the kind "remember". Done twice, it changes nothing: each memory has its event's id."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, job: Job) -> Outcome:
        payload, caller = job.payload, job.caller
        try:
            session = await self._store.sessions.load(caller, payload["context"])
        except NotFound:
            return Done()
        invocation = payload["invocation"]
        said = this_run(in_turns(session.events, invocation), invocation)
        found = tuple(_memories(said, payload["context"], payload["keep"]))
        if found:
            await self._store.memories.add(caller, found, payload["most"])
            if metrics.current is not None:
                metrics.current.memory_indexed.add(caller.app, "keyword", amount=len(found))
        return Done()


def _memories(events: Sequence[Event], context_id: str, keep: float) -> Iterable[NewMemory]:
    """What the user said, and the answer: not what happened in between."""
    asked = [event for event in events if event.author == "user" and DECISIONS not in (event.metadata or {})]
    answers = [event for event in events if _is_answer(event)]
    for event in (*asked, *answers[-1:]):
        text = text_of(event.message)
        if not terms_of(text):
            continue
        who = "The user said" if event.author == "user" else f"{event.author} answered"
        expires = event.at + keep if keep else None
        yield NewMemory(event.id, f"{who}: {text}", "turn", context_id, event.id, event.author, event.at, expires)


def _is_answer(event: Event) -> bool:
    return not event.branch and event.message.role == "assistant" and not event.message.tool_calls


def text_of(message: Message) -> str:
    """What was said in words."""
    return "\n".join(part.text for part in message.parts if isinstance(part, Text)).strip()
