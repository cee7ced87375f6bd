"""A model whose calls are counted; only where metrics are wanted."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import cached_property

from hector.core.errors import HectorError
from hector.core.event import Delta
from hector.core.ports import ChatModel, ModelReply, ModelRequest
from hector.observe.metrics_series import Distribution, Value
from hector.observe.metrics_table import Metrics


class Counted:
    """A ChatModel over another one. `labels` are those that its series have: model and provider."""

    def __init__(self, model: ChatModel, metrics: Metrics, app: str, labels: tuple[str, str]) -> None:
        self._inner = model
        self._metrics = metrics
        self._app = app
        self._labels = labels

    async def complete(self, request: ModelRequest) -> ModelReply:
        """As ChatModel says."""
        began = self._begin()
        try:
            reply = await self._inner.complete(request)
            self._pay(reply)
            return reply
        except Exception as error:
            self._failed(error)
            raise
        finally:
            self._cells[1].observe(time.perf_counter() - began)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        """As ChatModel says."""
        began = self._begin()
        try:
            async with aclosing(self._inner.stream(request)) as items:
                async for item in items:
                    if isinstance(item, ModelReply):
                        self._pay(item)
                    yield item
        except Exception as error:
            self._failed(error)
            raise
        finally:
            self._cells[1].observe(time.perf_counter() - began)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()

    @cached_property
    def _cells(self) -> tuple[Value, Distribution, Value, Value]:
        """Calls, seconds, tokens in, tokens out. An app that is made anew has new models."""
        metrics, place = self._metrics, (self._app, *self._labels)
        calls, seconds = metrics.llm_calls.cell(*place), metrics.llm_seconds.cell(*place)
        return calls, seconds, metrics.llm_input.cell(*place), metrics.llm_output.cell(*place)

    def _begin(self) -> float:
        self._cells[0].value += 1
        return time.perf_counter()

    def _pay(self, reply: ModelReply) -> None:
        self._cells[2].value += reply.usage.input
        self._cells[3].value += reply.usage.output

    def _failed(self, error: Exception) -> None:
        code = error.code if isinstance(error, HectorError) else "defect"
        self._metrics.llm_errors.add(self._app, *self._labels, code)


class StartableCounted(Counted):
    """The same for a model that has something to bring up before its first answer."""

    async def start(self) -> None:
        """Bring it up. Raises ModelError."""
        await self._inner.start()  # type: ignore[attr-defined]


def counted(model: ChatModel, metrics: Metrics, app: str, labels: tuple[str, str]) -> ChatModel:
    """The model with its calls counted."""
    kind = StartableCounted if hasattr(model, "start") else Counted
    return kind(model, metrics, app, labels)
