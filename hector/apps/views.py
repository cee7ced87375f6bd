"""Wiring of what an agent is shown of its conversations."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hector.config.context import Context, Recall

if TYPE_CHECKING:
    from hector.agents.documents import Documents
    from hector.agents.views import Views
    from hector.core.ports import ChatModel


def views_of(
    context: Context,
    memory: Recall | None,
    own: str,
    model: Callable[[str], "ChatModel"],
    documents: "Documents | None" = None,
) -> "Views | None":
    """None for an agent that is shown the conversation as it is, and nothing else. `own` is the id of its model.

    `memory` is None where the server remembers nothing; `model` makes a model of an id; `documents` are looked up.
    """
    recall = memory if memory is not None and memory.recall else None
    if context.strategy == "none" and recall is None and documents is None:
        return None
    from hector.agents.views import Views  # noqa: PLC0415 - loaded where anything of it is asked for

    name = context.summarizer_llm or own
    return Views(context, recall, lambda: model(name), name if name != own else "", documents)
