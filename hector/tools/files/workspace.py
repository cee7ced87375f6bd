"""The folders that the file tools work in: what is read of them, and how they are changed."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from hector.config.own import OwnFiles
from hector.core.errors import ToolError
from hector.core.ports import ToolContext
from hector.core.record import dataclass
from hector.tools.files.names import check_change, is_secret, plain, steps
from hector.tools.files.rooted import Content, Entry, Root
from hector.tools.files.text import Decoded, decode
from hector.tools.files.undo import Undo, digest, owner_of

_Rewrite: TypeAlias = Callable[[str | None], str | None]
"""From the text of a file to its new text; None stands for no file."""
MOST_ENTRIES: int = 10_000
"""Entries of one folder that are looked at."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration says. `roots` are absolute; `undo` None keeps nothing; sizes in bytes.

    `own` are the files of the server, wherever they lie.
    """

    roots: tuple[str, ...]
    read_only: bool = False
    most_read: int = 10 * 2**20
    most_written: int = 2**20
    hard_links: bool = False
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    undo: Path | None = None
    own: OwnFiles = OwnFiles()


@dataclass(frozen=True, slots=True)
class Place:
    """A path that was understood, and may be used."""

    root: Root
    names: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The path from its root."""
        return "/".join(self.names) or "."

    @property
    def key(self) -> str:
        """The whole path."""
        return f"{self.root.path}\0{self.shown}"


@dataclass(frozen=True, slots=True)
class Opened:
    """A text file as it stands."""

    place: Place
    content: Content
    decoded: Decoded

    @property
    def text(self) -> str:
        """Its text, with \\n between the lines."""
        return self.decoded.text


@dataclass(frozen=True, slots=True)
class Change:
    """What a call has done to a file: its texts before and after, None for no file; `note` is for the model."""

    place: Place
    before: str | None
    after: str | None
    note: str = ""
    repeated: bool = False


class Workspace:
    """Every path that comes in is a model's. All methods raise ToolError."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._roots = [Root(path, hard_links=settings.hard_links) for path in settings.roots]
        self._undo = Undo(settings.undo) if settings.undo else None
        self._changing = threading.Lock()
        undo = (os.path.realpath(settings.undo),) if settings.undo else ()
        self._sealed = frozenset(map(_parts, (*settings.own.sealed, *undo)))
        self._fixed = frozenset(map(_parts, settings.own.fixed))

    def locate(self, path: str, *, change: bool = False) -> Place:
        """Where a path leads, if it may be used."""
        at, names = steps(path, self.settings.roots)
        if self.is_hidden(names):
            raise ToolError(f"{'/'.join(names)} may hold secrets and is not shown to agents (files.allow opens it)")
        root = self._roots[at]
        if self._is_sealed(root, names):
            raise ToolError(
                f"{'/'.join(names) or root.path} belongs to this server (its configuration, its data, or what it keeps "
                "to undo changes) and is closed to agents; an operator has to look there"
            )
        if change:
            if self.settings.read_only:
                raise ToolError("these files can be read and not changed (files.read_only)")
            check_change(names)
            if _parts(root.path, names) in self._fixed:
                raise ToolError(f"{'/'.join(names)} is part of this server's configuration, which agents do not change")
        return Place(root, names)

    def _is_sealed(self, root: Root, names: Sequence[str]) -> bool:
        """Whether a path is one of the server's own, or lies in one of its folders."""
        whole = _parts(root.path, names)
        return any(whole[: len(one)] == one for one in self._sealed)

    def is_hidden(self, names: Sequence[str]) -> bool:
        """Whether a path is one that nobody is shown."""
        return is_secret(names, self.settings.allow, self.settings.deny)

    def kind(self, place: Place) -> str:
        """file, folder, link, other or missing."""
        return place.root.kind(place.names)

    def entries(self, place: Place) -> list[Entry]:
        """What may be seen of a folder."""
        found = place.root.entries(place.names, MOST_ENTRIES)
        below = [(one, (*place.names, one.name)) for one in found]
        return [one for one, names in below if not (self.is_hidden(names) or self._is_sealed(place.root, names))]

    def read(self, place: Place) -> bytes:
        """A whole file."""
        return self._content(place).data

    def open(self, path: str) -> Opened:
        """A text file."""
        place = self.locate(path)
        return self._opened(place)

    def _content(self, place: Place) -> Content:
        if not place.names:
            raise ToolError(f"{place.shown} is a folder")
        return place.root.read(place.names, self.settings.most_read)

    def _opened(self, place: Place) -> Opened:
        content = self._content(place)
        return Opened(place, content, decode(content.data, place.shown))

    def prepare(self, path: str, rewrite: _Rewrite) -> "Pending":
        """What a change would make of a file, without making it."""
        place = self.locate(path, change=True)
        if not place.names:
            raise ToolError(f"{place.shown} is a folder")
        missing = self.kind(place) == "missing"
        opened = None if missing else self._opened(place)
        before = opened.text if opened else None
        after = rewrite(before)
        decoded = opened.decoded if opened else Decoded("")
        data = None if after is None else decoded.encode(after)
        self._check_size(place, data, opened)
        return Pending(place, opened.content if opened else None, before, after, data)

    def _check_size(self, place: Place, data: bytes | None, opened: Opened | None) -> None:
        most = max(self.settings.most_written, len(opened.content.data) + self.settings.most_written if opened else 0)
        if data is not None and len(data) > min(most, self.settings.most_read):
            raise ToolError(f"{place.shown} would have {len(data)} bytes; {self.settings.most_written} may be written")

    def change(self, context: ToolContext, path: str, rewrite: _Rewrite) -> Change:
        """Change one file, create or delete it. A call that is made again does not change it again."""
        with self._changing:
            if done := self._done(context, self.locate(path, change=True)):
                return done
            return self.carry_out(context, self.prepare(path, rewrite))

    def change_all(self, context: ToolContext, rewrites: Sequence[tuple[str, _Rewrite]]) -> list[Change]:
        """Change several files, or none if any of the changes is not possible."""
        with self._changing:
            steps = [
                self._done(context, self.locate(path, change=True)) or self.prepare(path, rewrite)
                for path, rewrite in rewrites
            ]
            made: list[Change] = []
            for step in steps:
                try:
                    made.append(step if isinstance(step, Change) else self.carry_out(context, step))
                except ToolError as error:
                    shown = ", ".join(change.place.shown for change in made)
                    raise ToolError(f"{error}. Changed before that: {shown or 'nothing'}") from None
            return made

    def _done(self, context: ToolContext, place: Place) -> Change | None:
        """The change that this very call has made before it was cut off."""
        record = self._undo.made(_owner(context), place.key, context.effect_id) if self._undo else None
        if record is None or record.undone:
            return None
        if digest(self._now(place)) != record.after:
            return None
        return Change(place, None, None, "this call had made the change already", repeated=True)

    def _now(self, place: Place) -> bytes | None:
        return None if self.kind(place) == "missing" else self._content(place).data

    def carry_out(self, context: ToolContext, one: "Pending") -> Change:
        """Make a change that was prepared."""
        before = one.content.data if one.content else None
        if before == one.data:
            return Change(one.place, one.before, one.after, "nothing had to be changed")
        kept: Path | str = ""
        if self._undo is not None:
            kept = self._undo.note(_owner(context), one.place.key, before, one.data, context.effect_id)
        try:
            _put(one.place, one.data, one.content)
        except ToolError:
            if isinstance(kept, Path):
                kept.unlink(missing_ok=True)
            raise
        why = kept if isinstance(kept, str) else ""
        return Change(one.place, one.before, one.after, f"this cannot be undone: {why}" if why else "")

    def undo(self, context: ToolContext, path: str) -> Change:
        """Take back the last change that this session has made to a file, if it is still as that left it."""
        with self._changing:
            place = self.locate(path, change=True)
            if self._undo is None:
                raise ToolError("changes are not kept here, so none can be taken back (files.undo)")
            owner, effect = _owner(context), context.effect_id
            content = None if self.kind(place) == "missing" else self._content(place)
            now = content.data if content else None
            record = self._undo.undone_by(owner, place.key, effect) or self._undo.last(owner, place.key, digest(now))
            if record is None:
                raise ToolError(f"there is no change of {place.shown} in this conversation that could be taken back")
            if record.undone and now == record.before:
                return Change(place, None, None, "this call had taken it back already", repeated=True)
            if digest(now) != record.after:
                raise ToolError(f"{place.shown} was changed by somebody else since; its last change is not taken back")
            self._undo.take_back(record, effect)
            _put(place, record.before, content)
            return Change(place, _legible(now), _legible(record.before))


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that was found possible. `data` None deletes the file."""

    place: Place
    content: Content | None
    before: str | None
    after: str | None
    data: bytes | None


def _put(place: Place, data: bytes | None, before: Content | None) -> None:
    """Let a file have this content, None: none at all."""
    if data is not None:
        place.root.write(place.names, data, before)
    elif before is not None:
        place.root.remove(place.names, before)


def _parts(path: str, names: Sequence[str] = ()) -> tuple[str, ...]:
    """A whole path as it is compared."""
    return tuple(plain(name) for name in (*path.split("/"), *names) if name)


def _owner(context: ToolContext) -> str:
    return owner_of(context.app, context.user, context.session_id)


def _legible(data: bytes | None) -> str | None:
    return None if data is None else decode(data, "the file").text
