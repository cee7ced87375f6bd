"""Which apps serve requests now. A swap is whole: new work takes the new app, running work keeps its own.

The app of the configuration file is always there; the others are loaded when they are first used, replaced when they
change, and unloaded when nobody has used them for long.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from hector.apps.app import App
from hector.config.load import Loaded
from hector.core.errors import AppSuspended, AppUnavailable, HectorError, NotFound
from hector.core.identity import DEFAULT_APP
from hector.core.record import dataclass
from hector.observe import metrics

if TYPE_CHECKING:
    from hector.config.tenancy import Policy

log = logging.getLogger("hector.apps")

REFUSED_SECONDS: Final = 5.0
"""How long it is remembered that an app cannot be used, so that whoever insists does not trouble the database."""
_MOST_REFUSED: Final = 1_000
Forget: TypeAlias = Callable[[str, float], Awaitable[tuple[bool, Sequence[str]]]]
"""Removes what is kept of an app that is deleted: see `Apps.attach`."""


@dataclass(frozen=True, slots=True)
class Found:
    """An app as it was loaded; `version` is that of its stored configuration, 0 where nothing is stored."""

    app: App
    version: int = 0


class Source(Protocol):
    """Where apps come from."""

    async def load(self, app_id: str) -> Found:
        """Load one. Raises NotFound, AppSuspended, AppUnavailable, StoreError."""

    def try_out(self, app_id: str, form: str, text: str) -> Loaded:
        """Check what somebody wants an app to be. Raises ConfigError with every finding."""

    def policy(self, app_id: str) -> "Policy":
        """What the operator lets an app use."""

    def file(self) -> Loaded:
        """The configuration of the file."""


class _Entry:
    """An app that is loaded; `current` until another one takes its place."""

    __slots__ = ("app", "current", "leases", "used", "version")

    def __init__(self, found: Found) -> None:
        self.app = found.app
        self.version = found.version
        self.leases = 0
        self.used = time.monotonic()
        self.current = True


class Lease:
    """The right to use an app until released; the app is not closed before."""

    __slots__ = ("_apps", "_entry", "app")

    def __init__(self, apps: "Apps", entry: _Entry) -> None:
        entry.leases += 1
        self.app = entry.app
        self._apps = apps
        self._entry: _Entry | None = entry

    def release(self) -> None:
        """Give it back. Safe to call twice."""
        entry, self._entry = self._entry, None
        if entry is not None:
            self._apps.released(entry)


class Apps:
    """The apps that are loaded, at most `most` beside the first one, and replaced ones that still have work."""

    def __init__(self, app: App, source: Source | None = None, most: int = 100) -> None:
        self.most = most
        self._default = _Entry(Found(app))
        self._entries: dict[str, _Entry] = {app.id: self._default}
        self._source = source
        self._retired: set[_Entry] = set()
        self._ended = asyncio.Event()
        self._loading: dict[str, asyncio.Event] = {}
        self._refused: dict[str, tuple[HectorError, float]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._attach: list[Callable[[App], None]] = []
        self._forget: list[Forget] = []

    def attach(self, use: Callable[[App], None], forget: Forget | None = None) -> None:
        """Have every app pass here once, those that are loaded now and those that will be.

        `forget` gets the ids of those that are deleted for good, and the seconds that it has for what is not on this
        machine; it says whether it is done, and what stays elsewhere since it cannot be removed.
        """
        if forget is not None:
            self._forget.append(forget)
        self._attach.append(use)
        for entry in self._entries.values():
            use(entry.app)

    def _enter(self, found: Found) -> _Entry:
        for use in self._attach:
            use(found.app)
        return _Entry(found)

    @property
    def current(self) -> App:
        """The app that the configuration file feeds."""
        return self._default.app

    @property
    def source(self) -> Source:
        """Where the others come from. Raises AppUnavailable where there are none."""
        if self._source is None:
            raise AppUnavailable("this server has one app only")
        return self._source

    def __contains__(self, app_id: str) -> bool:
        return app_id in self._entries

    @property
    def leases(self) -> int:
        """How many leases are not given back yet, those of replaced apps included."""
        return sum(entry.leases for entry in (*self._entries.values(), *self._retired))

    def loaded(self) -> Iterator[tuple[str, int]]:
        """Id and version of what is loaded now."""
        return iter([(app_id, entry.version) for app_id, entry in self._entries.items()])

    def lease(self, app_id: str = DEFAULT_APP) -> Lease:
        """Use an app that is loaded. Raises KeyError for one that is not: see `acquire`."""
        return Lease(self, self._entries[app_id])

    async def acquire(self, app_id: str) -> Lease:
        """Use an app, loading it if need be. Raises NotFound, AppSuspended, AppUnavailable, StoreError."""
        while app_id not in self._entries:
            await self._load(app_id)
        return self.lease(app_id)

    async def get(self, app_id: str) -> App:
        """An app to look at. Raises as `acquire` does."""
        entry = self._entries.get(app_id)
        while entry is None:
            await self._load(app_id)
            entry = self._entries.get(app_id)
        entry.used = time.monotonic()
        return entry.app

    def swap(self, app: App, version: int | None = None) -> None:
        """Put a new app in place of the one of its id; the old one is closed when its last lease is released."""
        old = self._entries.get(app.id)
        kept = version if version is not None else old.version if old else 0
        entry = self._entries[app.id] = self._enter(Found(app, kept))
        if app.id == self._default.app.id:
            self._default = entry
        if old is not None:
            self._retire(old)

    def mark(self, app_id: str, version: int) -> None:
        """Say of an app that is loaded which version stands for it in the database."""
        self._entries[app_id].version = version

    def drop(self, app_id: str) -> None:
        """Give no more leases of an app, until it is loaded anew. That of the file stays."""
        if app_id != self._default.app.id and (entry := self._entries.pop(app_id, None)) is not None:
            self._retire(entry)
            if metrics.current is not None:
                metrics.current.app_unloads.add(app_id)

    def unload(self, idle: float) -> None:
        """Drop what nobody has used for so many seconds."""
        since = time.monotonic() - idle
        for app_id, entry in tuple(self._entries.items()):
            if not entry.leases and entry.used <= since:
                self.drop(app_id)

    def forget_refusal(self, app_id: str) -> None:
        """Look again at the next request whether an app can be used."""
        self._refused.pop(app_id, None)

    async def refresh(self, app_id: str, *, force: bool = False) -> None:
        """Take in what has become of an app, if it is loaded. A change that does not hold leaves it as it is.

        Raises StoreError. `force`: it is judged anew although its version is the same, and given up if it fails.
        """
        self.forget_refusal(app_id)
        while (waiting := self._loading.get(app_id)) is not None:
            await waiting.wait()
        if app_id not in self._entries:
            return
        self._loading[app_id] = done = asyncio.Event()
        try:
            await self._renew(app_id, force=force)
        finally:
            del self._loading[app_id]
            done.set()

    async def refresh_others(self) -> None:
        """Judge all apps beside that of the file anew, since what they may use has changed. Raises StoreError."""
        for app_id, _ in self.loaded():
            if app_id != self._default.app.id:
                await self.refresh(app_id, force=True)

    async def _renew(self, app_id: str, *, force: bool) -> None:
        try:
            found = await self._read(app_id)
        except (NotFound, AppSuspended) as error:
            self._refuse(app_id, error)
            self.drop(app_id)
        except AppUnavailable as error:
            if force:  # what it may use has changed: it must not go on using what it may not any more
                self._refuse(app_id, error)
                self.drop(app_id)
                return
            log.error("app goes on with its old configuration", extra={"app": app_id, "error": str(error)})  # noqa: TRY400
        else:
            entry = self._entries.get(app_id)
            if force or entry is None or entry.version != found.version:
                self.swap(found.app, found.version)
                log.info("app changed", extra={"app": app_id, "version": found.version})

    async def _load(self, app_id: str) -> None:
        """Load an app, or wait for whoever does. Raises what the source raises."""
        if self._source is None:
            raise NotFound("app", app_id)
        self._raise_refusal(app_id)
        waiting = self._loading.get(app_id)
        if waiting is not None:
            await waiting.wait()
            return
        self._make_room()
        self._loading[app_id] = done = asyncio.Event()
        try:
            found = await self._read(app_id)
            self._make_room()
            self.swap(found.app, found.version)
        except (NotFound, AppSuspended, AppUnavailable) as error:
            self._refuse(app_id, error)
            raise
        finally:
            del self._loading[app_id]
            done.set()

    async def _read(self, app_id: str) -> Found:
        """Have an app read and built, counted where anything is. Raises what the source raises."""
        if (counts := metrics.current) is None:
            return await self.source.load(app_id)
        began, status, app = time.monotonic(), "loaded", app_id
        try:
            return await self.source.load(app_id)
        except NotFound as error:
            status, app = error.code, ""  # anything may be asked for
            raise
        except HectorError as error:
            status = error.code
            raise
        finally:
            counts.app_loads.add(app, status)
            counts.app_load_seconds.observe(time.monotonic() - began, app)

    def _make_room(self) -> None:
        """Drop the app that was not used for the longest time. Raises AppUnavailable when all are at work."""
        if len(self._entries) <= self.most:
            return
        idle = [(entry.used, app_id) for app_id, entry in self._entries.items() if not entry.leases]
        idle = [one for one in idle if one[1] != self._default.app.id]
        if not idle:
            raise AppUnavailable(f"{self.most} apps are at work, and no more are loaded at once (tenants.max_loaded)")
        self.drop(min(idle)[1])

    def _refuse(self, app_id: str, error: HectorError) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused[app_id] = error, time.monotonic() + REFUSED_SECONDS

    def _raise_refusal(self, app_id: str) -> None:
        error, until = self._refused.get(app_id, (None, 0.0))
        if error is not None and time.monotonic() < until:
            raise error.with_traceback(None)
        self.forget_refusal(app_id)

    def released(self, entry: _Entry) -> None:
        """A lease was given back."""
        entry.leases -= 1
        if not entry.leases:
            entry.used = time.monotonic()
            if not entry.current:
                self._retired.discard(entry)
                self._ended.set()
                self._close(entry.app)

    async def drained(self, app_id: str, seconds: float) -> bool:
        """Wait until nobody uses an app any more that was dropped; False when that takes longer."""
        try:
            async with asyncio.timeout(seconds):
                while any(entry.app.id == app_id for entry in self._retired):
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            return False
        return True

    def _retire(self, entry: _Entry) -> None:
        entry.current = False
        if entry.leases:
            self._retired.add(entry)
        else:
            self._close(entry.app)

    def _close(self, app: App) -> None:
        closing = asyncio.get_running_loop().create_task(app.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def forget(self, app_id: str, seconds: float) -> tuple[bool, list[str]]:
        """An app is no more: whatever is kept of it on this machine goes, and what was put elsewhere from here.

        The answer is that of `attach`. Raises StoreError.
        """
        answers = [await forget(app_id, seconds) for forget in self._forget]
        return all(done for done, _ in answers), [one for _, stays in answers for one in stays]

    async def aclose(self) -> None:
        """Close what is loaded and wait for replaced apps that are being closed."""
        for entry in self._entries.values():
            self._close(entry.app)
        await asyncio.wait(tuple(self._closing))
