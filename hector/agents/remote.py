"""The agent of type `remote`: an agent of another server, spoken to over A2A.

What was sent and which task it became is noted in the log before and after. Whoever goes on follows that task; a
message is never sent again unless it is known that it had not arrived, or the configuration says so; then under the id
that it had.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, Final

from hector.a2a.client import UNSUPPORTED, Away, Client, Refused
from hector.a2a.heard import Changed, Heard, Replied, Snapshot
from hector.agents.approval import Waiting
from hector.agents.context import RunContext
from hector.agents.course import ASKED, SENDING, TAKEN, UNSENT, Course, asking
from hector.agents.flow import Flow
from hector.agents.history import messages_of
from hector.agents.kit import Kit
from hector.agents.marks import OVER, STEP, content_of
from hector.agents.part import Part, text_of
from hector.agents.results import Results
from hector.core import points
from hector.core.content import Content, Data, Media, Message, Text
from hector.core.errors import AgentError, HectorError, ToolError
from hector.core.event import BranchPartial, Delta, Event, InputRequired, Output, Partial, Rejected
from hector.core.ids import new_id
from hector.core.keeping import OF_USER
from hector.core.record import dataclass
from hector.core.task import TaskState
from hector.net.errors import ConnectFailed, NetError

DECISIONS: Final = ("approve", "deny")
"""What is an answer where calls of the other agent wait for approval."""
FIRST_WAIT: Final = 0.2
LONGEST_WAIT: Final = 3.0
"""Seconds between two looks at a task that cannot be followed."""
LOOKS: Final = 3
"""How often it is looked for the task of a message whose sending was cut off."""
MOST_BREAKS: Final = 5
"""How often in a row a broken stream is taken up again before the run is tried again later."""
CANCEL_SECONDS: Final = 5.0
_PASSING: Final = frozenset((UNSUPPORTED,))
"""A task may end between a look at it and following it."""


@dataclass(frozen=True, slots=True)
class Remote(Flow):
    """`resend`: a message of which it is not known whether it has arrived is sent again."""

    client: Client | None = None
    streaming: bool = True
    resend: bool = False

    async def work(self, context: RunContext, kit: Kit | None = None) -> AsyncGenerator[Output | Waiting]:
        """Send what is new, follow the task that it becomes, ask the user what that asks."""
        part = Part.of(self.id, context)
        if part.over or self.client is None:
            return
        try:
            async with aclosing(self._work(part, self.client)) as outputs:
                async for output in outputs:
                    yield output
        except (asyncio.CancelledError, GeneratorExit):
            if context.canceled is not None and context.canceled():
                await self._cancel(part, self.client)
            raise
        except Refused as error:
            raise AgentError(f"the remote agent {self.id!r}: {error}") from None
        except (Away, NetError) as error:
            text = f"the remote agent {self.id!r}: {error}"
            raise (Away(text) if error.retryable else AgentError(text)) from None

    async def _work(self, part: Part, client: Client) -> AsyncGenerator[Output | Waiting]:
        results = Results()
        while True:
            course = Course.of(part)
            if course.open:
                yield await self._settle(part, client, course)
                continue
            if course.asked > len(course.answers):
                yield self._ask(part, course)
                return
            is_new = course.sent <= len(course.answers)
            source = (
                self._send(part, client, course, results) if is_new else self._follow(part, client, course, results)
            )
            async with aclosing(source) as outputs:
                async for output in outputs:
                    yield output
            if part.over or _ended(part):
                return

    async def _cancel(self, part: Part, client: Client) -> None:
        """End the task there, also one that a message has become meanwhile. What cannot be reached is left alone."""
        course = Course.of(part)
        with suppress(HectorError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                taken = await _taken(part, client, course) if course.open else None
                task = taken.task if taken is not None else course.task
                if task:
                    await client.cancel(task)

    async def _settle(self, part: Part, client: Client, course: Course) -> Event:
        """What became of a message whose sending was cut off. Raises AgentError where that may not be guessed.

        That no task shows it proves nothing: the answer may have been a plain message, the list may leave out what
        was said, and a task may be stored late.
        """
        with suppress(Refused):
            taken = await _taken(part, client, course)
            if taken is not None:
                return part.mark({STEP: TAKEN, "task": taken.task, "context": taken.context or course.context})
        if not self.resend:
            raise AgentError(
                f"the message to the remote agent {self.id!r} was cut off while it was being sent, and the other "
                "server does not show whether it arrived (on_unknown: fail); send it again if that does no harm"
            )
        return part.mark({STEP: UNSENT})

    async def _send(self, part: Part, client: Client, course: Course, results: Results) -> AsyncGenerator[Output]:
        content = self._content(part, course)
        message, context = course.again or new_id(), course.context or new_id()
        yield part.mark({STEP: SENDING, "message": message, "context": context})
        points.reach("remote.sending")
        task = course.task if course.sent else ""
        try:
            if self.streaming and part.context.stream and (await client.offered()).streaming:
                source = client.stream(content, message, context, task)
            else:
                source = _once(client, content, message, context, task)
            async with aclosing(self._hear(part, source, results, context)) as outputs:
                async for output in outputs:
                    yield output
        except (ConnectFailed, Away) as error:
            if Course.of(part).open and not (isinstance(error, Away) and not error.unsent):
                yield part.mark({STEP: UNSENT})
            raise
        except NetError:
            if Course.of(part).open:
                raise
        if Course.of(part).open and not part.over:
            raise Away("it took a message and said nothing of what becomes of it")
        points.reach("remote.heard")

    def _content(self, part: Part, course: Course) -> tuple[Content, ...]:
        """What to send: an answer of the user, or else all that was said since this agent spoke last."""
        if course.sent:
            return content_of(course.answers[course.sent - 1])
        context = part.context
        messages = messages_of(part.events, self.id, context.invocation_id, context.branch)
        last = max((at for at, one in enumerate(messages) if one.role == "assistant"), default=-1)
        said = (piece for one in messages[last + 1 :] if one.role == "user" for piece in one.parts)
        return tuple(piece for piece in said if isinstance(piece, Text | Media | Data))

    async def _follow(self, part: Part, client: Client, course: Course, results: Results) -> AsyncGenerator[Output]:
        """A task that is known, until it has come to something; broken streams are taken up again."""
        breaks, wait = 0, FIRST_WAIT
        while True:
            before = results.count
            try:
                source = await self._source(client, course.task)
                async with aclosing(self._hear(part, source, results, course.context)) as outputs:
                    async for output in outputs:
                        yield output
            except (NetError, Refused) as error:
                breaks = 1 if results.count > before else breaks + 1
                if breaks >= MOST_BREAKS or (isinstance(error, Refused) and error.reason not in _PASSING):
                    raise
            now = Course.of(part)
            if part.over or now.asked > len(now.answers) or _ended(part):
                return
            await part.context.clock.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    async def _source(self, client: Client, task: str) -> AsyncGenerator[Heard]:
        """What becomes of a task: a stream where there is one, else one look."""
        found = await client.get(task)
        going = found.state in {TaskState.WORKING, TaskState.SUBMITTED}
        can_stream = going and self.streaming and (await client.offered()).streaming
        return client.subscribe(task) if can_stream else _these(found)

    async def _hear(
        self, part: Part, source: AsyncGenerator[Heard], results: Results, context: str
    ) -> AsyncGenerator[Output]:
        """What the other agent says, as it is shown here, and what it comes to."""
        async with aclosing(source) as items:
            async for item in items:
                task = item.task if isinstance(item, Snapshot | Changed) else ""
                if task and Course.of(part).open:
                    known = item.context if isinstance(item, Snapshot) and item.context else context
                    yield part.mark({STEP: TAKEN, "task": task, "context": known})
                    points.reach("remote.taken")
                if deltas := results.take(item):
                    yield self._shown(part, deltas)
                if isinstance(item, Replied):
                    yield await self._admitted(part, self._end(part, results, item.parts))
                    return
                if isinstance(item, Snapshot | Changed) and (output := self._come_to(part, item, results)) is not None:
                    yield await self._admitted(part, output)
                    return

    async def _admitted(self, part: Part, event: Event) -> Event:
        """The event, where what it brings may be kept here. Raises AgentError."""
        if event.artifacts and part.context.artifacts is not None:
            try:
                await part.context.artifacts.admit(event.artifacts)
            except ToolError as error:
                raise AgentError(f"the remote agent {self.id!r}: {error}") from None
        return event

    def _shown(self, part: Part, deltas: tuple[Delta, ...]) -> Output:
        context = part.context
        if context.branch:
            return BranchPartial(self.id, deltas, context.branch, context.call)
        return Partial(self.id, deltas)

    def _come_to(self, part: Part, item: Snapshot | Changed, results: Results) -> Event | None:
        """The event for a state that the work does not go on from by itself."""
        said = text_of(item.said).strip()
        match item.state:
            case TaskState.COMPLETED:
                return self._end(part, results, item.said)
            case TaskState.FAILED | TaskState.CANCELED:
                raise AgentError(f"the remote agent {self.id!r} {item.state.value}: {said or 'it does not say why'}")
            case TaskState.REJECTED:
                return part.event(Message("tool", ()), control=Rejected(said or f"{self.id} declined"))
            case TaskState.INPUT_REQUIRED:
                asked = {"prompt": said or f"{self.id} needs to know more."}
                return part.mark({STEP: ASKED, **asked, **({"choices": DECISIONS} if _approves(item.said) else {})})
            case TaskState.AUTH_REQUIRED:
                return part.mark(
                    {STEP: ASKED, "prompt": said or f"{self.id} needs you to sign in there; say when done."}
                )
            case _:
                return None

    def _ask(self, part: Part, course: Course) -> Event | Waiting:
        context = part.context
        own = not context.branch and context.root in ("", self.id)
        name, asker = asking(part, course.asked), "" if own else self.id
        asked = InputRequired(name, course.prompt, asker, context.branch, course.choices)
        return part.pause([Waiting((asked,), ())])

    def _end(self, part: Part, results: Results, said: Sequence[Content]) -> Event:
        """The answer, with all that is more than text as artifacts."""
        content = results.answer() or tuple(said)
        artifacts = tuple(
            replace(
                one, id=f"{self.id}-{one.id}", name=_of_session(one.name),
                metadata={**(one.metadata or {}), "author": self.id},
            )
            for one in results.artifacts()
        )  # fmt: skip
        facts: dict[str, Any] = {"artifacts": artifacts} if artifacts else {}
        if self.output_key:
            facts["state"] = {self.output_key: text_of(content)}
        return part.mark({OVER: True}, content, **facts)


async def _taken(part: Part, client: Client, course: Course) -> Snapshot | None:
    """The task that the open message has become; a server may show it a little later than it takes the message."""
    wait = FIRST_WAIT
    for look in range(LOOKS):
        if look:
            await part.context.clock.sleep(wait)
            wait *= 2
        for one in await client.tasks_of(course.context):
            if course.open in one.messages:
                return one
    return None


def _of_session(name: str | None) -> str | None:
    """What is kept of elsewhere belongs to the session: another server has no say over what the user has in all."""
    while name is not None and name.startswith(OF_USER):
        name = name.removeprefix(OF_USER)
    return name


def _approves(said: Sequence[Content]) -> bool:
    """Whether a question is about calls that wait for approval."""
    asked = (part.value for part in said if isinstance(part, Data))
    return any(isinstance(one, dict) and one.get("type") == "tool_approval_request" for one in asked)


def _ended(part: Part) -> bool:
    return isinstance(part.outcome(part.start), Rejected)


async def _once(
    client: Client, content: Sequence[Content], message: str, context: str, task: str
) -> AsyncGenerator[Heard]:
    found = await client.send(content, message, context, task)
    if found is not None:
        yield found


async def _these(*items: Heard) -> AsyncGenerator[Heard]:
    for one in items:
        yield one
