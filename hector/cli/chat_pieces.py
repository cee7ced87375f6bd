"""What a stream of A2A 1.0 events means to a person: pieces of an answer, thoughts, tools, results, questions. Pure."""

from collections.abc import Iterator
from dataclasses import field
from typing import Any, Final, TypeAlias

from hector.core.content import JsonObject
from hector.core.record import dataclass

_PREFIX: Final = "TASK_STATE_"
_ASKING: Final = frozenset({"INPUT_REQUIRED", "AUTH_REQUIRED"})
_TERMINAL: Final = frozenset({"COMPLETED", "FAILED", "CANCELED", "REJECTED"})


@dataclass(frozen=True, slots=True)
class Answer:
    """More of the answer. `source` changes where another answer begins."""

    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Thought:
    """More of the model's thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the agent says while it works."""

    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """A tool begins. `arguments` is the model's object, or its words where they are none. `by` is empty for the agent
    that the user talks to, else the name of the one that calls it.
    """

    id: str
    name: str
    arguments: Any
    by: str = ""


@dataclass(frozen=True, slots=True)
class Returned:
    """A tool has ended, with the text of its result."""

    id: str
    name: str
    text: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Working:
    """More of what an agent says that was called as tool call `id`, before its result comes."""

    id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Saved:
    """The agent hands over an artifact; `facts` say in short what it is."""

    name: str
    facts: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that the user is to approve. `expires` is a time of RFC 3339, empty for never. `agent`: as `Called.by`."""

    id: str
    tool: str
    arguments: Any
    arguments_hash: str = ""
    expires: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The task waits for the user: for the approval of `calls`, if there are any.

    `auth`: for credentials, which arrive by another way. `agent`: as `Called.by`. `choices`: what is an answer.
    """

    prompt: str
    auth: bool = False
    calls: tuple[Wanted, ...] = ()
    agent: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more comes. `state` is COMPLETED, FAILED, CANCELED or REJECTED."""

    state: str
    text: str = ""


Piece: TypeAlias = Answer | Thought | Note | Called | Returned | Working | Saved | Asked | Ended


@dataclass(slots=True)
class Reader:
    """Reads the events of one stream in order. Servers other than Hector are understood as far as A2A itself goes."""

    task_id: str = ""
    context_id: str = ""
    over: bool = False
    """The task has ended, or waits for the user."""
    _answered: bool = False
    _saved: dict[str, str] = field(default_factory=dict)

    def read(self, event: JsonObject) -> Iterator[Piece]:
        """The pieces in one StreamResponse."""
        for kind, body in event.items():
            if not isinstance(body, dict):
                continue
            self.context_id = str(body.get("contextId") or self.context_id)
            self.task_id = str(body.get("taskId") or (body.get("id") if kind == "task" else "") or self.task_id)
            match kind:
                case "task":
                    yield from self._task(body)
                case "message":
                    self.task_id = ""
                    yield from self._finish("COMPLETED", _text(body))
                case "statusUpdate":
                    yield from self._status(_object(body, "status"))
                case "artifactUpdate":
                    yield from self._artifact(_object(body, "artifact"))
                case _:
                    pass

    def _task(self, task: JsonObject) -> Iterator[Piece]:
        for artifact in _objects(task, "artifacts"):
            if str(artifact.get("artifactId")) not in self._saved:
                yield from self._artifact(artifact)
        yield from self._status(_object(task, "status"))

    def _status(self, status: JsonObject) -> Iterator[Piece]:
        state = str(status.get("state", "")).removeprefix(_PREFIX)
        message = _object(status, "message")
        if state in _ASKING:
            self.over = True
            asked = (tuple(_wanted(message)), _author(message), _choices(message))
            yield Asked(_text(message), state == "AUTH_REQUIRED", *asked)
        elif state in _TERMINAL:
            yield from self._finish(state, _text(message))
        else:
            for part in _objects(message, "parts"):
                yield from _progress(part, _author(message))

    def _finish(self, state: str, text: str) -> Iterator[Piece]:
        """The end; with an answer where none has come as such: from the last message, else from what was saved."""
        if self.over:
            return
        self.over = True
        if state == "COMPLETED" and not self._answered:
            if found := text or "\n\n".join(filter(None, self._saved.values())):
                yield Answer(found, "end")
            text = ""
        yield Ended(state, text)

    def _artifact(self, artifact: JsonObject) -> Iterator[Piece]:
        """The answer grows as the artifact named "response"; any other is a result of its own."""
        key, name = str(artifact.get("artifactId", "")), str(artifact.get("name") or "")
        parts = _objects(artifact, "parts")
        if name in {"", "response"}:
            text = "".join(str(part["text"]) for part in parts if "text" in part)
            if text:
                self._answered = True
                self._saved[key] = ""
                yield Answer(text, key)
            parts = [part for part in parts if "text" not in part]
        else:
            self._saved[key] = "".join(str(part["text"]) for part in parts if "text" in part)
        for part in parts:
            yield Saved(str(part.get("filename") or name or key), _facts(part))


def _wanted(message: JsonObject) -> Iterator[Wanted]:
    for part in _objects(message, "parts"):
        data = _object(part, "data")
        if data.get("type") == "tool_approval_request":
            yield Wanted(
                str(data.get("tool_call_id")),
                str(data.get("tool_name")),
                data.get("arguments"),
                str(data.get("arguments_hash") or ""),
                str(data.get("expires_at") or ""),
                str(data.get("agent") or ""),
            )


def _choices(message: JsonObject) -> tuple[str, ...]:
    found = [_object(part, "metadata").get("choices") for part in _objects(message, "parts")]
    return next((tuple(map(str, one)) for one in found if isinstance(one, list)), ())


def _author(message: JsonObject) -> str:
    return str(_object(message, "metadata").get("author") or "")


def _progress(part: JsonObject, author: str) -> Iterator[Piece]:
    data = _object(part, "data")
    match _object(part, "metadata").get("kind"):
        case "thinking":
            yield Thought(str(part.get("text", "")))
        case "toolCall":
            yield Called(str(data.get("id")), str(data.get("name")), data.get("arguments"), author)
        case "toolResult":
            text = " ".join(str(item["text"]) for item in _objects(data, "content") if "text" in item)
            yield Returned(str(data.get("id")), str(data.get("name")), text, bool(data.get("isError")))
        case "toolProgress":
            text = "".join(str(item["text"]) for item in _objects(data, "content") if "text" in item)
            yield Working(str(data.get("id")), str(data.get("name")), text)
        case _:
            if part.get("text"):
                yield Note(str(part["text"]))


def _facts(part: JsonObject) -> str:
    """`text/plain, 12 characters` and the like."""
    if "text" in part:
        size = f"{len(str(part['text']))} characters"
    elif "url" in part:
        size = str(part["url"])
    elif "raw" in part:
        size = f"{len(str(part['raw'])) * 3 // 4} bytes"
    else:
        size = "data"
    return ", ".join(filter(None, (str(part.get("mediaType") or ""), size)))


def _text(message: JsonObject) -> str:
    return "".join(str(part["text"]) for part in _objects(message, "parts") if "text" in part)


def _object(body: JsonObject, key: str) -> JsonObject:
    found = body.get(key)
    return found if isinstance(found, dict) else {}


def _objects(body: JsonObject, key: str) -> list[JsonObject]:
    found = body.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
