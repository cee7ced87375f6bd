"""What a conformance kit would ask, over both bindings, against a real server process."""

import threading
from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any

import httpx
import pytest

from tests.a2a.samples import strict
from tests.smoke.frontdoor import Server
from tests.web.bindings import Binding, Refused
from tests.web.live import user

TERMINAL = {f"TASK_STATE_{name}" for name in ("COMPLETED", "FAILED", "CANCELED", "REJECTED")}
NOBODY = "tck-nobody-0001"


def say(prefix: str, text: str = "hello", **fields: Any) -> dict[str, Any]:
    return user(text, messageId=f"tck-{prefix}-0a1b2c3d", **fields)


def send(a2a: Binding, prefix: str, configuration: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    answer = a2a.call(
        "SendMessage", message=say(prefix, **fields), **({"configuration": configuration} if configuration else {})
    )
    strict(answer, "SendMessageResponse")
    return dict(answer)


def start(a2a: Binding, prefix: str, configuration: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return dict(send(a2a, prefix, configuration, **fields)["task"])


def state(task: dict[str, Any]) -> str:
    return str(task["status"]["state"]).removeprefix("TASK_STATE_")


def refused(a2a: Binding, code: int, status: int, reason: str, operation: str, /, **params: Any) -> None:
    with pytest.raises(Refused) as caught:
        a2a.call(operation, **params)
    assert (caught.value.code, caught.value.reason) == (code if a2a.name == "jsonrpc" else status, reason)
    assert caught.value.message


def states(events: list[dict[str, Any]]) -> list[str]:
    inner = [event.get("task") or event.get("statusUpdate") for event in events]
    return [name for name, _ in groupby(state(found) for found in inner if found)]


@pytest.mark.a2a("CORE-SEND-001", "CORE-MULTI-001", "CORE-MULTI-001a", "CORE-MULTI-003", "DM-SERIAL-004")
@pytest.mark.proves("a2a.jsonrpc", "a2a.rest")
def test_a_message_becomes_a_finished_task(a2a: Binding) -> None:
    first, second = start(a2a, "complete-task"), start(a2a, "complete-task")
    assert (state(first), first["artifacts"][0]["parts"]) == ("COMPLETED", [{"text": "Hello from TCK"}])
    assert first["contextId"]
    assert len({first["id"], second["id"], first["contextId"], second["contextId"]}) == 4


@pytest.mark.a2a("DM-ART-001", "DM-PART-001")
@pytest.mark.proves("a2a.save-artifact", "a2a.request-facts")
@pytest.mark.parametrize(
    ("prefix", "part"),
    [
        ("artifact-text", {"text": "Generated text content"}),
        (
            "artifact-file",
            {"raw": "R2VuZXJhdGVkIGZpbGUgY29udGVudA==", "filename": "output.txt", "mediaType": "text/plain"},
        ),
        (
            "artifact-file-url",
            {"url": "https://example.com/output.txt", "filename": "output.txt", "mediaType": "text/plain"},
        ),
        ("artifact-data", {"data": {"key": "value", "count": 42}}),
    ],
)
def test_artifacts_of_every_kind(a2a: Binding, prefix: str, part: dict[str, Any]) -> None:
    task = start(a2a, prefix)
    assert (state(task), task["artifacts"][0]["parts"]) == ("COMPLETED", [part])
    again = a2a.call("GetTask", id=task["id"])
    assert again["artifacts"] == task["artifacts"]


@pytest.mark.a2a("DM-MSG-001", "CORE-SEND-001")
@pytest.mark.proves("a2a.direct-message")
def test_a_direct_message_leaves_no_task(a2a: Binding) -> None:
    answer = send(a2a, "message-response", contextId="direct-context")
    assert list(answer) == ["message"]
    assert answer["message"]["parts"] == [{"text": "Direct message response"}]
    assert answer["message"]["contextId"] == "direct-context"
    assert a2a.call("ListTasks", contextId="direct-context")["totalSize"] == 0


@pytest.mark.a2a("CORE-EXECUTION-MODE-001", "CORE-MULTI-005", "DM-TASK-002")
@pytest.mark.proves("a2a.ask-user")
def test_a_task_asks_and_goes_on(a2a: Binding) -> None:
    asked = start(a2a, "input-required")
    assert state(asked) == "INPUT_REQUIRED"
    assert asked["status"]["message"]["parts"] == [{"text": "What else should I know?"}]
    done = start(a2a, "complete-task", taskId=asked["id"], text="this")
    assert (state(done), done["id"], done["contextId"]) == ("COMPLETED", asked["id"], asked["contextId"])


@pytest.mark.a2a("DM-TASK-002")
def test_tasks_are_declined_and_fail(a2a: Binding) -> None:
    declined, failed = start(a2a, "reject-task"), start(a2a, "task-failure")
    assert (state(declined), state(failed)) == ("REJECTED", "FAILED")
    assert declined["status"]["message"]["parts"] == [{"text": "rejected"}]
    assert "on purpose" in failed["status"]["message"]["parts"][0]["text"]


@pytest.mark.a2a("CORE-EXECUTION-MODE-001", "CORE-EXECUTION-MODE-002")
def test_waiting_is_the_default_and_can_be_declined(a2a: Binding) -> None:
    at_once = start(a2a, "delayed-complete", {"returnImmediately": True})
    assert state(at_once) in ("SUBMITTED", "WORKING")
    waited = start(a2a, "delayed-complete", {"returnImmediately": False})
    assert state(waited) == "COMPLETED"
    assert waited["artifacts"][-1]["parts"] == [{"text": "Done after delay"}]
    assert state(a2a.call("GetTask", id=at_once["id"])) == "COMPLETED"


@pytest.mark.a2a("CORE-SEND-003")
def test_media_types_are_refused_only_where_that_is_configured(a2a: Binding) -> None:
    odd = say("send-003") | {"parts": [{"raw": "dGNr", "mediaType": "application/x-unsupported"}]}
    assert a2a.call("SendMessage", message=odd)["task"]


@pytest.mark.a2a("CORE-MULTI-002", "CORE-MULTI-002a")
def test_a_context_of_the_client_is_kept(a2a: Binding) -> None:
    assert start(a2a, "complete-task", contextId="my context")["contextId"] == "my context"


@pytest.mark.a2a("CORE-MULTI-004", "CORE-GET-002", "CORE-CANCEL-003", "STREAM-SUB-004", "CORE-ERR-001")
@pytest.mark.a2a("JSONRPC-ERR-002", "JSONRPC-ERR-003", "JSONRPC-SSE-002", "HTTP_JSON-ERR-002", "HTTP_JSON-STATUS-001")
@pytest.mark.proves("a2a.errors")
def test_unknown_tasks_are_not_found(a2a: Binding) -> None:
    gone = (-32001, 404, "TASK_NOT_FOUND")
    refused(a2a, *gone, "GetTask", id=NOBODY)
    refused(a2a, *gone, "CancelTask", id=NOBODY)
    refused(a2a, *gone, "SendMessage", message=say("multi-004", taskId=NOBODY))
    with pytest.raises(Refused) as caught, a2a.stream("SubscribeToTask", id=NOBODY):
        pass
    assert caught.value.reason == "TASK_NOT_FOUND"
    with pytest.raises(Refused) as caught, a2a.stream("SendStreamingMessage", message=say("x", taskId=NOBODY)):
        pass
    assert caught.value.reason == "TASK_NOT_FOUND"


@pytest.mark.a2a("CORE-SEND-002", "CORE-CANCEL-002", "STREAM-SUB-003", "CORE-MULTI-006")
@pytest.mark.proves("a2a.errors")
def test_what_is_over_stays_over(a2a: Binding) -> None:
    task = start(a2a, "complete-task")
    over = (-32004, 400, "UNSUPPORTED_OPERATION")
    refused(a2a, *over, "SendMessage", message=say("terminal", taskId=task["id"]))
    refused(a2a, -32002, 400, "TASK_NOT_CANCELABLE", "CancelTask", id=task["id"])
    with pytest.raises(Refused) as caught, a2a.stream("SubscribeToTask", id=task["id"]):
        pass
    assert caught.value.reason == "UNSUPPORTED_OPERATION"
    elsewhere = say("mismatch", taskId=task["id"], contextId="elsewhere")
    refused(a2a, -32602, 400, "INVALID_PARAMS", "SendMessage", message=elsewhere)


@pytest.mark.a2a("CORE-GET-001", "CORE-CANCEL-001")
@pytest.mark.proves("a2a.tasks")
def test_get_and_cancel(a2a: Binding) -> None:
    asked = start(a2a, "input-required")
    got = a2a.call("GetTask", id=asked["id"])
    strict(got, "Task")
    assert got == asked
    canceled = a2a.call("CancelTask", id=asked["id"])
    strict(canceled, "Task")
    assert (state(canceled), canceled["id"]) == ("CANCELED", asked["id"])
    refused(a2a, -32002, 400, "TASK_NOT_CANCELABLE", "CancelTask", id=asked["id"], metadata={"why": "again"})


@pytest.mark.a2a("CORE-CANCEL-001")
@pytest.mark.proves("a2a.tasks")
def test_running_work_is_canceled_at_once(a2a: Binding) -> None:
    task = start(a2a, "cancel", {"returnImmediately": True})
    assert state(a2a.call("CancelTask", id=task["id"])) == "CANCELED"
    assert state(a2a.call("GetTask", id=task["id"])) == "CANCELED"


@pytest.mark.a2a("CORE-LIST-001", "CORE-LIST-002", "CORE-LIST-003", "CORE-LIST-004", "CORE-LIST-005")
@pytest.mark.proves("a2a.tasks")
def test_listing(a2a: Binding) -> None:
    context = f"list-{a2a.name}"
    made = [start(a2a, "artifact-text", contextId=context)["id"] for _ in range(3)]
    made.append(start(a2a, "input-required", contextId=context)["id"])
    newest_first = made[::-1]
    page = a2a.call("ListTasks", contextId=context, pageSize=3)
    strict(page, "ListTasksResponse")
    assert [task["id"] for task in page["tasks"]] == newest_first[:3]
    assert (page["pageSize"], page["totalSize"]) == (3, 4)
    assert all("artifacts" not in task and "history" not in task for task in page["tasks"])
    last = a2a.call("ListTasks", contextId=context, pageSize=3, pageToken=page["nextPageToken"])
    assert ([task["id"] for task in last["tasks"]], last["nextPageToken"]) == (newest_first[3:], "")
    waiting = a2a.call("ListTasks", contextId=context, status="TASK_STATE_INPUT_REQUIRED")
    assert [task["id"] for task in waiting["tasks"]] == [made[3]]
    since = page["tasks"][1]["status"]["timestamp"]
    recent = a2a.call("ListTasks", contextId=context, statusTimestampAfter=since)
    assert [task["id"] for task in recent["tasks"]] == newest_first[:2]
    full = a2a.call("ListTasks", contextId=context, includeArtifacts=True, historyLength=1)
    assert all("artifacts" in task and len(task["history"]) == 1 for task in full["tasks"])
    empty = a2a.call("ListTasks", contextId="no such context")
    assert empty == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}
    for wrong in ({"pageSize": 0}, {"pageSize": 101}, {"status": "DONE"}, {"pageToken": "made up"}):
        refused(a2a, -32602, 400, "INVALID_PARAMS", "ListTasks", **wrong)


@pytest.mark.a2a("CORE-HIST-001", "CORE-HIST-002", "CORE-HIST-003", "CORE-HIST-004", "CORE-HIST-005", "CORE-HIST-006")
@pytest.mark.proves("a2a.tasks")
def test_history(a2a: Binding) -> None:
    asked = start(a2a, "input-required", {"historyLength": 0}, text="first words")
    assert "history" not in asked
    done = start(a2a, "complete-task", {"historyLength": 0}, taskId=asked["id"], text="second words")
    assert "history" not in done
    history = a2a.call("GetTask", id=asked["id"], historyLength=10)["history"]
    words = [(message["role"], message["parts"][0]["text"]) for message in history]
    assert words == [
        ("ROLE_USER", "first words"),
        ("ROLE_AGENT", "What else should I know?"),
        ("ROLE_USER", "second words"),
    ]
    assert [message["messageId"] for message in history if message["role"] == "ROLE_USER"] == [
        "tck-input-required-0a1b2c3d",
        "tck-complete-task-0a1b2c3d",
    ]
    assert a2a.call("GetTask", id=asked["id"], historyLength=1)["history"] == history[-1:]
    assert "history" not in a2a.call("GetTask", id=asked["id"], historyLength=0)
    assert a2a.call("GetTask", id=asked["id"])["history"] == history
    refused(a2a, -32602, 400, "INVALID_PARAMS", "GetTask", id=asked["id"], historyLength=-1)


@pytest.mark.a2a("CORE-STREAM-001", "CORE-STREAM-003", "STREAM-ORDER-001", "JSONRPC-SSE-001", "HTTP_JSON-SSE-001")
@pytest.mark.proves("a2a.streaming")
@pytest.mark.parametrize(
    ("prefix", "text"), [("stream-001", "Stream hello from TCK"), ("stream-artifact-chunked", "chunk-1 chunk-2")]
)
def test_a_stream_from_the_task_to_its_end(a2a: Binding, prefix: str, text: str) -> None:
    with a2a.stream("SendStreamingMessage", message=say(prefix)) as stream:
        events = list(stream)
    for event in events:
        strict(event, "StreamResponse")
    assert list(events[0]) == ["task"]
    assert states(events) == ["SUBMITTED", "WORKING", "COMPLETED"]
    chunks = [event["artifactUpdate"] for event in events if "artifactUpdate" in event]
    assert "".join(chunk["artifact"]["parts"][0]["text"] for chunk in chunks) == text
    assert {chunk["artifact"]["artifactId"] for chunk in chunks} == {"answer-1"}
    assert [chunk.get("append", False) for chunk in chunks] == [False] + [True] * (len(chunks) - 1)
    assert [chunk.get("lastChunk", False) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert list(events[-1]) == ["statusUpdate"]


@pytest.mark.a2a("CORE-STREAM-002")
@pytest.mark.proves("a2a.direct-message")
def test_a_direct_message_is_a_stream_of_one(a2a: Binding) -> None:
    with a2a.stream("SendStreamingMessage", message=say("stream-002")) as stream:
        assert [list(event) for event in stream] == [["message"]]


@pytest.mark.a2a("CORE-STREAM-003")
def test_a_stream_closes_when_the_task_asks(a2a: Binding) -> None:
    with a2a.stream("SendStreamingMessage", message=say("input-required")) as stream:
        assert states(list(stream)) == ["SUBMITTED", "WORKING", "INPUT_REQUIRED"]


@pytest.mark.a2a("STREAM-SUB-001", "STREAM-SUB-002", "STREAM-ORDER-002", "STREAM-ORDER-003", "STREAM-ORDER-004")
@pytest.mark.proves("a2a.subscribe")
def test_subscribers_see_the_same_until_the_end(a2a: Binding) -> None:
    task = start(a2a, "input-required")
    with (
        a2a.stream("SubscribeToTask", id=task["id"]) as first,
        a2a.stream("SubscribeToTask", id=task["id"]) as second,
    ):
        with a2a.stream("SubscribeToTask", id=task["id"]) as early:
            assert list(next(early)) == ["task"]
        snapshots = [next(first), next(second)]
        assert snapshots[0] == snapshots[1] == {"task": a2a.call("GetTask", id=task["id"])}
        done = start(a2a, "complete-task", taskId=task["id"])
        seen = [list(first), list(second)]
    assert seen[0] == seen[1]
    assert states(seen[0]) == ["WORKING", "COMPLETED"]
    assert done["id"] == task["id"]


@pytest.mark.a2a("STREAM-SUB-001")
@pytest.mark.proves("a2a.subscribe")
def test_subscribing_to_running_work_begins_with_what_is_there(a2a: Binding) -> None:
    task = start(a2a, "long-running", {"returnImmediately": True})
    with a2a.stream("SubscribeToTask", id=task["id"]) as stream:
        events = list(stream)
    assert events[0]["task"]["id"] == task["id"]
    assert states(events)[-1] == "COMPLETED"


@pytest.mark.a2a("CORE-CAP-001", "CORE-CAP-003")
def test_capabilities_that_are_off(a2a: Binding) -> None:
    refused(a2a, -32004, 400, "UNSUPPORTED_OPERATION", "GetExtendedAgentCard")


@pytest.mark.a2a("CORE-ERR-002", "DM-SERIAL-005")
def test_wrong_fields_are_refused_and_unknown_ones_ignored(a2a: Binding) -> None:
    refused(a2a, -32602, 400, "INVALID_PARAMS", "SendMessage")
    refused(a2a, -32602, 400, "INVALID_PARAMS", "SendMessage", message={"messageId": "x"})
    answer = a2a.call("SendMessage", message=say("dm-serial", tckUnknownField="x"), tckExtraParam=42)
    assert state(answer["task"]) == "COMPLETED"


@pytest.mark.a2a("DM-SERIAL-001")
def test_both_spellings_are_understood(a2a: Binding) -> None:
    message = {"message_id": "m", "role": "ROLE_USER", "parts": [{"text": "x"}], "context_id": "snake context"}
    answer = a2a.call("SendMessage", message=message, configuration={"history_length": 0})
    assert answer["task"]["contextId"] == "snake context"
    assert "history" not in answer["task"]
    if a2a.name == "jsonrpc":
        assert a2a.call("ListTasks", context_id="snake context", page_size=1)["pageSize"] == 1


def raw(conformance: Server, **headers: str) -> Iterator[tuple[int, Any]]:
    body = {"message": say("version")}
    rpc = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": body}
    for path, content in (("/agents/conformance", rpc), ("/agents/conformance/message:send", body)):
        answer = httpx.post(conformance.url + path, json=content, headers=headers)
        yield answer.status_code, answer.json()


@pytest.mark.a2a("VER-SERVER-002", "VER-SERVER-003", "JSONRPC-SVC-002", "HTTP_JSON-SVC-002")
@pytest.mark.proves("a2a.version-header")
def test_service_parameters(conformance: Server) -> None:
    (rpc_status, rpc), (rest_status, rest) = raw(conformance, **{"A2A-Version": "99.0"})
    assert (rpc_status, rpc["error"]["code"]) == (200, -32009)
    assert (rest_status, rest["error"]["details"][0]["reason"]) == (400, "VERSION_NOT_SUPPORTED")
    for headers in ({"A2A-Version": ""}, {"a2a-version": "1.0.1"}, {"A2A-Extensions": "urn:a,urn:b"}, {}):
        (rpc_status, rpc), (rest_status, rest) = raw(conformance, **headers)
        assert (rpc_status, rest_status) == (200, 200)
        assert rpc["result"]["task"]
        assert rest["task"]
    answer = httpx.get(f"{conformance.url}/tasks", params={"A2A-Version": "0.1"})
    assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (400, "VERSION_NOT_SUPPORTED")


@pytest.mark.a2a("JSONRPC-FMT-001", "JSONRPC-FMT-002", "HTTP_JSON-URL-001")
def test_every_spelling_of_the_address_answers_without_a_redirect(conformance: Server) -> None:
    rpc = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": say("complete-task")}}
    for path in ("/agents/conformance", "/agents/conformance/", "/", ""):
        answer = httpx.post(conformance.url + path, json=rpc)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    for path in ("/message:send", "/default/message:send", "/agents/conformance/default/message:send"):
        assert httpx.post(conformance.url + path, json=rpc["params"]).status_code == 200
    answer = httpx.post(f"{conformance.url}/nobody/message:send", json=rpc["params"])
    assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (404, "TENANT_NOT_FOUND")
    task = httpx.post(f"{conformance.url}/message:send", json=rpc["params"]).json()["task"]
    assert httpx.get(f"{conformance.url}/default/tasks/{task['id']}").status_code == 200
    assert httpx.get(f"{conformance.url}/nobody/tasks/{task['id']}").status_code == 404
    assert httpx.get(f"{conformance.url}/tasks/{task['id']}:subscribe").status_code == 400


@pytest.mark.a2a("HTTP_JSON-SVC-001")
def test_the_media_type_is_negotiated(conformance: Server) -> None:
    types = [
        httpx.get(f"{conformance.url}/tasks", headers={"Accept": accept}).headers["content-type"]
        for accept in ("*/*", "application/json", "application/a2a+json, application/json")
    ]
    preferred = 'application/a2a+json; also="application/json"'
    assert types == [preferred, "application/json", preferred]


@pytest.mark.a2a("STREAM-ORDER-004")
def test_many_subscribers_at_once(a2a: Binding) -> None:
    task = start(a2a, "input-required")
    seen: list[list[Any]] = []
    ready = threading.Barrier(9)

    def follow() -> None:
        with a2a.stream("SubscribeToTask", id=task["id"]) as stream:
            first = list(islice(stream, 1))
            ready.wait(60)
            seen.append(first + list(stream))

    threads = [threading.Thread(target=follow) for _ in range(8)]
    for thread in threads:
        thread.start()
    ready.wait(60)
    start(a2a, "complete-task", taskId=task["id"])
    for thread in threads:
        thread.join(60)
    assert len(seen) == 8
    assert all(events == seen[0] for events in seen)
