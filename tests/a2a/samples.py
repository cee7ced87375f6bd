"""Values that the tests of the protocol share, and the official SDK's messages as a strict schema."""

from importlib import import_module
from typing import Any

from a2a.types import a2a_pb2

from hector.core.content import Data, JsonObject, Media, Message, Text
from hector.core.event import Artifact
from hector.core.task import ClientMessage, Status, Task, TaskState

json_format: Any = import_module("google.protobuf.json_format")  # has no type stubs
NOON = 1_761_647_400.5  # 2025-10-28T10:30:00.500Z

QUESTION = ClientMessage("m-1", Message("user", (Text("hello"),)), "ctx-1", "task-1")
NOTE = ClientMessage("m-2", Message("assistant", (Text("one moment"),)), "ctx-1", "task-1")


def task(state: TaskState = TaskState.COMPLETED, **fields: Any) -> Task:
    """A task with a question, a note in its status and four kinds of parts in an artifact."""
    parts = (
        Text("words", metadata={"lang_code": "en"}, media_type="text/markdown", name="a.md"),
        Media("image/png", data="aGVsbG8=", name="p.png"),
        Media("text/plain", url="https://example.com/a.txt"),
        Data({"snake_key": [1, None, 2.5]}, "application/json"),
    )
    made = Task(
        "task-1",
        "ctx-1",
        "assistant",
        Status(state, NOON, NOTE),
        (Artifact("art-1", parts, "report", "all kinds", {"origin": "test"}),),
        (QUESTION,),
        {"purpose": "test"},
    )
    return Task(**{**{name: getattr(made, name) for name in made.__slots__}, **fields})


def send(**message: Any) -> JsonObject:
    """Parameters of SendMessage; keywords replace fields of the message."""
    return {"message": {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "hello"}], **message}}


def strict(value: JsonObject, kind: str) -> Any:
    """Parse as a message of the 1.0 protocol; unknown keys and wrong types are errors."""
    return json_format.ParseDict(value, getattr(a2a_pb2, kind)())
