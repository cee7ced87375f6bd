"""Functions of a program that are called around an agent, its model and its tools.

Each may be plain or `async`; a plain one runs on the event loop and must not block. What it returns takes the place of
what would be done (before), or of what came of it (after); None changes nothing. An exception ends the run.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from hector.core.errors import AgentError, HectorError
from hector.core.record import dataclass

Hook: TypeAlias = Callable[..., Any]
KINDS: Final = ("before_agent", "after_agent", "before_model", "after_model", "before_tool", "after_tool")


@dataclass(frozen=True, slots=True)
class Hooks:
    """Those of one agent, in the order in which they are called; the first that returns something counts."""

    before_agent: tuple[Hook, ...] = ()
    after_agent: tuple[Hook, ...] = ()
    before_model: tuple[Hook, ...] = ()
    after_model: tuple[Hook, ...] = ()
    before_tool: tuple[Hook, ...] = ()
    after_tool: tuple[Hook, ...] = ()


async def call(hook: Hook, *given: Any) -> Any:
    """What a hook returns. Raises AgentError for whatever it raises, unless that is an error of ours already."""
    try:
        found = hook(*given)
        return await found if inspect.isawaitable(found) else found
    except HectorError:
        raise
    except Exception as error:
        name = getattr(hook, "__name__", repr(hook))
        raise AgentError(f"callback {name} failed: {type(error).__name__}: {error}") from error


async def first(hooks: tuple[Hook, ...], *given: Any) -> Any:
    """What the first of them returns that returns anything; None if none does."""
    for hook in hooks:
        found = await call(hook, *given)
        if found is not None:
            return found
    return None
