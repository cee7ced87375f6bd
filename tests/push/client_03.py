# mypy: ignore-errors
# (written against another version of the SDK than the one that is installed beside mypy)
"""Run by the interpreter that has the SDK of A2A 0.3: asks to be told at the address given, prints what it saw."""

import asyncio
import json
import sys
import uuid

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import (
    GetTaskPushNotificationConfigParams,
    Message,
    Part,
    PushNotificationAuthenticationInfo,
    PushNotificationConfig,
    Role,
    TaskPushNotificationConfig,
    TextPart,
)


async def main(url, receiver):
    authentication = PushNotificationAuthenticationInfo(schemes=["Bearer"], credentials="secret")
    inline = PushNotificationConfig(id="inline", url=receiver, token="t-1", authentication=authentication)
    async with httpx.AsyncClient(timeout=30) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        config = ClientConfig(streaming=False, httpx_client=http, push_notification_configs=[inline])
        client = ClientFactory(config).create(card)
        message = Message(role=Role.user, parts=[Part(root=TextPart(text="hi"))], message_id=str(uuid.uuid4()))
        async for task, _ in client.send_message(message):
            task_id = task.id
        wanted = GetTaskPushNotificationConfigParams(id=task_id, push_notification_config_id="inline")
        found = await client.get_task_callback(wanted)
        own = PushNotificationConfig(url="https://hooks.example.com")
        made = await client.set_task_callback(TaskPushNotificationConfig(task_id=task_id, push_notification_config=own))
        again = await client.get_task_callback(GetTaskPushNotificationConfigParams(id=task_id))
        seen = {
            "task": task_id,
            "declared": card.capabilities.push_notifications,
            "inline": found.push_notification_config.token,
            "id": made.push_notification_config.id,
            "same": made == again,
        }
    print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:]))
