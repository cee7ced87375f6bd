"""Calls of a task that run: ended one by one by whoever the task belongs to."""

from typing import TYPE_CHECKING, Final

from pydantic import Field

from hector.auth.access import Access
from hector.core.errors import NotFound
from hector.core.task import TaskState
from hector.tasks.calls import end_elsewhere, end_here
from hector.web.endpoints import Ask, Endpoint, Shape

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts


_WIDGET: Final = "tool_"
"""What user interfaces put before the id of a call."""


class CanceledCallShape(Shape):
    """A call that was told to end."""

    cancelled: bool = Field(description="Always true: what cannot be canceled is not found.")
    task_id: str
    call_id: str


class CallEndpoints:
    """The endpoints."""

    def __init__(self, parts: "Parts") -> None:
        self._tasks = parts.tasks
        self._store = parts.store

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        return (
            Endpoint(
                "POST", "/tasks/{id}/toolCalls/{call}/cancel", Access.AGENTS,
                "End a running command of a task; the model is told, and the run goes on", self.cancel, "tasks",
                CanceledCallShape, ids={"id": "task", "call": "call"}, action="call.cancel",
            ),
        )  # fmt: skip

    async def cancel(self, ask: Ask) -> Shape:
        """End one. Raises NotFound."""
        task, call = ask.id(), ask.id("call")
        caller = ask.principal.caller(ask.app())
        found = await self._tasks.get(caller, None, task, history_length=0)
        key = (caller.app, found.id, call.removeprefix(_WIDGET))
        if not end_here(key):
            if found.status.state is not TaskState.WORKING or self._tasks.runs_here(found.id):
                raise NotFound("running call", call[:80])
            await end_elsewhere(self._store, key)
        return CanceledCallShape(cancelled=True, task_id=task, call_id=call)
