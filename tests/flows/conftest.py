"""Agents that run others by a plan: the same service and models as for agents that work together."""

from typing import Any

from hector.core.content import Text
from hector.core.task import AgentDelta, Task, Update
from tests.together.conftest import company

__all__ = ("company",)


def echo(prefix: str) -> list[dict[str, Any]]:
    """A model that puts a word before the last thing it was told."""
    return [{"user": "(?s)(?P<all>.+)", "text": rf"{prefix}(\g<all>)"}]


def says(*texts: str) -> list[dict[str, Any]]:
    """A model that always says the same."""
    return [{"text": text} for text in texts]


def plan(kind: str, *steps: str, **more: Any) -> dict[str, Any]:
    """An agent that runs others."""
    return {"type": kind, "sub_agents": list(steps), **more}


def answer(task: Task) -> str:
    """The text of a task's answer."""
    return "".join(
        part.text for one in task.artifacts if one.name == "response" for part in one.parts if isinstance(part, Text)
    )


def aside(updates: list[Update]) -> dict[str, str]:
    """What was said besides the answer, by agent."""
    found: dict[str, str] = {}
    for one in updates:
        if isinstance(one, AgentDelta):
            found[one.author] = found.get(one.author, "") + "".join(delta.text for delta in one.deltas)
    return found
