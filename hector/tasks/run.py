"""One run of a task: the agent's outputs become updates for those who watch and records for the store.

A run holds a claim on its job. Each of its writes names the claim and counts one up, so that a write whose answer got
lost is sent again without harm, and one of a run that was taken over is refused: LeaseLost passes through here, and
whoever conducts the run stops it quietly.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from contextlib import aclosing, suppress
from dataclasses import field, replace
from typing import Literal

from hector.core import points
from hector.core.clock import Clock
from hector.core.content import Message, Text, ToolCall, ToolResult
from hector.core.errors import LeaseLost, NotFound, StoreError
from hector.core.event import (
    ApprovalRequired,
    Artifact,
    BranchPartial,
    Delta,
    DirectReply,
    Event,
    ExitLoop,
    InputRequired,
    Output,
    Partial,
    Rejected,
    TextDelta,
    ToolStarted,
    call_name,
    is_aside,
)
from hector.core.ids import new_id
from hector.core.job import Claim
from hector.core.record import dataclass
from hector.core.task import (
    AgentDelta,
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
from hector.limits.limits import Limits
from hector.store import Record, Store
from hector.store.history import question
from hector.tasks.channel import Channel
from hector.tasks.insist import insist
from hector.tasks.journal import Journal
from hector.tasks.live import INCOMPLETE, LiveTask
from hector.tasks.showing import Showing


class Released(Exception):  # noqa: N818 - not a mistake
    """The process is stopping, and the run has reached a point from which another one can go on."""


def _never() -> bool:
    return False


def _nothing() -> None:
    pass


def _brings_results(event: Event) -> bool:
    return event.control is None and bool(event.started or event.tool_results)


@dataclass(slots=True)
class Run:
    """The state of one run, as long as this process has its job.

    `reply` says whether the answer may be a direct message instead of a task. The answer of a `structured` agent is
    nothing but the checked JSON: what its model says between its calls is left out of it. `due` says of each event
    whether it is written at once; `halting`, whether the process stops. `ended` is true once the task has ended or
    waits for its user; a run that was left goes on elsewhere or later. `on_over` is called in either case.
    """

    caller: Caller
    live: LiveTask
    channel: Channel
    store: Store
    clock: Clock
    journal: Journal
    reply: Literal["task", "message", "auto"] = "task"
    structured: Collection[str] = ()
    halting: Callable[[], bool] = _never
    due: Callable[[Event], bool] = _brings_results
    limits: Limits | None = None
    direct: Reply | None = None
    ended: bool = False
    canceled: bool = False
    """Somebody has canceled the task."""
    on_over: Callable[[], object] = _nothing
    _last: Event | None = None
    _open: set[tuple[str, str]] = field(default_factory=set)
    _showing: Showing = field(init=False)
    _decided: asyncio.Event = field(default_factory=asyncio.Event)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._showing = Showing(self.live)
        if self.reply == "task":
            self._decided.set()

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self.live.base.id

    @property
    def claim(self) -> Claim:
        """The right to write to the task."""
        return self.journal.claim

    async def decided(self) -> Reply | None:
        """Wait until it is known whether the answer is a direct message; None means that it is a task."""
        await self._decided.wait()
        return self.direct

    async def settled(self) -> bool:
        """Wait for the run's end here; whether the task has ended or waits for its user. `direct` is then known."""
        await self._over.wait()
        return self.ended

    def keep(self) -> None:
        """The client has been shown a task: from now on the answer cannot be a direct message."""
        self.reply = "task"
        self._decided.set()

    def leave(self) -> None:
        """The task goes on without this run: later, or in another process."""
        if not self.ended:
            self.direct = None
        self._announce_end()

    def publish(self, update: Update) -> None:
        """Show it to everyone who watches."""
        self.live.apply(update)
        self.channel.publish(update)

    def restore(self, events: Iterable[Event]) -> None:
        """Take in what an earlier attempt stored of this run."""
        for event in events:
            self.due(event)
            if event.branch:
                continue
            self._last = event
            if is_aside(event):
                continue
            deltas = self._showing.grow(self._unseen(event))
            self.live.apply(AnswerDelta(self.live.answer_id, deltas, first=False))
            self._showing.turn_over()

    async def begin(self) -> None:
        """The agent starts, or goes on. The store knows already, unless the message had to wait for its turn."""
        status = Status(TaskState.WORKING, self.clock.now())
        if self.live.base.status.state is not TaskState.WORKING:
            await self.journal.send(await self.journal.next(status))
        self.publish(StatusUpdate(status))

    async def follow(self, outputs: AsyncGenerator[Output, None], heed: Callable[[Event], None]) -> None:
        """Take the agent's outputs to their end and settle the task by the last of them. Raises Released, LeaseLost.

        `heed` is called with each event before anything else is done about it.
        """
        async with aclosing(outputs):
            try:
                async for output in outputs:
                    match output:
                        case Partial(deltas=deltas):
                            self._show(deltas)
                        case BranchPartial(author, deltas, branch, call_id):
                            self.publish(AgentDelta(call_id, author, branch, deltas))
                        case ToolStarted(call=call):
                            self._commit_to_task(call.name)
                            self.publish(self._progress(output.author, output.branch, call, None))
                        case Event():
                            heed(output)
                            self._last = self._last if output.branch else output
                            await self._take(output)
            except LeaseLost:
                await self.learn_if_canceled()  # before the agent is closed, which tells agents elsewhere of a cancel
                raise
        await self._conclude(self._last)

    async def learn_if_canceled(self) -> None:
        """The claim is void: has the task been ended for good, rather than taken over? Not knowing counts as no."""
        with suppress(StoreError):
            try:
                task = await self.store.tasks.get(self.caller, self.task_id, None, history_length=0)
            except NotFound:
                self.canceled = True
            else:
                self.canceled = task.status.state is TaskState.CANCELED

    def _unseen(self, event: Event) -> tuple[Delta, ...]:
        return self._showing.rest(event.message, structured=event.author in self.structured)

    def _progress(self, author: str, branch: str, call: ToolCall | None, result: ToolResult | None) -> ToolProgress:
        """What is said of a call. Those of other agents than the task's own go by names that no two of them share."""
        root = self.live.base.agent
        if author == root and not branch:
            return ToolProgress(call, result)
        call = replace(call, id=call_name(call.id, author, branch, root)) if call else None
        result = replace(result, call_id=call_name(result.call_id, author, branch, root)) if result else None
        return ToolProgress(call, result, author, branch)

    def _show(self, deltas: tuple[Delta, ...]) -> None:
        if self.reply == "auto" and any(isinstance(delta, TextDelta) for delta in deltas):
            self.keep()
        shown = self._showing.grow(deltas)
        self.publish(AnswerDelta(self.live.answer_id, shown, first=not self.live.pieces))

    def _commit_to_task(self, tool: str) -> None:
        if self.reply == "auto" and tool != "reply_directly":
            self.keep()

    async def _take(self, event: Event) -> None:
        leaving = self._may_leave(event)
        if leaving and event.started:
            event = replace(event, started=())  # they do not begin here
        self.journal.unsaved.append(event)
        if not is_aside(event):
            if unseen := self._unseen(event):
                self._show(unseen)
            self._showing.turn_over()
        for result in event.tool_results:
            self.publish(self._progress(event.author, event.branch, None, result))
        if self.due(event) or leaving:
            await self.journal.send(await self.journal.next())
        for artifact in event.artifacts:
            self.keep()
            self.publish(ArtifactUpdate(artifact))
        if leaving:
            raise Released

    def _may_leave(self, event: Event) -> bool:
        """Whether the process stops, and nothing is cut off by going on from here in another one."""
        self._open -= {(event.branch, result.call_id) for result in event.tool_results}
        if self.halting() and event.control is None and not self._open and _is_between(event):
            return True
        self._open |= {(event.branch, call_id) for call_id in event.started}
        return False

    async def _conclude(self, last: Event | None) -> None:
        control = last.control if last else None
        match control:
            case InputRequired() | ApprovalRequired() as asked if last:
                base = self.live.base
                said = question(last.id, asked, context_id=base.context_id, task_id=base.id)
                await self.end(TaskState.INPUT_REQUIRED, said=said)
                points.reach("approval.stored")
            case Rejected(reason):
                await self.end(TaskState.REJECTED, reason)
            case DirectReply(text):
                await self._answer_directly(text)
            case ExitLoop(reason) if reason and not self.live.pieces:
                self._show((TextDelta(reason),))
                await self.end(TaskState.COMPLETED)
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
        await self._settle(await self.journal.next(discard=True))

    async def end(
        self, state: TaskState, text: str = "", *, said: ClientMessage | None = None, dead: bool = False
    ) -> None:
        """Store, then publish, the state that the run ends in and what the agent says about it: `said`, or just `text`.

        A task that was ended from elsewhere in the meantime stays as it is, and its watchers are told so. `dead` makes
        the job a dead letter, with `text` as its cause. Raises LeaseLost.
        """
        if self.journal.ending is not None:  # it comes too late
            await self._settle(self.journal.ending)
            return
        status = Status(state, self.clock.now(), said or self._said(text))
        answer = self.live.answer()
        if answer and dead:
            answer = replace(answer, metadata={INCOMPLETE: True})
        await self._settle(await self.journal.next(status, answer=answer, dead=text if dead else None))

    async def _settle(self, record: Record) -> None:
        status = record.status or Status(TaskState.COMPLETED, self.clock.now())
        if await self.journal.send(record):
            points.reach("run.written")
            for answer in record.artifacts:
                self.publish(ArtifactUpdate(Artifact(answer.id, (Text(""),), answer.name), append=True, last=True))
        elif not record.discard:
            status = await self._elsewhere(status)
        if not record.discard:
            self.direct = None
        self._finish(status)

    async def _elsewhere(self, status: Status) -> Status:
        """What a task that was ended by others has become."""
        try:
            found = await insist(self.clock, lambda: self.store.tasks.get(self.caller, self.task_id), "reading a task")
        except NotFound:
            return Status(TaskState.CANCELED, status.at)
        return found.status

    async def save(self) -> None:
        """Store what the agent has done so far, the end included if it had come to that. Raises LeaseLost."""
        if self.journal.ending is not None:
            await self._settle(self.journal.ending)
        elif self.journal.behind:
            await self.journal.send(await self.journal.next())

    def say(self, text: str) -> None:
        """Tell the watchers something about a task that goes on."""
        self.publish(StatusUpdate(Status(TaskState.WORKING, self.clock.now(), self._said(text))))

    def abandon(self, text: str) -> None:
        """Tell the watchers that the run failed although that could not be stored."""
        self.direct = None
        self._finish(Status(TaskState.FAILED, self.clock.now(), self._said(text)))

    def _said(self, text: str) -> ClientMessage | None:
        if not text:
            return None
        message = Message("assistant", (Text(text),))
        return ClientMessage(new_id(), message, self.live.base.context_id, self.task_id)

    def _finish(self, status: Status) -> None:
        self.ended = True
        self.publish(StatusUpdate(status))
        points.reach("run.replied")
        self._announce_end()

    def _announce_end(self) -> None:
        self._decided.set()
        self._over.set()
        told, self.on_over = self.on_over, _nothing  # once; what it holds may hold this run
        told()


def _is_between(event: Event) -> bool:
    """Whether more is to come after an event, but not before the agent is asked for it."""
    return bool(event.tool_results or event.message.tool_calls)
