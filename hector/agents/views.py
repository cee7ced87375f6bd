"""What a model is shown of a conversation: the window that its agent asks for, and what it is reminded of.

Nothing is taken out of the session. The message that says what is to be done now is always shown, however long its run
has become.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hector.agents.estimate import factor_of, tokens_of, tokens_of_frame
from hector.agents.history import Conversation, conversation_of
from hector.agents.running import Running
from hector.agents.windows import fitting, last_messages, shown_from, total
from hector.config.context import Context, Recall
from hector.core.content import Message, user
from hector.core.errors import ModelError
from hector.core.event import Event
from hector.core.ports import ChatModel
from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.agents.documents import Documents
    from hector.agents.summary import Summarizer

log = logging.getLogger("hector.agents")
WHOLE: Final = Context()
AFTER_OVERFLOW: Final = 0.5
"""How much of what was too long is sent the second time."""


@dataclass(frozen=True, slots=True)
class View:
    """What is sent. `notes` are events that were made for it, and `foreseen` its tokens, uncorrected.

    The `last` one was made shorter because the provider refused the one before.
    """

    messages: Sequence[Message]
    foreseen: int = 0
    notes: tuple[Event, ...] = ()
    last: bool = False


@dataclass(frozen=True, slots=True)
class Views:
    """How one agent sees its conversations. `summarizer` makes the model that writes summaries; `documents`: what is
    looked up for it before it answers.
    """

    context: Context = WHOLE
    recall: Recall | None = None
    summarizer: Callable[[], ChatModel] | None = None
    llm: str = ""
    documents: "Documents | None" = None

    async def of(self, run: Running) -> View:
        """What the next call of the model shows. Raises what a summary may raise but ModelError."""
        conversation = _conversation(run)
        view = await self._view(run, conversation, tokens_of_frame(run.system, run.kit.specs))
        return await self._informed(run, conversation, view)

    async def after_overflow(self, run: Running) -> View:
        """The same after a provider has refused the last one as too long: half of it. Raises as `of` does."""
        run.foreseen = 0
        conversation = _conversation(run)
        frame = tokens_of_frame(run.system, run.kit.specs)
        factor = factor_of(run.events, run.standing.agent, run.context.branch)
        before = await self._view(run, conversation, frame)
        room = AFTER_OVERFLOW * total(before.messages, factor)
        log.warning(
            "the conversation is too long for the model; older messages are left out this time",
            extra={"agent": run.standing.agent, "strategy": self.context.strategy, "advice": "set context.strategy"},
        )
        view = await self._shortened(run, conversation, frame, room, least=1)
        return replace(await self._informed(run, conversation, view), last=True)

    async def _view(self, run: Running, conversation: Conversation, frame: int) -> View:
        context, messages = self.context, conversation.messages
        if context.strategy == "none":
            return View(messages)
        if context.strategy == "summary_buffer":
            return await self._summarized(run, conversation, frame)
        if context.strategy == "buffer_window":
            start = last_messages(messages, context.window_size)
        else:
            factor = factor_of(run.events, run.standing.agent, run.context.branch)
            start = fitting(messages, context.budget - frame * factor, factor, context.preserve_recent)
        return _counted(shown_from(conversation, start), frame)

    async def _summarized(self, run: Running, conversation: Conversation, frame: int) -> View:
        from hector.agents.summary import told_of  # noqa: PLC0415 - loaded where summaries are asked for

        context = self.context
        factor = factor_of(run.events, run.standing.agent, run.context.branch)
        told = told_of(run, conversation)
        shown = told.messages(conversation)
        if frame * factor + total(shown, factor) <= context.budget * context.threshold:
            return _counted(shown, frame)
        room = max(0.0, context.budget * context.target - frame * factor)
        return await self._shortened(run, conversation, frame, room, context.preserve_recent)

    async def _shortened(self, run: Running, conversation: Conversation, frame: int, room: float, least: int) -> View:
        """The last messages that fit in a room of tokens; with a summary of those before, where that is the strategy.

        A summary that fails leaves them out this time: an answer is worth more.
        """
        context = self.context
        factor = factor_of(run.events, run.standing.agent, run.context.branch)
        if context.strategy != "summary_buffer":
            start = fitting(conversation.messages, room, factor, least)
            return _counted(shown_from(conversation, start), frame)
        from hector.agents.summary import told_of  # noqa: PLC0415 - loaded where summaries are asked for

        told = told_of(run, conversation)
        messages = conversation.messages
        start = fitting(messages, room, factor, least)
        if start <= told.start:
            return _counted(told.messages(conversation), frame)
        try:
            note = await self._writer().write(run, conversation, told, start)
        except ModelError as error:
            facts = {"agent": run.standing.agent, "error": str(error)}
            log.warning("no summary could be written; older messages are left out this time", extra=facts)
            return _counted(shown_from(conversation, start), frame)
        return _counted(told_of(run, conversation).messages(conversation), frame, note)

    def _writer(self) -> "Summarizer":
        from hector.agents.summary import Summarizer  # noqa: PLC0415 - loaded where summaries are asked for

        if self.summarizer is None:
            raise ModelError("no model writes summaries")
        return Summarizer(self.summarizer, self.llm, self.context.budget)

    async def _informed(self, run: Running, conversation: Conversation, view: View) -> View:
        """With what is known from other sessions, and what documents say, before the message that asks."""
        if conversation.asked < 0:
            return view
        asked, notes = conversation.messages[conversation.asked], view.notes
        before = [await self._reminder(run, asked)]
        if self.documents is not None:
            text, note = await self.documents.shown(run, conversation)
            before.append(text)
            notes = notes if note is None else (*notes, note)
        told = [user(text) for text in before if text]
        if not told:
            return view
        place = next((at for at, one in enumerate(view.messages) if one is asked), 0)
        messages = [*view.messages[:place], *told, *view.messages[place:]]
        return replace(view, messages=messages, notes=notes)

    async def _reminder(self, run: Running, asked: Message) -> str:
        """What the agent knows from other sessions that fits what is asked; it is looked up once in a run."""
        shelf = run.context.memories
        if self.recall is None or not self.recall.recall or shelf is None:
            return ""
        if run.reminder is None:
            from hector.agents.recall import reminder_of  # noqa: PLC0415 - loaded where memories are kept

            run.reminder = await reminder_of(shelf, asked.text, self.recall.limit)
        return run.reminder


PLAIN: Final = Views()
"""Of an agent that asks for nothing of this."""


def _counted(messages: Sequence[Message], frame: int, *notes: Event) -> View:
    return View(messages, frame + sum(map(tokens_of, messages)), notes)


def _conversation(run: Running) -> Conversation:
    context, standing = run.context, run.standing
    return conversation_of(run.events, standing.agent, context.invocation_id, context.branch, standing.prefix)
