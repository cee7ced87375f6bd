"""A list of what is to be done, kept with the session: the model's own plan, and what people see of it."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from hector.core.content import Data, Text
from hector.core.errors import ToolError
from hector.core.ports import ToolContext, ToolOutput
from hector.tools.function import idempotent

STATE: Final = "todos"
"""The key of the session's state that holds the list: rows with id, content and status."""
MOST: Final = 200


class Todo(BaseModel):
    """One row."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=100, description="a short name that stays the same")
    content: str = Field(min_length=1, max_length=2000, description="what is to be done")
    status: Literal["pending", "in_progress", "completed", "canceled"] = "pending"


@idempotent
async def todo_write(
    context: ToolContext,
    merge: Annotated[bool, Field(description="true: change these rows by their ids; false: this is the whole list")],
    todos: Annotated[list[Todo], Field(description="the rows", min_length=1, max_length=MOST)],
) -> ToolOutput:
    """Keep a list of what is to be done, for work of several steps. People see it; it is kept with the conversation."""
    rows = _merged(context.state.get(STATE), todos) if merge else {}
    rows |= {one.id: one.model_dump() for one in todos}
    if len(rows) > MOST:
        raise ToolError(f"the list would have {len(rows)} rows; {MOST} is the most: drop what is done")
    found = list(rows.values())
    summary = ", ".join(f"{_count(found, status)} {status}" for status in _order(found))
    facts = {"summary": summary, "session_id": context.session_id, "merge": merge, "count": len(found), "todos": found}
    shown = "\n".join(f"[{_MARKS[row['status']]}] {row['id']}: {row['content']}" for row in found)
    return ToolOutput((Text(f"{len(found)} rows: {summary}\n{shown}"), Data(facts)), state={STATE: found})


_MARKS: Final = {"pending": " ", "in_progress": ">", "completed": "x", "canceled": "-"}


def _merged(kept: Any, fresh: list[Todo]) -> dict[str, dict[str, Any]]:
    """The rows that stand, by id. Another list under that key is none of ours, and counts as empty."""
    rows = kept if isinstance(kept, list) else []
    return {
        str(row["id"]): dict(row) for row in rows if isinstance(row, dict) and {"id", "content", "status"} <= set(row)
    }


def _count(rows: list[dict[str, Any]], status: str) -> int:
    return sum(row["status"] == status for row in rows)


def _order(rows: list[dict[str, Any]]) -> list[str]:
    return [status for status in _MARKS if _count(rows, status)]
