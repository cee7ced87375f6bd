"""Entries of a web service as documents: a list in JSON, in one answer or in pages."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from hector.config.sources_remote import Api, ApiSource
from hector.core.retrieval import Content, Item, Omitted
from hector.observe.redact import remember
from hector.rag.errors import Gone, SourceError, SourceRefused, Unreadable
from hector.rag.sources import paging, texts
from hector.rag.sources.paging import Ask
from hector.rag.sources.web import Reach, Reply, opened

_KEPT: Final = 32 * 2**20
"""Characters of entries that are kept until they are read; a list tells of nothing else than whole entries."""
_END: Final = frozenset((404,))
NO_ID: Final = "no id"


class ApiEntries:
    """The source. Ids are those of the service."""

    def __init__(self, section: ApiSource) -> None:
        self._api: Api = section.api
        api, parts = section.api, urlsplit(section.api.url)
        self._base = Ask(parts.path or "/", {**dict(parse_qsl(parts.query, keep_blank_values=True)), **api.params})
        origin = f"{parts.scheme}://{parts.netloc}"
        self._pages = paging.Pages(api.pagination, origin)
        self._web = opened(Reach(origin, api.timeout, api.proxy, api.ca_bundle, api.requests_per_second))
        self._headers = {"accept": "application/json", **api.headers, **_credentials(api)}
        self._kept: dict[str, tuple[dict[str, Any], int]] = {}
        self._size = 0
        self._omitted = Omitted()

    @property
    def omitted(self) -> Omitted:
        """Of the last listing that came to its end."""
        return self._omitted

    async def items(self, ids: Sequence[str] = ()) -> AsyncGenerator[Item]:
        """Every entry, or those of `ids`; both ask for the whole list. Raises SourceError."""
        wanted, nameless = frozenset(ids), 0
        async for entry in self._entries():
            item = self._item(entry)
            if item is None:
                nameless += 1
            elif not wanted or item.id in wanted:
                self._keep(item.id, entry)
                yield item
        if not wanted:
            self._omitted = Omitted({NO_ID: nameless} if nameless else {})

    async def read(self, item: Item) -> Content:
        """The text of an entry. Raises Gone, SourceError."""
        entry = self._taken(item.id)
        if entry is None:
            entry = await self._found(item.id)
        known = self._item(entry)
        return Content(known or item, await asyncio.to_thread(self._text, entry))

    def watch(self) -> None:
        """Services tell of nothing."""
        return

    async def aclose(self) -> None:
        """Close every connection."""
        await self._web.aclose()

    async def _found(self, identity: str) -> dict[str, Any]:
        async for entry in self._entries():
            item = self._item(entry)
            if item is not None and item.id == identity:
                return entry
        raise Gone(f"there is no {identity} any more")

    async def _entries(self) -> AsyncGenerator[dict[str, Any]]:
        ask: Ask | None = self._pages.first(self._base)
        seen = paging.Seen()
        while ask is not None:
            reply = await self._asked(ask, later=seen.count > 0)
            if reply.status in _END:
                return
            body = await asyncio.to_thread(_parsed, reply.body)
            entries = _listed(body, self._api.response_path or self._pages.data_field)
            if seen.holds(ask, entries):
                raise SourceError(f"page {seen.count + 1} of {self._api.url} is one that came before: check pagination")
            for entry in entries:
                if isinstance(entry, dict):
                    yield entry
            ask = self._pages.following(ask, self._base, body, entries, reply.headers, seen.count)

    async def _asked(self, ask: Ask, *, later: bool) -> Reply:
        api, params, body = self._api, dict(ask.params), b""
        headers = dict(self._headers)
        if api.auth is not None and api.auth.type == "apikey" and api.auth.param:
            params[api.auth.param] = api.auth.api_key
        if api.method == "POST":
            body = json.dumps({**(api.body or {}), **ask.place}).encode()
            headers["content-type"] = "application/json"
        else:
            params |= {name: str(value) for name, value in ask.place.items()}
        mark = "&" if "?" in ask.path else "?"
        path = ask.path + (f"{mark}{urlencode(params, quote_via=quote)}" if params else "")
        passing = _END if later and self._pages.ends_by_status else frozenset()
        try:
            return await self._web.ask(
                api.method, path, sign=lambda: headers, body=body, limit=api.max_response_size, passing=passing
            )
        except Unreadable as error:
            raise SourceRefused(f"an answer of {api.url}: {error}; max_response_size allows for more") from None

    def _keep(self, identity: str, entry: dict[str, Any]) -> None:
        self._taken(identity)
        size = len(str(entry))
        self._kept[identity] = (entry, size)
        self._size += size
        while len(self._kept) > 1 and self._size > _KEPT:
            self._taken(next(iter(self._kept)))

    def _taken(self, identity: str) -> dict[str, Any] | None:
        entry, size = self._kept.pop(identity, (None, 0))
        self._size -= size
        return entry

    def _item(self, entry: Mapping[str, Any]) -> Item | None:
        api = self._api
        identity = texts.plain(paging.at(entry, api.id_field))
        if not identity:
            return None
        updated = paging.at(entry, api.updated_field) if api.updated_field else None
        named = (api.content_field, api.content_fields, api.metadata_fields, api.title_field, api.url_field)
        shape = texts.digest(*named)[:8]
        facts = {name: paging.at(entry, name) for name in api.metadata_fields}
        title = texts.plain(paging.at(entry, api.title_field)) if api.title_field else ""
        where = texts.plain(paging.at(entry, api.url_field)) if api.url_field else ""
        return Item(
            identity, title or identity, f"{texts.digest(entry) if updated is None else texts.plain(updated)} {shape}",
            where or f"{api.url.partition('?')[0]}#{identity}", media_type="text/plain",
            metadata={"id": identity, **({"title": title} if title else {}), **{
                name: json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
                for name, value in facts.items() if value is not None
            }},
        )  # fmt: skip

    def _text(self, entry: Mapping[str, Any]) -> str:
        api = self._api
        names = (*((api.content_field,) if api.content_field else ()), *api.content_fields)
        if not names:
            apart = {api.id_field, api.updated_field, *api.metadata_fields}
            names = tuple(name for name, value in entry.items() if isinstance(value, str) and name not in apart)
        return texts.joined((name, paging.at(entry, name)) for name in dict.fromkeys(names))


def _credentials(api: Api) -> dict[str, str]:
    auth = api.auth
    if auth is None:
        return {}
    for secret in (auth.token, auth.password, auth.api_key):
        remember(secret)
    if auth.type == "bearer":
        return {"authorization": f"Bearer {auth.token}"}
    if auth.type == "basic":
        pair = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()
        remember(pair)
        return {"authorization": f"Basic {pair}"}
    return {} if auth.param else {auth.header.lower(): auth.api_key}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise SourceError("the service gives something else than JSON") from None


def _listed(body: Any, path: str) -> list[Any]:
    """The entries of an answer."""
    found = paging.at(body, path) if path else body
    if isinstance(found, list):
        return found
    if found is None and path:
        raise SourceError(f"the answer has no {path!r}, where its entries should be: check response_path")
    lists = [value for value in found.values() if isinstance(value, list)] if isinstance(found, dict) else []
    if len(lists) != 1:
        raise SourceError("the answer is no list, and holds not exactly one: say with response_path where it stands")
    return lists[0]
