# mypy: ignore-errors
# (written against another version of the SDK than the one that is installed beside mypy)
"""Run by the interpreter that has the SDK of A2A 0.3: goes through a conversation and prints what it saw as JSON."""

import asyncio
import json
import sys
import uuid

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.client.errors import A2AClientJSONRPCError
from a2a.types import Message, Part, Role, TaskIdParams, TaskQueryParams, TextPart


def message(prefix, task_id=None):
    part = Part(root=TextPart(text="hi"))
    return Message(role=Role.user, parts=[part], message_id=f"{prefix}-{uuid.uuid4()}", task_id=task_id)


async def say(client, prefix, task_id=None):
    """(task id, last state, all artifact text) or the text of a direct message."""
    last, text = None, ""
    async for event in client.send_message(message(prefix, task_id)):
        if isinstance(event, Message):
            return event.parts[0].root.text
        last, _ = event
    for artifact in last.artifacts or []:
        text += "".join(part.root.text for part in artifact.parts if part.root.kind == "text")
    return last.id, last.status.state.value, text


async def main(url):
    async with httpx.AsyncClient(timeout=30) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        seen = {"protocol": card.protocol_version, "url": card.url}
        for streaming in (False, True):
            client = ClientFactory(ClientConfig(streaming=streaming, httpx_client=http)).create(card)
            name = "streaming" if streaming else "blocking"
            seen[name] = (await say(client, "tck-stream-001"))[1:]
            seen[f"{name}-message"] = await say(client, "tck-message-response")
            asked = await say(client, "tck-input-required")
            seen[f"{name}-asked"] = asked[1]
            seen[f"{name}-done"] = (await say(client, "tck-complete-task", asked[0]))[1]
        waiting, _, _ = await say(client, "tck-input-required")
        task = await client.get_task(TaskQueryParams(id=waiting, history_length=1))
        seen["history"] = [entry.role.value for entry in task.history]
        follow = client.resubscribe(TaskIdParams(id=waiting))
        seen["resubscribed"] = (await anext(follow))[0].status.state.value
        await follow.aclose()
        seen["canceled"] = (await client.cancel_task(TaskIdParams(id=waiting))).status.state.value
        try:
            await client.get_task(TaskQueryParams(id="nobody"))
        except A2AClientJSONRPCError as error:
            seen["error"] = str(error)
    print(json.dumps(seen))


asyncio.run(main(sys.argv[1]))
