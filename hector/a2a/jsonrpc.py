"""The JSON-RPC 2.0 envelope, and which method means which operation in which version of A2A."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

from hector.a2a import v03, wire
from hector.a2a.errors import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, ProtocolError, rpc_error
from hector.core.content import JsonObject
from hector.core.errors import HectorError
from hector.core.record import dataclass


class Operation(Enum):
    """What A2A can be asked, in both versions and both bindings."""

    SEND = auto()
    STREAM = auto()
    GET = auto()
    LIST = auto()
    CANCEL = auto()
    SUBSCRIBE = auto()
    CREATE_PUSH = auto()
    GET_PUSH = auto()
    LIST_PUSH = auto()
    DELETE_PUSH = auto()
    EXTENDED_CARD = auto()


METHODS: Final[Mapping[str, Operation]] = {
    "SendMessage": Operation.SEND,
    "SendStreamingMessage": Operation.STREAM,
    "GetTask": Operation.GET,
    "ListTasks": Operation.LIST,
    "CancelTask": Operation.CANCEL,
    "SubscribeToTask": Operation.SUBSCRIBE,
    "CreateTaskPushNotificationConfig": Operation.CREATE_PUSH,
    "GetTaskPushNotificationConfig": Operation.GET_PUSH,
    "ListTaskPushNotificationConfigs": Operation.LIST_PUSH,
    "DeleteTaskPushNotificationConfig": Operation.DELETE_PUSH,
    "GetExtendedAgentCard": Operation.EXTENDED_CARD,
}
METHODS_03: Final[Mapping[str, Operation]] = {
    "message/send": Operation.SEND,
    "message/stream": Operation.STREAM,
    "tasks/get": Operation.GET,
    "tasks/cancel": Operation.CANCEL,
    "tasks/resubscribe": Operation.SUBSCRIBE,
    "tasks/pushNotificationConfig/set": Operation.CREATE_PUSH,
    "tasks/pushNotificationConfig/get": Operation.GET_PUSH,
    "tasks/pushNotificationConfig/list": Operation.LIST_PUSH,
    "tasks/pushNotificationConfig/delete": Operation.DELETE_PUSH,
    "agent/getAuthenticatedExtendedCard": Operation.EXTENDED_CARD,
}


@dataclass(slots=True)
class Call:
    """A JSON-RPC request. `id` is the JSON of its id; filled as far as the body could be understood."""

    id: str = "null"
    operation: Operation | None = None
    params: JsonObject | None = None
    old: bool = False
    """Spoken in the words of 0.3."""

    def read(self, body: bytes) -> None:
        """Fill from a body. Raises ProtocolError; what was understood before that, such as the id, is kept."""
        value = wire.loads(body)
        if not isinstance(value, dict):
            what = "batches are not part of A2A; send one object" if isinstance(value, list) else "send one object"
            raise ProtocolError(INVALID_REQUEST, f"the body is not a JSON-RPC request: {what}")
        self._read_id(value)
        if value.get("jsonrpc") != "2.0":
            raise ProtocolError(INVALID_REQUEST, 'member "jsonrpc" must be "2.0"')
        self._read_method(value.get("method"))
        params = value.get("params")
        if params is not None and not isinstance(params, dict):
            raise ProtocolError(INVALID_PARAMS, 'member "params" must be an object')
        self.params = params or {}

    def _read_id(self, value: JsonObject) -> None:
        found = value.get("id")
        if found is not None and type(found) not in (str, int):  # true and false are no ids, either
            raise ProtocolError(INVALID_REQUEST, 'member "id" must be a string, a whole number or null')
        self.id = wire.quote(found) if isinstance(found, str) else wire.dumps(found)

    def _read_method(self, method: Any) -> None:
        if not isinstance(method, str):
            raise ProtocolError(INVALID_REQUEST, 'member "method" must be a string')
        self.operation = METHODS.get(method)
        if self.operation is None:
            self.old = method in METHODS_03
            self.operation = METHODS_03.get(method)
        if self.operation is None:
            raise ProtocolError(METHOD_NOT_FOUND, f"no method {method[:100]!r}; there are {', '.join(METHODS)}")

    def result(self, value: Any) -> bytes:
        """A response."""
        return f'{{"jsonrpc":"2.0","id":{self.id},"result":{wire.dumps(value)}}}'.encode("ascii")

    def error(self, error: HectorError) -> JsonObject:
        """The members of an error response, with the id as it came."""
        found = v03.error(rpc_error(error)) if self.old else rpc_error(error)
        return {"jsonrpc": "2.0", "id": wire.loads(self.id.encode()), "error": found}
