"""One run of a task: the agent's outputs become updates for those who watch and records for the store."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import field, replace
from typing import Final, Literal

from hector.core.clock import Clock
from hector.core.content import Message, Text, Thinking
from hector.core.errors import HectorError
from hector.core.event import (
    Delta,
    DirectReply,
    Event,
    InputRequired,
    Output,
    Partial,
    Rejected,
    TextDelta,
    ThinkingDelta,
    ToolStarted,
)
from hector.core.ids import new_id
from hector.core.record import dataclass
from hector.core.task import (
    AnswerDelta,
    ArtifactUpdate,
    Caller,
    ClientMessage,
    Reply,
    Status,
    StatusUpdate,
    TaskState,
    ToolProgress,
    Update,
)
from hector.store import Record, Store
from hector.tasks.channel import Channel
from hector.tasks.live import LiveTask

TURN_BREAK: Final = "\n\n"
"""Between the texts of two model turns of one answer."""


@dataclass(slots=True)
class Run:
    """The state of one run.

    `reply` says whether the answer may be a direct message instead of a task. A `structured` answer is nothing but the
    checked JSON: what the model says between its calls is left out of it.
    """

    caller: Caller
    live: LiveTask
    channel: Channel
    store: Store
    clock: Clock
    reply: Literal["task", "message", "auto"] = "task"
    structured: bool = False
    unsaved: list[Event] = field(default_factory=list)
    direct: Reply | None = None
    _streamed: bool = False
    _thought: bool = False
    _decided: asyncio.Event = field(default_factory=asyncio.Event)
    _settled: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        if self.reply == "task":
            self._decided.set()

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self.live.base.id

    async def decided(self) -> Reply | None:
        """Wait until it is known whether the answer is a direct message; None means that it is a task."""
        await self._decided.wait()
        return self.direct

    async def settled(self) -> Reply | None:
        """Wait until the task has ended or waits for its user. Gives the direct message, if that is the answer."""
        await self._settled.wait()
        return self.direct

    def keep(self) -> None:
        """The client has been shown a task: from now on the answer cannot be a direct message."""
        self.reply = "task"
        self._decided.set()

    def publish(self, update: Update) -> None:
        """Show it to everyone who watches."""
        self.live.apply(update)
        self.channel.publish(update)

    async def begin(self) -> None:
        """The agent starts. The store knows already, unless the message had to wait for its turn."""
        status = Status(TaskState.WORKING, self.clock.now())
        if self.live.base.status.state is not TaskState.WORKING:
            await self._record(status)
        self.publish(StatusUpdate(status))

    async def follow(self, outputs: AsyncGenerator[Output, None]) -> None:
        """Take the agent's outputs to their end and settle the task by the last of them."""
        last: Event | None = None
        async with aclosing(outputs):
            async for output in outputs:
                match output:
                    case Partial(deltas=deltas):
                        self._show(deltas)
                    case ToolStarted(call=call):
                        self._commit_to_task(call.name)
                        self.publish(ToolProgress(call))
                    case Event():
                        last = output
                        await self._take(output)
        await self._conclude(last)

    def _show(self, deltas: tuple[Delta, ...]) -> None:
        self._thought = self._thought or any(isinstance(delta, ThinkingDelta) for delta in deltas)
        if any(isinstance(delta, TextDelta) for delta in deltas):
            if self.reply == "auto":
                self.keep()
            if not self._streamed and self.live.pieces:
                deltas = (TextDelta(TURN_BREAK), *deltas)
            self._streamed = True
        self.publish(AnswerDelta(self.live.answer_id, deltas, first=not self.live.pieces))

    def _commit_to_task(self, tool: str) -> None:
        if self.reply == "auto" and tool != "reply_directly":
            self.keep()

    async def _take(self, event: Event) -> None:
        self.unsaved.append(event)
        unseen = self._unseen(event.message)
        if unseen:
            self._show(unseen)
        self._streamed = self._thought = False
        for result in event.tool_results:
            self.publish(ToolProgress(None, result))
        if event.control is None and event.tool_results:
            await self._record()
        for artifact in event.artifacts:
            self.keep()
            self.publish(ArtifactUpdate(artifact))

    def _unseen(self, message: Message) -> tuple[Delta, ...]:
        """What a model said in one piece, as deltas, unless it was already shown while it came."""
        if message.role != "assistant":
            return ()
        found: list[Delta] = []
        for part in message.parts:
            if isinstance(part, Thinking) and part.text and not self._thought:
                found.append(ThinkingDelta(part.text))
            elif isinstance(part, Text) and part.text and not self._streamed:
                if self.structured and part.media_type is None:
                    continue
                found.append(TextDelta(part.text))
                self.live.media_type = part.media_type
        return tuple(found)

    async def _conclude(self, last: Event | None) -> None:
        control = last.control if last else None
        match control:
            case InputRequired(prompt=prompt):
                await self.end(TaskState.INPUT_REQUIRED, prompt, message_id=last.id if last else None)
            case Rejected(reason):
                await self.end(TaskState.REJECTED, reason)
            case DirectReply(text):
                await self._answer_directly(text)
            case _ if self.reply == "message":
                await self._answer_directly(last.message.text if last else "")
            case _:
                await self.end(TaskState.COMPLETED)

    async def _answer_directly(self, text: str) -> None:
        if self.reply == "task":
            if text:
                self._show((TextDelta(text),))
            await self.end(TaskState.COMPLETED)
            return
        message = ClientMessage(new_id(), Message("assistant", (Text(text),)), self.live.base.context_id)
        self.direct = Reply(message)  # before the write: a cancel meanwhile does not undo it
        await self._record(discard=True)
        self._finish(Status(TaskState.COMPLETED, self.clock.now()))

    async def end(self, state: TaskState, text: str = "", *, message_id: str | None = None) -> None:
        """Store, then publish, the state that the run ends in and what the agent says about it.

        A task that was ended from elsewhere in the meantime stays as it is, and its watchers are told so.
        """
        status = Status(state, self.clock.now(), self._said(text, message_id))
        if await self._record(status):
            self.direct = None
            answer = self.live.answer()
            if answer is not None:
                self.publish(ArtifactUpdate(replace(answer, parts=(Text(""),)), append=True, last=True))
        elif self.direct is not None:
            status = Status(TaskState.COMPLETED, status.at)
        else:
            status = (await self.store.tasks.get(self.caller, self.task_id)).status
        self._finish(status)

    def abandon(self, text: str) -> None:
        """Tell the watchers that the run failed although that could not be stored."""
        self.direct = None
        self._finish(Status(TaskState.FAILED, self.clock.now(), self._said(text, None)))

    def _said(self, text: str, message_id: str | None) -> ClientMessage | None:
        if not text:
            return None
        message = Message("assistant", (Text(text),))
        return ClientMessage(message_id or new_id(), message, self.live.base.context_id, self.task_id)

    def _finish(self, status: Status) -> None:
        self.publish(StatusUpdate(status))
        self._decided.set()
        self._settled.set()

    async def _record(self, status: Status | None = None, *, discard: bool = False) -> bool:
        """Store what is not stored yet. False: the task had already ended, nothing was written.

        What was handed over counts as stored at once, since a cancel does not take it back.
        """
        answer = self.live.answer() if status else None
        artifacts = (answer,) if answer else ()
        record = Record(
            self.caller, self.task_id, self.live.base.context_id, tuple(self.unsaved), artifacts, status, discard
        )
        writing = self.store.tasks.record(record)
        self.unsaved.clear()
        try:
            return await writing
        except HectorError:
            self.unsaved[:0] = record.events
            raise
