"""Python functions as tools."""

from collections.abc import Callable
from typing import Any, TypeVar, overload

from hector.tools.function import idempotent as _idempotent
from hector.tools.function import requires_approval

F = TypeVar("F", bound=Callable[..., Any])


@overload
def tool(function: F) -> F: ...
@overload
def tool(*, approval: bool = False, prompt: str = "", idempotent: bool = False) -> Callable[[F], F]: ...
def tool(function: Any = None, *, approval: bool = False, prompt: str = "", idempotent: bool = False) -> Any:
    """Mark a function as a tool: its name, type hints and docstring are what the model sees.

    `approval`: a person is asked before each call, with `prompt` as the question. `idempotent`: a call that a crash has
    cut off may simply be made again. Functions without any mark are tools as well, where an agent is given them.
    """

    def mark(found: F) -> F:
        if approval or prompt:
            found = requires_approval(prompt)(found)
        return _idempotent(found) if idempotent else found

    return mark if function is None else mark(function)
