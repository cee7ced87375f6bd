"""A client's messages inside the event log, and the history of a task that is read back from there."""

from collections.abc import Iterable
from typing import Final

from hector.core.clock import iso
from hector.core.content import Data, JsonObject, Media, Message, Part, Text
from hector.core.event import ApprovalRequired, Event, InputRequired, PendingCall
from hector.core.task import ClientMessage

ENVELOPE = "a2a"
"""The key of `Event.metadata` under which the A2A envelope of a client's message is kept."""
_CONTENT: Final = (Text, Media, Data)


def user_event(message: ClientMessage, *, event_id: str, invocation_id: str, at: float) -> Event:
    """The event that brings a client's message into a session."""
    content = tuple(part for part in message.message.parts if isinstance(part, _CONTENT))
    envelope: JsonObject = {
        "message_id": message.id,
        "metadata": message.metadata,
        "extensions": list(message.extensions),
        "reference_task_ids": list(message.reference_task_ids),
    }
    return Event(event_id, invocation_id, "user", at, Message("user", content), metadata={ENVELOPE: envelope})


def client_message(event: Event, *, context_id: str, task_id: str) -> ClientMessage | None:
    """What the client sees of an event: its own message, a question of the agent, or None.

    The id of a question is the id of its event; give it to the status message too, then the two are one.
    """
    envelope = (event.metadata or {}).get(ENVELOPE)
    if envelope is not None:
        return ClientMessage(
            envelope["message_id"],
            event.message,
            context_id,
            task_id,
            envelope.get("metadata"),
            tuple(envelope.get("extensions", ())),
            tuple(envelope.get("reference_task_ids", ())),
        )
    if isinstance(event.control, InputRequired | ApprovalRequired) and not event.branch:
        return question(event.id, event.control, context_id=context_id, task_id=task_id)
    return None


def question(event_id: str, asked: InputRequired | ApprovalRequired, *, context_id: str, task_id: str) -> ClientMessage:
    """The agent's message of a task that waits, as it stands in the status and later in the history."""
    if isinstance(asked, InputRequired):
        choices: JsonObject | None = {"choices": list(asked.choices)} if asked.choices else None
        said = Message("assistant", (Text(asked.prompt, metadata=choices),))
        asker: JsonObject | None = {"author": asked.agent, "branch": asked.branch} if asked.agent else None
        return ClientMessage(event_id, said, context_id, task_id, asker)
    prompt = "\n\n".join(call.prompt for call in asked.calls)
    parts: tuple[Part, ...] = (Text(prompt), *(Data(_request(call)) for call in asked.calls))
    facts: JsonObject = {
        "input_required": True,
        "long_running_tool_ids": [call.call_id for call in asked.calls],
        "input_prompt": prompt,
    }
    return ClientMessage(event_id, Message("assistant", parts), context_id, task_id, facts)


def _request(call: PendingCall) -> JsonObject:
    """What a client needs in order to show a call and to decide on it."""
    shown: JsonObject = {
        "type": "tool_approval_request",
        "tool_call_id": call.call_id,
        "tool_name": call.name,
        "arguments": call.args,
        "arguments_hash": call.args_hash,
    }
    if call.expires_at is not None:
        shown["expires_at"] = iso(call.expires_at)
    if call.interrupted:
        shown["interrupted"] = True
    if call.agent:
        shown["agent"] = call.agent
    return shown


def history(events: Iterable[Event], *, context_id: str, task_id: str) -> tuple[ClientMessage, ...]:
    """The messages of a task in order, from its events."""
    found = (client_message(event, context_id=context_id, task_id=task_id) for event in events)
    return tuple(message for message in found if message is not None)
