"""What an agent is shown of documents before it answers (`include_context`): what was found for what is asked.

It is looked for once in a turn, with the words of the user or of whoever hands over. What was shown is an event beside
the conversation: a run that goes on after a crash or a pause shows the very same, and people see where it comes from.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from hector.agents.history import CONTEXT, Conversation
from hector.agents.running import Running
from hector.core.content import Message, Text
from hector.core.errors import HectorError
from hector.core.event import Event
from hector.core.passages import block, cut, facts
from hector.core.record import dataclass
from hector.core.retrieval import Findings, Payer, Question, Retriever

log = logging.getLogger("hector.agents")
_LONGEST: Final = 10_000
"""Characters of what is asked that are looked for."""


@dataclass(frozen=True, slots=True)
class Documents:
    """What is looked up for one agent. `limit`: passages, None for what the stores say; `longest`: of each, 0 for all.

    `retriever` makes what searches its stores.
    """

    retriever: Callable[[], Retriever]
    limit: int | None = None
    longest: int = 500

    async def shown(self, run: Running, conversation: Conversation) -> tuple[str, Event | None]:
        """What stands before the message that asks, empty for nothing; and the event that notes it, if it is new."""
        asked = conversation.messages[conversation.asked].text
        origin = conversation.origins[conversation.asked].id
        if (noted := _noted(run, origin)) is not None:
            return noted, None
        if origin in run.looked_up or not asked.strip():
            return "", None
        run.looked_up |= {origin}
        findings = await self._found(run, asked)
        if not findings.passages and not findings.notes:
            return "", None
        text = block(findings, self.longest)
        about = {"for": origin, "citations": facts(findings.passages), "notes": list(findings.notes)}
        return text, run.event(Message("user", (Text(text),)), metadata={CONTEXT: about})

    async def _found(self, run: Running, asked: str) -> Findings:
        meter = run.context.meter
        payer = None if meter is None else Payer(run.standing.agent, meter)
        try:
            return await self.retriever().search(Question(cut(asked, _LONGEST), self.limit), payer)
        except HectorError as error:
            log.warning("documents cannot be searched", extra={"agent": run.standing.agent, "error": str(error)})
            return Findings((), (f"the documents cannot be searched now: {error}",))


def _noted(run: Running, origin: str) -> str | None:
    """What was shown for this message earlier in the run."""
    return next((event.message.text for event in _beside(run.events, run) if _for(event) == origin), None)


def _beside(events: Sequence[Event], run: Running) -> Sequence[Event]:
    own = run.standing.agent, run.context.branch
    return [event for event in events if event.metadata and CONTEXT in event.metadata and own == _whose(event)]


def _whose(event: Event) -> tuple[str, str]:
    return event.author, event.branch


def _for(event: Event) -> str:
    about = (event.metadata or {}).get(CONTEXT)
    return str(about.get("for", "")) if isinstance(about, dict) else ""
