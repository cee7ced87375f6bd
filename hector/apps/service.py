"""What may be done with apps: made, changed, rolled back, suspended, deleted. Configurations are tried out first."""

import asyncio
import json
import logging
import os
import re
from contextlib import suppress
from typing import Final, cast

from hector.apps.defaults import default_text
from hector.apps.deletion import finish_deletion
from hector.apps.registry import Apps
from hector.config.findings import Finding, InvalidConfig, dotted
from hector.config.readback import Written, restored
from hector.config.tenancy import LARGEST, own_part
from hector.core.clock import Clock
from hector.core.errors import ConfigError, Conflict, Forbidden, HectorError, InvalidRequest, NotFound, Violation
from hector.core.identity import DEFAULT_APP
from hector.core.record import dataclass
from hector.store import Store
from hector.store.apps import FILE_AUTHOR, AppConfig, AppPage, AppRecord, AppStatus, Aside, Draft, Format
from hector.store.paging import decode_name, encode_name

log = logging.getLogger("hector.apps")

APP_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED: Final = frozenset(
    ("admin", "agents", "api", "default", "health", "livez", "metrics", "readyz", "schema", "tasks", "webhooks")
)
"""Words that mean something else in paths."""
PURGE_SECONDS: Final = 20.0
"""How long whoever deletes an app waits for all of it to be gone; what then is left goes in the background."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants a configuration to be. `text` None: the one that is made for them."""

    text: str | None
    format: Format
    author: str
    note: str = ""


class AppService:
    """Over the stored apps and those that are loaded here."""

    def __init__(self, store: Store, apps: Apps, clock: Clock) -> None:
        self._store = store
        self._apps = apps
        self._clock = clock

    @staticmethod
    def new_id() -> str:
        """An id for an app whose maker has not chosen one."""
        return f"a{os.urandom(8).hex()}"

    async def create(self, app_id: str, name: str, wish: Wish, aside: Aside | None = None) -> AppRecord:
        """Add an app. Raises InvalidRequest for a configuration that does not hold, Conflict for an id in use."""
        app_id, name = _checked_id(app_id), _checked_name(name)
        if wish.text is None:
            text = default_text(name, self._apps.source.policy(app_id))
            wish = Wish(text, "yaml", wish.author, wish.note or "made by default")
        draft = await self._draft(app_id, wish)
        made = await self._store.apps.create(app_id, name, draft, aside)
        self._apps.forget_refusal(app_id)
        await self._take_up(app_id, draft)
        return made

    async def list(self, page_size: int, page_token: str | None = None) -> AppPage:
        """All apps by their ids, that of the file also where the database has no row of it. Raises InvalidRequest."""
        page = await self._store.apps.list(page_size=page_size, page_token=page_token)
        is_behind = not page.next_token or page.apps[-1].id > DEFAULT_APP
        if decode_name(page_token) >= DEFAULT_APP or not is_behind:
            return page
        if DEFAULT_APP in await self._store.apps.standing((DEFAULT_APP,)):
            return page
        apps = sorted((*page.apps, self._of_file(None)[0]), key=lambda app: app.id)
        token = page.next_token if len(apps) <= page_size else encode_name(apps[page_size - 1].id)
        return AppPage(tuple(apps[:page_size]), token)

    async def get(self, app_id: str) -> tuple[AppRecord, AppConfig]:
        """An app with the configuration that is in force. Raises NotFound, also for one that is being deleted."""
        try:
            record, config = await self._store.apps.load(app_id)
        except NotFound:
            if app_id != DEFAULT_APP:
                raise
            return self._of_file(None)
        if record.status is AppStatus.DELETING:
            raise NotFound("app", app_id)
        if app_id == DEFAULT_APP and config.author == FILE_AUTHOR:
            return self._of_file(record)
        return record, config

    async def update(
        self,
        app_id: str,
        *,
        name: str | None = None,
        wish: Wish | None = None,
        if_version: int | None = None,
        aside: Aside | None = None,
    ) -> AppRecord:
        """Rename an app, give it another configuration, or both; it is in force here when this returns.

        Raises NotFound, InvalidRequest, and Conflict when it is no longer at `if_version`.
        """
        _, before = await self.get(app_id)
        draft = None
        if wish is not None and wish.text is not None:
            text = restored(_written(wish.format, wish.text), _written(before.format, before.body))
            draft = await self._draft(app_id, Wish(text, wish.format, wish.author, wish.note))
        if await self._ensure(app_id) and if_version == 0:
            if_version = 1  # the row that was just made for it
        checked = None if name is None else _checked_name(name)
        changed = await self._store.apps.update(app_id, name=checked, draft=draft, if_version=if_version, aside=aside)
        await self._apps.refresh(app_id)
        await self._take_up(app_id, draft)
        return changed

    async def rollback(
        self,
        app_id: str,
        version: int,
        author: str,
        note: str,
        if_version: int | None = None,
        aside: Aside | None = None,
    ) -> AppRecord:
        """Put an earlier version in force again, as a new one. Raises NotFound, InvalidRequest, Conflict."""
        await self.get(app_id)
        old = await self._store.apps.version(app_id, version)
        draft = await self._draft(app_id, Wish(old.body, old.format, author, note or f"version {version} again"))
        changed = await self._store.apps.update(app_id, draft=draft, if_version=if_version, aside=aside)
        await self._apps.refresh(app_id)
        await self._take_up(app_id, draft)
        return changed

    async def set_status(self, app_id: str, status: AppStatus, aside: Aside | None = None) -> AppRecord:
        """Suspend an app or let it go on. Raises NotFound, Conflict, Forbidden."""
        if app_id == DEFAULT_APP:
            raise Forbidden(f"the app {DEFAULT_APP!r} cannot be suspended; stop the server, or switch its agents off")
        await self.get(app_id)
        changed = await self._store.apps.set_status(app_id, status, aside)
        await self._apps.refresh(app_id)
        return changed

    async def revoke(self, app_id: str, aside: Aside | None = None) -> AppRecord:
        """Void all tokens of an app. Raises NotFound, Conflict."""
        await self.get(app_id)
        await self._ensure(app_id)
        return await self._store.apps.revoke(app_id, aside)

    async def delete(self, app_id: str, aside: Aside | None = None) -> None:
        """Delete an app with all that belongs to it. Nobody can use it any more when this returns.

        What is not gone by then is removed in the background. Raises NotFound, Forbidden.
        """
        if app_id == DEFAULT_APP:
            raise Forbidden(f"the app {DEFAULT_APP!r} cannot be deleted")
        await self.get(app_id)
        await self._store.apps.set_status(app_id, AppStatus.DELETING, aside)
        self._apps.drop(app_id)
        try:
            async with asyncio.timeout(PURGE_SECONDS):
                await finish_deletion(self._store, self._apps, app_id)
        except TimeoutError:
            log.info("what belongs to a deleted app goes on being removed", extra={"app": app_id})

    async def _take_up(self, app_id: str, draft: Draft | None) -> None:
        """Load an app that has documents, so that they are indexed before anybody asks; others wait for their use."""
        if draft is None or "document_stores" not in draft.body:
            return
        with suppress(HectorError):  # whoever uses it is told
            await self._apps.get(app_id)

    async def _ensure(self, app_id: str) -> bool:
        """Give the app of the file a row of its own, so that something can be changed about it; whether it had none."""
        if app_id != DEFAULT_APP or DEFAULT_APP in await self._store.apps.standing((DEFAULT_APP,)):
            return False
        file = self._apps.source.file()
        draft = Draft("json" if file.is_json else "yaml", own_part(file), FILE_AUTHOR, "as it was in the file")
        try:
            await self._store.apps.create(DEFAULT_APP, file.config.name, draft)
        except Conflict:  # somebody else was quicker
            return False
        return True

    def _of_file(self, record: AppRecord | None) -> tuple[AppRecord, AppConfig]:
        file = self._apps.source.file()
        form: Format = "json" if file.is_json else "yaml"
        if record is None:
            record = AppRecord(DEFAULT_APP, file.config.name, AppStatus.ACTIVE, 0, 1, 0.0, 0.0)
        return record, AppConfig(DEFAULT_APP, record.version, form, own_part(file), FILE_AUTHOR, "", record.updated)

    async def _draft(self, app_id: str, wish: Wish) -> Draft:
        """Raises InvalidRequest with every finding."""
        text = wish.text or ""
        if len(text) > LARGEST:
            said = f"holds {len(text)} characters, and {LARGEST} are the most"
            raise InvalidRequest(f"the configuration {said}", [Violation("config", said)])
        if "\0" in text:
            raise InvalidRequest("the configuration holds a NUL character", [Violation("config", "holds a NUL")])
        try:
            await asyncio.to_thread(self._apps.source.try_out, app_id, wish.format, text)
        except ConfigError as error:
            raise _refusal(app_id, error) from None
        return Draft(wish.format, text, wish.author, wish.note)


def form_of(text: str, asked: str | None) -> Format:
    """In which words a configuration is written: as said, else JSON if it is a JSON object, else YAML."""
    if asked is not None:
        return cast(Format, asked)
    try:
        return "json" if isinstance(json.loads(text), dict) else "yaml"
    except (ValueError, RecursionError):
        return "yaml"


def _written(form: Format, text: str) -> Written:
    return Written(text, form == "json")


def _refusal(app_id: str, error: ConfigError) -> InvalidRequest:
    findings = error.errors if isinstance(error, InvalidConfig) else (Finding("range", str(error)),)
    wrong = [Violation(dotted(("config", *one.where)), _said(one)) for one in findings]
    return InvalidRequest(f"the configuration of app {app_id!r} does not hold:\n{error}", wrong)


def _said(finding: Finding) -> str:
    return f"{finding.message} ({finding.details})" if finding.details else finding.message


def _checked_id(app_id: str) -> str:
    if not APP_ID.fullmatch(app_id) or app_id in RESERVED:
        taken = "is a word that means something else" if app_id in RESERVED else "is no id of an app"
        said = f"{taken}: small letters, digits, '-' and '_', 64 signs at most"
        raise InvalidRequest(f"id {said}", [Violation("id", said)])
    return app_id


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        said = "must be one line of 1 to 200 characters"
        raise InvalidRequest(f"name {said}", [Violation("name", said)])
    return name
