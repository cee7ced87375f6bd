"""How a web service hands out a long list: which request follows an answer. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from hector.config.sources_remote import Pagination
from hector.core.record import dataclass
from hector.rag.errors import SourceError
from hector.rag.sources.texts import digest, plain

_LINK: Final = re.compile(r"<([^<>]*)>([^<]*)")
_NEXT: Final = re.compile(r";\s*rel\s*=\s*(?:\"[^\"]*\bnext\b[^\"]*\"|next\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: `params` join the address, `place` says where in the list it begins; `path` may hold a query."""

    path: str
    params: Mapping[str, str]
    place: Mapping[str, Any] = field(default_factory=dict)


class Seen:
    """Requests and pages that there were: a list that goes in circles comes to an end."""

    def __init__(self) -> None:
        self.count = 0
        self._digests: set[str] = set()

    def holds(self, ask: Ask, entries: Sequence[Any]) -> bool:
        """Whether this request, or a page with exactly these entries, has been there; notes both."""
        found = {digest("ask", ask.path, dict(ask.params), dict(ask.place))}
        if entries:
            found.add(digest("page", list(entries)))
        known = bool(found & self._digests)
        self._digests |= found
        if not known:
            self.count += 1
        return known


class Pages:
    """By a section; None: there is one page."""

    def __init__(self, section: Pagination | None, origin: str) -> None:
        self._section = section
        self._origin = origin

    @property
    def data_field(self) -> str:
        """Where the entries stand."""
        return self._section.data_field if self._section else ""

    @property
    def ends_by_status(self) -> bool:
        """Whether the page behind the last one may be an error."""
        return self._section is not None and self._section.type in {"offset", "page"}

    def first(self, base: Ask) -> Ask:
        """The request for the beginning."""
        section = self._section
        if section is None:
            return base
        place: dict[str, Any] = {section.size_param: section.page_size} if section.size_param else {}
        if section.type == "offset":
            place[section.parameter] = 0
        elif section.type == "page":
            place[section.parameter] = section.first_page
        return replace(base, place=place)

    def following(
        self, ask: Ask, base: Ask, body: Any, entries: Sequence[Any], headers: Mapping[str, str], count: int
    ) -> Ask | None:
        """The request for the next page; None behind the last one. Raises SourceError where it does not end."""
        section = self._section
        following = self._following(ask, base, body, entries, headers) if section is not None else None
        if following is not None and section is not None and count >= section.max_pages:
            raise SourceError(f"the list has more than {section.max_pages} pages; max_pages allows for more")
        return following

    def _following(
        self, ask: Ask, base: Ask, body: Any, entries: Sequence[Any], headers: Mapping[str, str]
    ) -> Ask | None:
        section = self._section
        if section is None:
            return None
        if section.type == "link":
            return self._linked(ask, body, section.next_field, headers)
        if section.type == "cursor":
            mark = plain(at(body, section.next_field))
            return replace(base, place={**ask.place, section.parameter: mark}) if mark else None
        if not entries:
            return None
        step = len(entries) if section.type == "offset" else 1
        return replace(base, place={**ask.place, section.parameter: ask.place[section.parameter] + step})

    def _linked(self, ask: Ask, body: Any, named: str, headers: Mapping[str, str]) -> Ask | None:
        link = plain(at(body, named)) if named else linked(headers.get("link", ""))
        if not link:
            return None
        url = urljoin(f"{self._origin}{ask.path}", link)
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self._origin:
            raise SourceError(f"the next page is at {parts.scheme}://{parts.netloc}, another service: not followed")
        return Ask(f"{parts.path or '/'}?{parts.query}", {})


def linked(header: str) -> str:
    """The address that a Link header (RFC 8288) calls the next one; empty for none."""
    return next((match[1] for match in _LINK.finditer(header) if _NEXT.search(match[2])), "")


def at(value: Any, path: str) -> Any:
    """What stands at data.items.0; None for nothing. A key with dots in it is found, too."""
    path = path.removeprefix("$.").removeprefix("$")
    if isinstance(value, dict) and path in value:
        return value[path]
    for step in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
