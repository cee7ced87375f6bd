"""Plain functions in threads that nobody has to wait for.

The event loop's own pool is small, shared, and joined when the process ends: a function that never returns would take
a thread from everybody else and then keep the process from ending. Here each call has a thread that dies with us.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

_AWAITED: "contextvars.ContextVar[asyncio.Future[Any]]" = contextvars.ContextVar("awaited")


def is_awaited() -> bool:
    """Whether somebody still waits for what this thread works on; what takes long asks now and then."""
    future = _AWAITED.get(None)
    return future is None or not future.done()


async def in_thread(name: str, function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """What the function returns or raises. Cancelling leaves it to itself, unless it asks is_awaited()."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()
    context.run(_AWAITED.set, future)

    def work() -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = context.run(function, **values)
        except StopIteration as error:  # no future takes it
            failure = RuntimeError(f"StopIteration: {error}")
        except BaseException as error:  # noqa: BLE001 - belongs to whoever waits
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, future, result, failure)

    threading.Thread(target=work, name=f"tool-{name}", daemon=True).start()
    return await future


def _settle(future: "asyncio.Future[Any]", result: Any, failure: BaseException | None) -> None:
    if future.done():
        return  # its caller was cancelled
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)
