"""Both bindings of A2A 1.0 behind one face, written down to the bytes: no SDK that could smooth anything over."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

VERSION = {"A2A-Version": "1.0"}
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
OPERATIONS = {
    "SendMessage": ("POST", "/message:send"),
    "SendStreamingMessage": ("POST", "/message:stream"),
    "GetTask": ("GET", "/tasks/{id}"),
    "ListTasks": ("GET", "/tasks"),
    "CancelTask": ("POST", "/tasks/{id}:cancel"),
    "SubscribeToTask": ("POST", "/tasks/{id}:subscribe"),
    "CreateTaskPushNotificationConfig": ("POST", "/tasks/{taskId}/pushNotificationConfigs"),
    "GetTaskPushNotificationConfig": ("GET", "/tasks/{taskId}/pushNotificationConfigs/{id}"),
    "ListTaskPushNotificationConfigs": ("GET", "/tasks/{taskId}/pushNotificationConfigs"),
    "DeleteTaskPushNotificationConfig": ("DELETE", "/tasks/{taskId}/pushNotificationConfigs/{id}"),
    "GetExtendedAgentCard": ("GET", "/extendedAgentCard"),
}


@dataclass
class Refused(Exception):  # noqa: N818 - the expected outcome of many tests
    """An error as the binding words it; `code` is the JSON-RPC code or the HTTP status."""

    code: int
    reason: str
    message: str


class Binding(Protocol):
    """A client of one binding."""

    name: str
    client: httpx.Client

    def call(self, operation: str, /, **params: Any) -> Any:
        """The result, or Refused."""

    def stream(self, operation: str, /, **params: Any) -> Any:
        """A context that gives an iterator over the events; raises Refused if there is no stream."""


@dataclass(slots=True)
class JsonRpc:
    """JSON-RPC at the agent's own address."""

    client: httpx.Client
    url: str
    name: str = "jsonrpc"

    def _body(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": "call-1", "method": operation, "params": params}

    def call(self, operation: str, /, **params: Any) -> Any:
        answer = self.client.post(self.url, json=self._body(operation, params), headers=VERSION)
        assert answer.status_code == 200
        return self._result(answer)

    def _result(self, answer: httpx.Response) -> Any:
        assert answer.headers["content-type"] == "application/json"
        return self._unwrap(answer.json())

    def _unwrap(self, body: dict[str, Any]) -> Any:
        assert (body["jsonrpc"], body["id"]) == ("2.0", "call-1")
        if "error" in body:
            error = body["error"]
            assert sorted(error) == ["code", "data", "message"]
            raise Refused(error["code"], reason(error["data"]), error["message"])
        return body["result"]

    @contextmanager
    def stream(self, operation: str, /, **params: Any) -> Iterator[Iterator[Any]]:
        body = self._body(operation, params)
        with self.client.stream("POST", self.url, json=body, headers=VERSION) as answer:
            assert answer.status_code == 200
            if answer.headers["content-type"] != "text/event-stream":
                answer.read()
                self._result(answer)
                raise AssertionError("neither a stream nor an error")
            yield (self._unwrap(event) for event in events(answer))


@dataclass(slots=True)
class Rest:
    """HTTP+JSON below the agent's address."""

    client: httpx.Client
    url: str
    name: str = "http_json"

    def _request(self, operation: str, params: dict[str, Any]) -> httpx.Request:
        verb, path = OPERATIONS[operation]
        url = self.url + path.format_map(params)
        rest = {key: value for key, value in params.items() if f"{{{key}}}" not in path}
        if verb == "POST":
            return self.client.build_request(verb, url, json=rest or None, headers=VERSION)
        texts = {key: json.dumps(value) if isinstance(value, bool) else value for key, value in rest.items()}
        return self.client.build_request(verb, url, params=texts, headers=VERSION)

    def call(self, operation: str, /, **params: Any) -> Any:
        answer = self.client.send(self._request(operation, params))
        return self._result(answer)

    def _result(self, answer: httpx.Response) -> Any:
        kind = answer.headers["content-type"]
        assert kind.split(";")[0] == "application/a2a+json"
        assert "application/json" in kind
        body = answer.json()
        if answer.status_code != 200:
            error = body["error"]
            assert error["code"] == answer.status_code
            assert error["status"].isupper()
            raise Refused(error["code"], reason(error["details"]), error["message"])
        return body

    @contextmanager
    def stream(self, operation: str, /, **params: Any) -> Iterator[Iterator[Any]]:
        answer = self.client.send(self._request(operation, params), stream=True)
        try:
            if answer.headers["content-type"] != "text/event-stream":
                answer.read()
                self._result(answer)
                raise AssertionError("neither a stream nor an error")
            assert answer.status_code == 200
            yield events(answer)
        finally:
            answer.close()


def reason(details: Any) -> str:
    """The machine-readable reason, from the one ErrorInfo that must be there."""
    (info,) = [entry for entry in details if entry["@type"] == ERROR_INFO]
    assert info["domain"] == "a2a-protocol.org"
    return str(info["reason"])


def events(answer: httpx.Response) -> Iterator[Any]:
    """Server-sent events by the book: data lines, comments skipped, errors marked as such."""
    kind = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            yield {"failed": event} if kind == "error" else event
        else:
            assert not line or line.startswith((":", "id: "))
            kind = ""
