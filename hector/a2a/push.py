"""Push notification configs in both versions: requests to values, values to answers.

Requests of 0.3 are reworded into 1.0 and read by the same functions, so that both are held to the same rules.
"""

from typing import Any

from hector.a2a import parse, render, v03
from hector.a2a.reader import Reader
from hector.a2a.version import CURRENT, OLD
from hector.core.content import JsonObject
from hector.core.push import PushConfig, PushPage
from hector.core.record import dataclass
from hector.core.task import ArtifactUpdate, StatusUpdate, Task


@dataclass(frozen=True, slots=True)
class PushCreate:
    """CreateTaskPushNotificationConfig."""

    task_id: str
    config: PushConfig


@dataclass(frozen=True, slots=True)
class PushRef:
    """GetTaskPushNotificationConfig and DeleteTaskPushNotificationConfig. Only 0.3 may leave the config's id out."""

    task_id: str
    config_id: str | None


@dataclass(frozen=True, slots=True)
class PushListing:
    """ListTaskPushNotificationConfigs. In 0.3 there are no pages: everything comes at once."""

    task_id: str
    page_size: int | None = None
    page_token: str | None = None


def parse_create(params: JsonObject, *, old: bool) -> PushCreate:
    """What to notify whom of. Raises InvalidRequest with every violation."""
    reader = Reader(_set_03(params) if old else params)
    task_id = reader.identifier("taskId", required=True) or ""
    found = PushCreate(task_id, parse.read_push(reader, OLD if old else CURRENT))
    reader.finish()
    return found


def parse_ref(params: JsonObject, *, old: bool) -> PushRef:
    """Which config. Raises InvalidRequest."""
    reader = Reader(_ref_03(params) if old else params)
    task_id = reader.identifier("taskId", required=True) or ""
    found = PushRef(task_id, reader.identifier("id", required=not old))
    reader.finish()
    return found


def parse_listing(params: JsonObject, *, old: bool) -> PushListing:
    """Whose configs. Raises InvalidRequest."""
    reader = Reader(_ref_03(params) if old else params)
    task_id = reader.identifier("taskId", required=True) or ""
    size = None if old else reader.integer("pageSize", 0, 100) or 50
    found = PushListing(task_id, size, reader.text("pageToken", most=1024))
    reader.finish()
    return found


def _set_03(params: JsonObject) -> JsonObject:
    reader = Reader(params)
    inner = reader.take("pushNotificationConfig")
    return {**(v03.push_config(inner) if isinstance(inner, dict) else {}), "taskId": reader.take("taskId")}


def _ref_03(params: JsonObject) -> JsonObject:
    reader = Reader(params)
    return {"taskId": reader.take("id"), "id": reader.take("pushNotificationConfigId")}


def config(task_id: str, value: PushConfig, *, old: bool) -> JsonObject:
    """The answer to create and get."""
    if old:
        return {"taskId": task_id, "pushNotificationConfig": _config_03(value)}
    found: JsonObject = {"taskId": task_id, "id": value.id, "url": value.url}
    if value.token:
        found["token"] = value.token
    if value.scheme:
        found["authentication"] = {"scheme": value.scheme, **_credentials(value)}
    return found


def _config_03(value: PushConfig) -> JsonObject:
    found: JsonObject = {"id": value.id, "url": value.url}
    if value.token:
        found["token"] = value.token
    if value.scheme:
        found["authentication"] = {"schemes": [value.scheme], **_credentials(value)}
    return found


def _credentials(value: PushConfig) -> JsonObject:
    return {"credentials": value.credentials} if value.credentials else {}


def listing(task_id: str, page: PushPage, *, old: bool) -> Any:
    """The answer to list: a page, in 0.3 a plain list."""
    configs = [config(task_id, value, old=old) for value in page.configs]
    return configs if old else {"configs": configs, "nextPageToken": page.next_token}


def notification(task: Task, update: StatusUpdate | ArtifactUpdate, version: str) -> JsonObject:
    """What a receiver is sent: the event as a stream would have it, in 0.3 the whole task."""
    return v03.task(task) if version == OLD else render.event(task, update)
