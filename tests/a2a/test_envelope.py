"""JSON-RPC, versions and errors."""

import json
from typing import Any

import pytest

from hector.a2a import version
from hector.a2a.errors import ProtocolError, fault_of, rest_error, rpc_error
from hector.a2a.jsonrpc import METHODS, METHODS_03, Call, Operation
from hector.core import errors
from hector.core.errors import HectorError, Violation


def call(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "t"}, **members}).encode()


@pytest.mark.a2a("JSONRPC-FMT-001", "JSONRPC-SVC-001")
def test_every_method_of_the_specification_is_known() -> None:
    assert len(METHODS) == 11
    assert {Operation.LIST} == set(METHODS.values()) - set(METHODS_03.values())
    for name, operation in {**METHODS, **METHODS_03}.items():
        found = Call()
        found.read(call(method=name))
        assert (found.operation, found.old) == (operation, name in METHODS_03)


@pytest.mark.a2a("JSONRPC-FMT-001")
@pytest.mark.parametrize("request_id", [1, "a\u2028b", None, 10**30, -5, ""])
def test_the_id_comes_back_as_it_went(request_id: object) -> None:
    found = Call()
    found.read(call(id=request_id))
    assert json.loads(found.result({"a": 1})) == {"jsonrpc": "2.0", "id": request_id, "result": {"a": 1}}
    assert found.error(errors.NotFound("task", "t"))["id"] == request_id


def test_parameters_may_be_missing() -> None:
    for body in (b'{"jsonrpc":"2.0","method":"ListTasks"}', b'{"jsonrpc":"2.0","method":"ListTasks","params":null}'):
        found = Call()
        found.read(body)
        assert (found.id, found.params) == ("null", {})


@pytest.mark.a2a("JSONRPC-ERR-001", "CORE-ERR-001")
@pytest.mark.proves("a2a.errors")
@pytest.mark.parametrize(
    ("body", "code", "request_id"),
    [
        (b"nonsense", -32700, None),
        (b"[]", -32600, None),
        (b"[" + call() + b"]", -32600, None),
        (b'"text"', -32600, None),
        (call(jsonrpc="1.0"), -32600, 1),
        (b'{"id": "x", "method": "GetTask"}', -32600, "x"),
        (call(id=1.5), -32600, None),
        (call(id=True), -32600, None),
        (call(id={}), -32600, None),
        (call(method=None), -32600, 1),
        (call(method=["GetTask"]), -32600, 1),
        (call(method="Nonsense"), -32601, 1),
        (call(method="gettask"), -32601, 1),
        (call(params=[]), -32602, 1),
        (call(params="t"), -32602, 1),
    ],
)
def test_a_broken_call_is_answered_with_the_code_of_its_fault(body: bytes, code: int, request_id: object) -> None:
    found = Call()
    with pytest.raises(ProtocolError) as caught:
        found.read(body)
    answer = found.error(caught.value)
    assert (answer["error"]["code"], answer["id"]) == (code, request_id)
    assert sorted(answer["error"]) == ["code", "data", "message"]


@pytest.mark.a2a("JSONRPC-ERR-002", "JSONRPC-ERR-003", "HTTP_JSON-ERR-001", "HTTP_JSON-ERR-002", "HTTP_JSON-STATUS-001")
@pytest.mark.proves("a2a.errors")
@pytest.mark.parametrize(
    ("error", "code", "status", "reason"),
    [
        (errors.NotFound("task", "t"), -32001, 404, "TASK_NOT_FOUND"),
        (errors.NotFound("push notification config", "c"), -32001, 404, "TASK_NOT_FOUND"),
        (errors.NotFound("document store", "d"), -32602, 404, "DOCUMENT_STORE_NOT_FOUND"),
        (errors.NotFound("agent", "a"), -32602, 404, "AGENT_NOT_FOUND"),
        (errors.TaskNotCancelable("done"), -32002, 400, "TASK_NOT_CANCELABLE"),
        (errors.NotSupported("no"), -32004, 400, "UNSUPPORTED_OPERATION"),
        (errors.ContentNotAccepted("no"), -32005, 400, "CONTENT_TYPE_NOT_SUPPORTED"),
        (errors.InvalidRequest("no"), -32602, 400, "INVALID_PARAMS"),
        (errors.TooLarge("no"), -32600, 413, "REQUEST_TOO_LARGE"),
        (errors.StoreUnavailable("secret path"), -32603, 503, "UNAVAILABLE"),
        (errors.StoreError("secret path"), -32603, 500, "INTERNAL_ERROR"),
        (errors.ModelAuthError("secret path"), -32603, 500, "INTERNAL_ERROR"),
        (HectorError("secret path"), -32603, 500, "INTERNAL_ERROR"),
    ],
)
def test_the_error_table(error: HectorError, code: int, status: int, reason: str) -> None:
    rpc, rest = rpc_error(error), rest_error(error)["error"]
    assert (rpc["code"], rest["code"], fault_of(error).reason) == (code, status, reason)
    for details in (rpc["data"], rest["details"]):
        assert details == [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": "a2a-protocol.org",
                "metadata": {},
            }
        ]
    assert sorted(rest) == ["code", "details", "message", "status"]
    assert "secret" not in json.dumps([rpc, rest])


@pytest.mark.a2a("CORE-ERR-002")
def test_wrong_fields_are_listed_in_the_details() -> None:
    error = errors.InvalidRequest("wrong", [Violation("message.parts", "is required")])
    assert rpc_error(error)["data"][1] == {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "message.parts", "description": "is required"}],
    }


@pytest.mark.a2a("VER-SERVER-001", "VER-SERVER-002", "VER-SERVER-003")
@pytest.mark.proves("a2a.version-header")
@pytest.mark.parametrize("asked", ["", "  ", "1.0", "1", "1.0.1", "1.0.0-rc.1", " 1.0 "])
def test_versions_that_are_served(asked: str) -> None:
    version.check(asked, old=False)
    version.check(asked, old=True)


def test_the_old_version_goes_with_the_old_words() -> None:
    for asked in ("0.3", "0.3.0"):
        version.check(asked, old=True)
        with pytest.raises(ProtocolError, match=r"says 0\.3"):
            version.check(asked, old=False)


@pytest.mark.a2a("VER-SERVER-002")
@pytest.mark.proves("a2a.version-header")
@pytest.mark.parametrize("asked", ["99.0", "0.2", "1.1", "2", "one", "1.0,0.3", "1.", "-1.0", "9" * 50])
def test_versions_that_are_not_served(asked: str) -> None:
    with pytest.raises(ProtocolError, match="not supported") as caught:
        version.check(asked, old=False)
    assert (caught.value.fault.code, caught.value.fault.status) == (-32009, 400)
