"""The operations on push notification configs, in both versions and both bindings."""

from typing import Any, Final

from hector.a2a import push as wording
from hector.a2a.jsonrpc import Operation
from hector.core.content import JsonObject
from hector.core.push import PushConfig
from hector.core.task import Caller
from hector.tasks.push import PushService

OPERATIONS: Final = frozenset(
    {Operation.CREATE_PUSH, Operation.GET_PUSH, Operation.LIST_PUSH, Operation.DELETE_PUSH},
)


class PushOperations:
    """Reads the parameters, calls the service, words the answer."""

    def __init__(self, service: PushService) -> None:
        self._service = service

    def check(self, config: PushConfig, *, old: bool) -> None:
        """Judge the config that came with a message. Raises InvalidRequest, and ProtocolError while there are none."""
        name = "pushNotificationConfig" if old else "taskPushNotificationConfig"
        self._service.check(config, f"configuration.{name}.url")

    async def perform(self, caller: Caller, agent: str, params: JsonObject, operation: Operation, *, old: bool) -> Any:
        """The JSON of the answer; a deletion has none. Raises RequestError's subclasses."""
        self._service.require()
        if operation is Operation.CREATE_PUSH:
            made = wording.parse_create(params, old=old)
            config = await self._service.create(caller, agent, made.task_id, made.config)
            return wording.config(made.task_id, config, old=old)
        if operation is Operation.LIST_PUSH:
            asked = wording.parse_listing(params, old=old)
            page = await self._service.page(caller, agent, asked.task_id, asked.page_size, asked.page_token)
            return wording.listing(asked.task_id, page, old=old)
        ref = wording.parse_ref(params, old=old)
        if operation is Operation.GET_PUSH:
            config = await self._service.get(caller, agent, ref.task_id, ref.config_id)
            return wording.config(ref.task_id, config, old=old)
        await self._service.delete(caller, agent, ref.task_id, ref.config_id)
        return None
