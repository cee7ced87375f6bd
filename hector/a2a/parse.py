"""Requests of A2A 1.0, as JSON objects, to values. The same functions serve JSON-RPC parameters and REST bodies."""

import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from hector.a2a.errors import PUSH_NOT_SUPPORTED, ProtocolError
from hector.a2a.reader import Reader
from hector.a2a.version import CURRENT
from hector.core.content import Content, Data, JsonObject, Media, Message, Text
from hector.core.ids import new_id
from hector.core.pattern import pattern
from hector.core.push import PushConfig
from hector.core.record import dataclass
from hector.core.task import ClientMessage, TaskQuery, TaskState

MOST_PARTS: Final = 256
"""Parts of one message."""

CONTENTS: Final = ("text", "raw", "url", "data")
STATES: Final[Mapping[str, TaskState]] = {f"TASK_STATE_{state.name}": state for state in TaskState}
_STATE_NUMBERS: Final = (
    *("UNSPECIFIED", "SUBMITTED", "WORKING", "COMPLETED", "FAILED"),
    *("CANCELED", "INPUT_REQUIRED", "REJECTED", "AUTH_REQUIRED"),
)
_UNKNOWN_TYPE: Final = "application/octet-stream"
_LONGEST_URL: Final = 2048
_LONGEST_SECRET: Final = 8192
_SCHEME: Final = pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER: Final = pattern(r"[!-~\xa0-\xff](?:[ -~\xa0-\xff]*[!-~\xa0-\xff])?")


@dataclass(frozen=True, slots=True)
class Send:
    """SendMessage and SendStreamingMessage."""

    message: ClientMessage
    return_immediately: bool = False
    history_length: int | None = None
    tenant: str | None = None
    push: PushConfig | None = None


@dataclass(frozen=True, slots=True)
class TaskRef:
    """GetTask, CancelTask, SubscribeToTask: which task, and what else was said."""

    id: str
    history_length: int | None = None
    metadata: JsonObject | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """ListTasks."""

    query: TaskQuery
    tenant: str | None = None


def parse_send(params: JsonObject, version: str = CURRENT) -> Send:
    """A message with its configuration, said in the words of 1.0. Raises InvalidRequest with every violation."""
    reader = Reader(params)
    message = _message(reader.inner("message", required=True))
    setting, tenant = reader.inner("configuration"), reader.text("tenant")
    if setting is None:
        sent = Send(message, tenant=tenant)
    else:
        push = setting.inner("taskPushNotificationConfig")
        sent = Send(
            message,
            setting.flag("returnImmediately") or False,
            setting.integer("historyLength", 0),
            tenant,
            None if push is None else read_push(push, version),
        )
    reader.finish()
    return sent


def no_push() -> ProtocolError:
    """The answer to everything about push notifications while the capability is off."""
    return ProtocolError(PUSH_NOT_SUPPORTED, "this server sends no push notifications; subscribe to the task instead")


def read_push(reader: Reader, version: str) -> PushConfig:
    """A push notification config, said in the words of 1.0; `version` is what its receiver understands.

    Without an id it is given one; in 0.3, which knew one config a task at first, the empty one for the task's own.
    """
    authentication = reader.inner("authentication")
    scheme = credentials = None
    if authentication is not None:
        scheme = _matching(authentication, "scheme", 64, _SCHEME, "must be one word, such as Bearer", required=True)
        credentials = _matching(authentication, "credentials", _LONGEST_SECRET, _HEADER, _NO_HEADER)
    return PushConfig(
        reader.identifier("id") or (new_id() if version == CURRENT else ""),
        reader.text("url", required=True, most=_LONGEST_URL) or "",
        _matching(reader, "token", _LONGEST_SECRET, _HEADER, _NO_HEADER),
        scheme,
        credentials,
        version,
    )


_NO_HEADER: Final = "holds characters that no HTTP header can carry, or spaces at an end"


def _matching(
    reader: Reader, name: str, most: int, pattern: re.Pattern[str], complaint: str, *, required: bool = False
) -> str | None:
    found = reader.text(name, required=required, most=most)
    if found is not None and not pattern.fullmatch(found):
        reader.complain(name, complaint)
    return found


def parse_task(params: JsonObject) -> TaskRef:
    """A reference to one task."""
    reader = Reader(params)
    found = TaskRef(
        reader.identifier("id", required=True) or "",
        reader.integer("historyLength", 0),
        reader.json("metadata"),
        reader.text("tenant"),
    )
    reader.finish()
    return found


def parse_listing(params: Mapping[str, Any]) -> Listing:
    """Filters and page of a listing; from JSON or from a query string."""
    reader = Reader(params)
    query = TaskQuery(
        context_id=reader.identifier("contextId"),
        state=_state(reader),
        updated_after=_moment(reader, "statusTimestampAfter"),
        page_size=reader.integer("pageSize", 1, 100) or 50,
        page_token=reader.text("pageToken", most=1024),
        history_length=reader.integer("historyLength", 0) or 0,
        include_artifacts=reader.flag("includeArtifacts") or False,
    )
    reader.finish()
    return Listing(query, reader.text("tenant"))


def _state(reader: Reader) -> TaskState | None:
    found = reader.take("status")
    if isinstance(found, int) and 0 <= found < len(_STATE_NUMBERS):
        found = f"TASK_STATE_{_STATE_NUMBERS[found]}"
    if found in (None, "", "TASK_STATE_UNSPECIFIED"):
        return None
    state = STATES.get(found) if isinstance(found, str) else None
    if state is None:
        reader.complain("status", f"must be one of {', '.join(STATES)}")
    return state


def _moment(reader: Reader, name: str) -> float | None:
    found = reader.text(name)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found)
        if moment.tzinfo is not None:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    reader.complain(name, "must be a time with its zone, such as 2025-10-28T10:30:00.000Z")
    return None


def _message(reader: Reader | None) -> ClientMessage:
    if reader is None:
        return ClientMessage("", Message("user", ()))
    if reader.take("role") not in ("ROLE_USER", 1):
        reader.complain("role", "must be ROLE_USER: only users send messages to agents")
    return ClientMessage(
        id=reader.identifier("messageId", required=True) or "",
        message=Message("user", _parts(reader)),
        context_id=reader.identifier("contextId"),
        task_id=reader.identifier("taskId"),
        metadata=reader.json("metadata"),
        extensions=reader.texts("extensions"),
        reference_task_ids=reader.texts("referenceTaskIds"),
    )


def _parts(reader: Reader) -> tuple[Content, ...]:
    found = reader.take("parts")
    if not isinstance(found, list) or not found:
        reader.complain("parts", "must be a list of at least one part")
        return ()
    if len(found) > MOST_PARTS:
        reader.complain("parts", f"has more than {MOST_PARTS} entries")
        return ()
    parts = [_part(reader, index, value) for index, value in enumerate(found)]
    return tuple(part for part in parts if part is not None)


def _part(message: Reader, index: int, value: Any) -> Content | None:
    if not isinstance(value, dict):
        message.complain(f"parts[{index}]", "must be an object")
        return None
    chosen = [name for name in CONTENTS if name in value]
    if len(chosen) > 1:  # null stands for "not set", but for data it is also a value
        chosen = [name for name in chosen if value[name] is not None]
    if len(chosen) != 1:
        message.complain(f"parts[{index}]", f"must have exactly one of {', '.join(CONTENTS)}")
        return None
    return _content(chosen[0], Reader(value, f"{message.path}parts[{index}].", message.wrong))


def _content(name: str, part: Reader) -> Content | None:
    metadata = part.json("metadata")
    media_type, filename = part.text("mediaType", most=255), part.text("filename", most=1024)
    content = part.value[name]
    if name == "data":
        return Data(content, media_type, metadata)
    if not isinstance(content, str):
        part.complain(name, "must be a string")
        return None
    if name == "text":
        return Text(content, None, metadata, media_type, filename)
    media_type = media_type or _guess(filename)
    if name == "url":
        return Media(media_type, url=content, name=filename, metadata=metadata)
    return Media(media_type, data=_base64(part, content), name=filename, metadata=metadata)


def _base64(part: Reader, content: str) -> str:
    """Standard alphabet with padding, whichever of proto-JSON's spellings came."""
    text = content.replace("-", "+").replace("_", "/").rstrip("=")
    text += "=" * (-len(text) % 4)
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        part.complain("raw", "must be base64")
    return text


def _guess(filename: str | None) -> str:
    if filename is None:
        return _UNKNOWN_TYPE
    import mimetypes  # noqa: PLC0415 - reads the system's tables: only when a client leaves the type out

    return mimetypes.guess_type(filename)[0] or _UNKNOWN_TYPE
