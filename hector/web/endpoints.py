"""How an endpoint is declared: one row per method and path, from which all else follows.

Routes, checks of rights, validation, the OpenAPI document, the pages of the documentation and the generated tests are
made from these rows, so that none of them can forget one. A group of endpoints is a class with a method `endpoints()`
that gives its rows; `web/admin.py` lists the groups.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from hector.auth.access import Access
from hector.core.audit import ALL_APPS, OK, Entry, by
from hector.core.errors import NotFound
from hector.core.identity import Principal, Via
from hector.core.record import dataclass
from hector.store.audit import AuditLog
from hector.store.database import Work
from hector.store.paging import decode_token, encode_token
from hector.web.answers import Headers, request_id
from hector.web.identity import address_of

T = TypeVar("T")
LONGEST_ID: Final = 256
"""Characters of an id in a path; those of conversations, which clients choose, may have as many."""
_PLACE: Final = re.compile(r"\{(\w+)(?::\w+)?\}")


class Input(BaseModel):
    """What a request brings: exactly the fields that are declared, of exactly their types."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, strict=True)


class Body(Input):
    """What it brings as a JSON object."""


class Query(Input):
    """What it brings behind the question mark. Numbers and truth values are read from their texts."""


class PageQuery(Query):
    """Which page of a list."""

    page_size: int = Field(50, ge=1, le=100, description="How many at most.")
    page_token: str | None = Field(None, max_length=4000, description="`next_page_token` of the page before.")

    @property
    def place(self) -> int | None:
        """The key that the page before ended with, of lists in the order of one. Raises InvalidRequest."""
        position = decode_token(self.page_token, "page_token")
        return None if position is None else position[1]


class Nothing(Body):
    """The body of a request that wants none: absent, or `{}`."""


class Shape(BaseModel):
    """What an endpoint answers with, as a JSON object."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class PageShape(Shape):
    """A page of a list; the list itself is added by whoever has one."""

    next_page_token: str = Field(description="Empty on the last page.")


def cut(found: Sequence[T], size: int, key: Callable[[T], int]) -> tuple[Sequence[T], str]:
    """A page and the token of the next one, from up to one more than the page holds."""
    page = found[:size]
    return page, encode_token((0, key(page[-1]))) if len(found) > size else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is more than its body: another status than the declared one, or headers of its own."""

    shape: Shape | None
    status: int | None = None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that may be answered: its rights are checked, its parts are read.

    `query` and `body` are instances of what the endpoint declares, None where it declares nothing.
    """

    endpoint: "Endpoint"
    request: Request
    principal: Principal
    audit: AuditLog
    query: Any = None
    body: Any = None
    entries: list[Entry] = field(default_factory=list)
    """What the handler has told the audit log, or left to others; nothing: the framework notes that it was done."""

    @property
    def author(self) -> str:
        """Who it is, as it is kept with what they change."""
        who = "the admin API" if self.principal.via is Via.OPEN else f"{self.principal.role} {self.principal.subject}"
        return f"{who} from {address_of(self.request.scope) or 'here'}"

    def entry(self, thing: str, app: str = ALL_APPS, outcome: str = OK, **detail: Any) -> Entry:
        """What the audit log is told of this request; `thing` is the object, as "session:abc"."""
        actor, via = by(self.principal)
        request = request_id(self.request.scope).decode()
        found = {"address": address_of(self.request.scope), **detail}
        entry = Entry(self.endpoint.action, thing, outcome, actor, via, app, request, found)
        self.entries.append(entry)
        return entry

    def aside(self, thing: str, app: str = ALL_APPS, **detail: Any) -> Work[None]:
        """What tells the audit log of this request within the unit of work of the change that it asks for."""
        return self.audit.aside(self.entry(thing, app, **detail))

    async def note(self, thing: str, app: str = ALL_APPS, **detail: Any) -> None:
        """Tell the audit log of this request, which changes nothing or has done so."""
        await self.audit.note(self.entry(thing, app, **detail))

    @property
    def thing(self) -> str:
        """What the path is about, as "session:abc"; of paths without ids their group."""
        things = [f"{kind}:{self.request.path_params.get(name, '')}" for name, kind in self.endpoint.ids.items()]
        return " ".join(things) or self.endpoint.tag

    def id(self, name: str = "id") -> str:
        """What stands in the path for a placeholder. Raises NotFound for what can be no id."""
        found: str = self.request.path_params[name]
        if not found or len(found) > LONGEST_ID or "\0" in found:
            raise NotFound(self.endpoint.ids[name], found[:40])
        return found

    def number(self, name: str = "id") -> int:
        """The same where ids are numbers. Raises NotFound."""
        text = self.id(name)
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise NotFound(self.endpoint.ids[name], text[:40])
        return int(text)

    def app(self, asked: str | None = None) -> str | None:
        """To which app's objects the answer is limited; None for all. Raises NotFound for one of somebody else."""
        mine = self.principal.app
        if mine is not None and asked not in (None, mine):
            raise NotFound("app", str(asked)[:40])
        return mine or asked

    def require_app(self, app: str, name: str = "id") -> None:
        """Raises NotFound, about the object that the path names, if that belongs to an app of somebody else."""
        if self.principal.app not in (None, app):
            raise NotFound(self.endpoint.ids[name], self.id(name))


Handler: TypeAlias = Callable[[Ask], Awaitable[Shape | Answer | Response | None]]
"""Answers a request: with the declared shape, or with nothing where none is declared. Raises HectorError."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row.

    `path` in starlette's words; `ids` names the kind of object behind each of its placeholders, such as "session".
    `answer` is the shape of a success, with `status`; `errors` are the statuses beyond those that follow from the rest.
    `action` is what the audit log calls it; empty for what is not noted there: every change has one.
    """

    method: str
    path: str
    access: Access
    summary: str
    handler: Handler
    tag: str
    answer: type[Shape] | None = None
    status: int = 200
    query: type[Query] | None = None
    body: type[Body] | None = None
    ids: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    action: str = ""
    description: str = ""

    @property
    def shown_path(self) -> str:
        """The path as people and OpenAPI write it: /admin/sessions/{id}."""
        return _PLACE.sub(r"{\1}", self.path)

    @property
    def id(self) -> str:
        """A name for generated clients: get_admin_sessions_id."""
        return f"{self.method.lower()}_{re.sub('[^A-Za-z0-9]+', '_', self.shown_path).strip('_')}"
