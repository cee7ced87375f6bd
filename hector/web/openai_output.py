"""A run's answer in the words of OpenAI's API: as one object, or piece by piece. Pure functions and encoders."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from hector.a2a import wire
from hector.core.content import Content, Data, JsonObject, Media, Text
from hector.core.errors import HectorError
from hector.core.event import ANSWER, Artifact, TextDelta
from hector.core.record import dataclass
from hector.core.task import (
    AnswerDelta,
    ArtifactUpdate,
    ClientMessage,
    Status,
    StatusUpdate,
    Task,
    TaskState,
    Update,
)
from hector.core.usage import Usage
from hector.web.openai_errors import RunFailed, body_of

_FAILED: Final = (TaskState.FAILED, TaskState.CANCELED)
_GAP: Final = "\n\n"


@dataclass(frozen=True, slots=True)
class Names:
    """What an answer is called: `number` is unique, `task` and `context` lead to it over A2A (task empty: none)."""

    number: str
    model: str
    context: str
    created: int
    task: str = ""
    previous: str | None = None

    @property
    def about(self) -> JsonObject:
        """What is not OpenAI's, for those who go on over A2A."""
        return {"conversation": self.context, **({"task": self.task} if self.task else {})}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run: what it says, and whether it waits for the user."""

    text: str
    waits: bool = False


def outcome(answer: Task | ClientMessage, known: frozenset[str] = frozenset()) -> Outcome:
    """The whole answer; `known` are artifacts of earlier runs of the task. Raises RunFailed."""
    if isinstance(answer, ClientMessage):
        return Outcome(shown(answer.message.parts))
    texts = [shown(one.parts) for one in answer.artifacts if one.id.startswith(ANSWER) and one.id not in known]
    text = _GAP.join([*filter(None, texts), *filter(None, [ending(answer.id, answer.status)])])
    return Outcome(text, waits=answer.status.state.interrupted)


def ending(task: str, status: Status) -> str:
    """What the end adds to the answer: a question with how to go on, or why the agent declines. Raises RunFailed."""
    said = status.message.message.text if status.message else ""
    match status.state:
        case TaskState.INPUT_REQUIRED if status.message and _asks_for_approval(status.message):
            how = f"Answer approve or deny in this conversation; or somebody decides with `hector approve {task}`."
            return f"{said}\n\n[Waits for approval. {how}]"
        case TaskState.INPUT_REQUIRED | TaskState.AUTH_REQUIRED:
            return f"{said}\n\n[Waits for your answer: send it as the next message.]"
        case TaskState.REJECTED:
            return said or "The agent declined this."
        case state if state in _FAILED:
            raise RunFailed(f"{said or f'the task is {state.value}'} (task {task})")
        case TaskState.SUBMITTED | TaskState.WORKING:
            raise RunFailed(f"the server stops; task {task} goes on after its restart, and can be followed over A2A")
        case _:
            return ""


def _asks_for_approval(message: ClientMessage) -> bool:
    return any(isinstance(part, Data) for part in message.message.parts)


def shown(parts: Iterable[Any]) -> str:
    """Parts as text: files as links, in Markdown."""
    return "".join(_shown(part) for part in parts if isinstance(part, Text | Media | Data))


def _shown(part: Content) -> str:
    match part:
        case Text(text):
            return text
        case Data(value):
            return str(wire.dumps(value))
        case Media(kind, data, url, name):
            mark = "!" if kind.startswith("image/") else ""
            return f"\n{mark}[{name or kind}]({url or f'data:{kind};base64,{data}'})\n"


class Telling:
    """Follows a run's updates: which pieces of text and thinking they add to what was told."""

    def __init__(self, first: Task | ClientMessage, known: frozenset[str] = frozenset()) -> None:
        self.status = first.status if isinstance(first, Task) else None
        self._task = first.id if isinstance(first, Task) else ""
        self._first = first
        self._known = known
        self._told: dict[str, str] = {}
        self.text = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.status is None or self.status.state.terminal or self.status.state.interrupted

    def begin(self) -> list[tuple[bool, str]]:
        """What is there at the start: (is it text, the piece)."""
        if isinstance(self._first, ClientMessage):
            return self._add("", shown(self._first.message.parts))
        return [piece for one in self._first.artifacts for piece in self._whole(one)]

    def feed(self, batch: Sequence[Update]) -> list[tuple[bool, str]]:
        """What a batch of updates adds."""
        found: list[tuple[bool, str]] = []
        for update in batch:
            if isinstance(update, AnswerDelta):
                for delta in update.deltas:
                    is_text = isinstance(delta, TextDelta)
                    found += self._add(update.artifact_id, delta.text) if is_text else [(False, delta.text)]
            elif isinstance(update, ArtifactUpdate) and not update.append:
                found += self._whole(update.artifact)
            elif isinstance(update, StatusUpdate):
                self.status = update.status
        return found

    def end(self) -> list[tuple[bool, str]]:
        """What the end adds. Raises RunFailed."""
        return self._add("end", ending(self._task, self.status)) if self.status is not None else []

    def _whole(self, artifact: Artifact) -> list[tuple[bool, str]]:
        """An answer that came as a whole, less what was told of it; one that is another now is told again."""
        if not artifact.id.startswith(ANSWER) or artifact.id in self._known:
            return []
        text, told = shown(artifact.parts), self._told.get(artifact.id, "")
        if text.startswith(told):
            return self._add(artifact.id, text[len(told) :])
        self._told[artifact.id] = ""
        return self._add(artifact.id, text, apart=True)

    def _add(self, key: str, text: str, *, apart: bool = False) -> list[tuple[bool, str]]:
        if not text:
            return []
        gap = _GAP if self.text and (apart or key not in self._told) else ""
        self._told[key] = self._told.get(key, "") + text
        self.text += gap + text
        return [(True, gap + text)]


class Words(Protocol):
    """How one kind of answer is worded."""

    def whole(self, outcome: Outcome, usage: Usage) -> JsonObject:
        """In one piece."""

    def begin(self) -> bytes:
        """The head of a stream."""

    def pieces(self, found: Sequence[tuple[bool, str]]) -> bytes:
        """Pieces of text and thinking."""

    def end(self, text: str, usage: Usage) -> bytes:
        """The end of a stream; `text` is all that was told."""

    def fail(self, error: HectorError) -> bytes:
        """The end of one that cannot go on."""


class ChatWords:
    """Of /v1/chat/completions."""

    def __init__(self, names: Names, *, include_usage: bool = False) -> None:
        self._names = names
        self._with_usage = include_usage
        self._head = {"id": f"chatcmpl-{names.number}", "created": names.created, "model": names.model}

    def whole(self, outcome: Outcome, usage: Usage) -> JsonObject:
        message = {"role": "assistant", "content": outcome.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        about = {"usage": _chat_usage(usage), "hector": self._names.about}
        return {**self._head, "object": "chat.completion", "choices": [choice], **about}

    def begin(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""}, hector=self._names.about)

    def pieces(self, found: Sequence[tuple[bool, str]]) -> bytes:
        return b"".join(self._chunk({"content" if is_text else "reasoning_content": text}) for is_text, text in found)

    def end(self, text: str, usage: Usage) -> bytes:
        last = self._chunk({}, "stop")
        if self._with_usage:
            whole = {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": _chat_usage(usage)}
            last += _data(whole)
        return last + b"data: [DONE]\n\n"

    def fail(self, error: HectorError) -> bytes:
        return _data(body_of(error))

    def _chunk(self, delta: JsonObject, finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self._with_usage else {}
        return _data({**self._head, "object": "chat.completion.chunk", "choices": [choice], **usage, **more})


class ResponseWords:
    """Of /v1/responses."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._number = 0
        self._item = f"msg_{names.number}"
        self._place = {"item_id": self._item, "output_index": 0, "content_index": 0}

    def whole(self, outcome: Outcome, usage: Usage) -> JsonObject:
        return self._response("completed", [self._message(outcome.text)], usage)

    def begin(self) -> bytes:
        empty = {**self._message(""), "status": "in_progress", "content": []}
        return (
            self._event("response.created", response=self._response("in_progress"))
            + self._event("response.in_progress", response=self._response("in_progress"))
            + self._event("response.output_item.added", output_index=0, item=empty)
            + self._event("response.content_part.added", **self._place, part=_part(""))
        )

    def pieces(self, found: Sequence[tuple[bool, str]]) -> bytes:
        texts = (text for is_text, text in found if is_text)
        return b"".join(
            self._event("response.output_text.delta", **self._place, delta=text, logprobs=[]) for text in texts
        )

    def end(self, text: str, usage: Usage) -> bytes:
        whole = self._message(text)
        return (
            self._event("response.output_text.done", **self._place, text=text, logprobs=[])
            + self._event("response.content_part.done", **self._place, part=_part(text))
            + self._event("response.output_item.done", output_index=0, item=whole)
            + self._event("response.completed", response=self._response("completed", [whole], usage))
        )

    def fail(self, error: HectorError) -> bytes:
        told = body_of(error)["error"]
        failed = {**self._response("failed"), "error": {"code": "server_error", "message": told["message"]}}
        return self._event("response.failed", response=failed)

    def _message(self, text: str) -> JsonObject:
        content = [_part(text)]
        return {"type": "message", "id": self._item, "status": "completed", "role": "assistant", "content": content}

    def _response(self, status: str, output: Sequence[JsonObject] = (), usage: Usage | None = None) -> JsonObject:
        return {
            "id": f"resp_{self._names.number}",
            "object": "response",
            "created_at": self._names.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": self._names.model,
            "output": list(output),
            "parallel_tool_calls": True,
            "previous_response_id": self._names.previous,
            "temperature": None,
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "usage": None if usage is None else _response_usage(usage),
            "hector": self._names.about,
        }

    def _event(self, kind: str, **fields: Any) -> bytes:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return b"event: " + kind.encode() + b"\n" + _data(event)


def _part(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _data(value: JsonObject) -> bytes:
    return b"data: " + wire.dumps(value).encode("ascii") + b"\n\n"


def _chat_usage(usage: Usage) -> JsonObject:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _response_usage(usage: Usage) -> JsonObject:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }
