"""Entries of web services, in pages of every kind, from servers that are not always kind."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from hector.config.egress import Egress
from hector.config.sources_remote import ApiSource
from hector.core.retrieval import Item
from hector.net.gate import governed
from hector.rag.errors import Gone, SourceError, SourceRefused
from hector.rag.sources.api import ApiEntries
from hector.rag.sources.kinds import build
from hector.rag.sources.paging import at, linked
from tests.httpserver import HttpServer, Request, write_whole

ENTRIES = [{"id": n, "title": f"T{n}", "body": f"text {n}", "tags": ["x"], "updated": f"u{n}"} for n in range(7)]


class Service:
    """A service whose pages a function makes; it notes what it was asked."""

    def __init__(self, page: Callable[[Request, dict[str, str]], Any]) -> None:
        self._page = page
        self.asked: list[Request] = []
        self.server = HttpServer(self._answer)

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self.asked.append(request)
        made = self._page(request, dict(parse_qsl(request.query)))
        status, body, headers = made if isinstance(made, tuple) else (200, made, {})
        write_whole(writer, status, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)
        return True


def entries(service: Service, **keys: Any) -> ApiEntries:
    api = {"url": f"{service.server.url}/items?kind=a%20b", **keys}
    made = build(ApiSource.model_validate({"api": api}))
    assert isinstance(made, ApiEntries)
    return made


async def ids(found: AsyncIterator[Item]) -> list[str]:
    return [item.id async for item in found]


EVERY = [str(entry["id"]) for entry in ENTRIES]


def by_offset(request: Request, params: dict[str, str]) -> Any:
    start, size = int(params["offset"]), min(int(params["limit"]), 3)
    return {"data": {"items": ENTRIES[start : start + size]}, "total": len(ENTRIES)}


def by_page(request: Request, params: dict[str, str]) -> Any:
    start = (int(params["p"]) - 1) * int(params["per_page"])
    found = ENTRIES[start : start + int(params["per_page"])]
    return {"data": {"items": found}} if found else (404, {"detail": "Invalid page."}, {})


def by_page_from_zero(request: Request, params: dict[str, str]) -> Any:
    found = ENTRIES[int(params["page"]) * 4 :][: int(params["limit"])]
    return {"data": {"items": found}, "others": []}


def by_cursor(request: Request, params: dict[str, str]) -> Any:
    start = int(params.get("cursor", "0"))
    following = str(start + 3) if start + 3 < len(ENTRIES) else None
    return {"data": {"items": ENTRIES[start : start + 3]}, "meta": {"next": following}}


def by_link(request: Request, params: dict[str, str]) -> Any:
    start = int(params.get("from", "0"))
    more = {"link": f'</items?from={start + 3}&a=1&a=2>; rel="next", </x>; rel="last"'} if start + 3 < 7 else {}
    return 200, {"data": {"items": ENTRIES[start : start + 3]}}, more


def by_body_link(request: Request, params: dict[str, str]) -> Any:
    start = int(params.get("from", "0"))
    return {"data": {"items": ENTRIES[start : start + 3]}, "next": f"?from={start + 3}" if start + 3 < 7 else ""}


def by_body(request: Request, params: dict[str, str]) -> Any:
    assert request.body["filter"] == "all"
    start = request.body["offset"]
    return {"data": {"items": ENTRIES[start : start + request.body["limit"]]}}


@pytest.mark.proves("rag.api")
@pytest.mark.parametrize(
    ("page", "keys"),
    [
        (by_offset, {"pagination": {"type": "offset", "page_size": 5}}),
        (by_page, {"pagination": {"type": "page", "page_param": "p", "size_param": "per_page", "page_size": 2}}),
        (by_page_from_zero, {"pagination": {"type": "page", "first_page": 0, "page_size": 4}}),
        (
            by_page_from_zero,
            {
                "pagination": {"type": "page", "first_page": 0, "page_size": 4, "data_field": "data.items"},
                "response_path": "",
            },
        ),
        (by_cursor, {"pagination": {"type": "cursor", "next_field": "meta.next", "size_param": ""}}),
        (by_link, {"pagination": {"type": "link", "size_param": ""}}),
        (by_body_link, {"pagination": {"type": "link", "next_field": "next", "size_param": ""}}),
        (by_body, {"method": "POST", "body": {"filter": "all"}, "pagination": {"type": "offset", "page_size": 4}}),
        (lambda request, params: {"data": {"items": ENTRIES}}, {}),
    ],
)
async def test_lists_come_whole_in_pages_of_every_kind(page: Any, keys: dict[str, Any]) -> None:
    service = Service(page)
    async with service.server:
        source = entries(service, **{"response_path": "data.items", **keys})
        assert await ids(source.items()) == EVERY
        assert await ids(source.items(["3", "99"])) == ["3"]
        await source.aclose()


@pytest.mark.proves("rag.api")
async def test_entries_are_documents() -> None:
    service = Service(lambda request, params: ENTRIES if params["kind"] == "a b" else [])
    async with service.server:
        source = entries(
            service, content_fields=["title", "body"], title_field="title", metadata_fields=["tags"],
            updated_field="updated",
        )  # fmt: skip
        found = {item.id: item async for item in source.items()}
        assert found["1"].name == "T1"
        assert found["1"].metadata["tags"] == ["x"]
        assert found["1"].fingerprint.startswith("u1 ")
        assert (await source.read(found["1"])).data == "title: T1\n\nbody: text 1"
        assert (await source.read(found["1"])).data == "title: T1\n\nbody: text 1"  # asked for anew
        only = entries(service, content_field="body")
        assert (await only.read(found["2"])).data == "text 2"
        every = entries(service)
        assert (await every.read(found["2"])).data == "title: T2\n\nbody: text 2\n\nupdated: u2"
        with pytest.raises(Gone):
            await only.read(Item("99", "x", ""))
        for one in (source, only, every):
            await one.aclose()


async def test_fields_name_an_entry_and_where_people_find_it() -> None:
    service = Service(
        lambda request, params: [{"meta": {"key": "k-1"}, "body": "b", "at": "u1", "page": "https://x/1"}]
    )
    async with service.server:
        plain = entries(service, id_field="meta.key", updated_field="at")
        linked_to = entries(service, id_field="meta.key", updated_field="at", url_field="page")
        (before,), (after,) = [[item async for item in source.items()] for source in (plain, linked_to)]
        assert (before.id, before.uri) == ("k-1", f"{service.server.url}/items#k-1")
        assert (after.id, after.uri) == ("k-1", "https://x/1")
        assert before.fingerprint != after.fingerprint, "a field that is named later on is taken up"
        for source in (plain, linked_to):
            await source.aclose()


async def test_fingerprints_follow_the_content() -> None:
    state = {"text": "one"}
    service = Service(
        lambda request, params: [{"id": "a", "body": state["text"]}, {"id": "b", "body": "same"}, {"x": 1}]
    )
    async with service.server:
        source = entries(service)
        before = {item.id: item.fingerprint async for item in source.items()}
        state["text"] = "two"
        after = {item.id: item.fingerprint async for item in source.items()}
        assert source.omitted.counts == {"no id": 1}
        await source.aclose()
    assert before["a"] != after["a"]
    assert before["b"] == after["b"]


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": "t0ken-of-mine"}, "authorization", "Bearer t0ken-of-mine"),
        ({"type": "basic", "username": "u", "password": "p"}, "authorization", "Basic dTpw"),
        ({"type": "apikey", "api_key": "k3y-of-mine", "header": "X-Key"}, "x-key", "k3y-of-mine"),
    ],
)
async def test_services_know_who_asks(auth: dict[str, str], header: str, value: str) -> None:
    service = Service(lambda request, params: (200 if request.headers.get(header) == value else 401, ENTRIES, {}))
    async with service.server:
        source, stranger = entries(service, auth=auth, headers={"X-More": "1"}), entries(service)
        assert await ids(source.items()) == EVERY
        assert service.asked[0].headers["x-more"] == "1"
        with pytest.raises(SourceRefused, match="credentials"):
            await ids(stranger.items())
        for one in (source, stranger):
            await one.aclose()


async def test_a_key_may_be_a_parameter() -> None:
    service = Service(lambda request, params: ENTRIES if params.get("key") == "k y" else [])
    async with service.server:
        source = entries(service, auth={"type": "apikey", "api_key": "k y", "param": "key"})
        assert await ids(source.items()) == EVERY
        await source.aclose()


@pytest.mark.parametrize(
    ("page", "keys", "said"),
    [
        (lambda r, p: ENTRIES, {"pagination": {"type": "page"}}, "one that came before"),
        (lambda r, p: {"d": ENTRIES, "n": "same"}, {"pagination": {"type": "cursor", "next_field": "n"}},
         "came before"),
        (lambda r, p: (200, [len(p)], {"link": "</items?kind=a%20b>; rel=next"}),
         {"pagination": {"type": "link", "size_param": ""}}, "came before"),
        (lambda r, p: (200, [], {"link": "<http://127.0.0.1:1/x>; rel=next"}), {"pagination": {"type": "link"}},
         "another service"),
        (lambda r, p: [{"id": p["offset"]}], {"pagination": {"type": "offset", "max_pages": 5}}, "more than 5 pages"),
        (lambda r, p: b"<html>", {}, "something else than JSON"),
        (lambda r, p: b"[" * 100_000, {}, "something else than JSON"),
        (lambda r, p: {"a": [], "b": []}, {}, "response_path"),
        (lambda r, p: {"a": []}, {"response_path": "x.y"}, "no 'x.y'"),
        (lambda r, p: (302, b"", {"location": "http://127.0.0.1:1/secret?t=1"}), {}, "not followed"),
        (lambda r, p: (404, b"none", {}), {"pagination": {"type": "page"}}, "status 404"),
    ],
)  # fmt: skip
async def test_lists_that_lead_astray_are_errors_and_no_shorter_lists(
    page: Any, keys: dict[str, Any], said: str
) -> None:
    service = Service(page)
    async with service.server:
        source = entries(service, **keys)
        with pytest.raises(SourceError, match=said):
            await ids(source.items())
        await source.aclose()


async def test_large_answers_are_not_read() -> None:
    service = Service(lambda request, params: [{"id": 1, "body": "x" * 5000}])
    async with service.server:
        source = entries(service, max_response_size=1000)
        with pytest.raises(SourceRefused, match="1000"):
            await ids(source.items())
        await source.aclose()


async def test_a_service_that_asks_for_patience_gets_it() -> None:
    answers = iter([(429, b"slow down", {"retry-after": "0"}), (503, b"", {"retry-after": "0"}), (200, ENTRIES, {})])
    service = Service(lambda request, params: next(answers))
    async with service.server:
        source = entries(service)
        assert await ids(source.items()) == EVERY
        await source.aclose()


async def test_it_is_asked_no_faster_than_allowed() -> None:
    service = Service(by_offset)
    async with service.server:
        source = entries(service, pagination={"type": "offset"}, response_path="data.items", requests_per_second=20)
        begun = asyncio.get_running_loop().time()
        await ids(source.items())
        assert asyncio.get_running_loop().time() - begun >= 0.05 * (len(service.asked) - 1)
        await source.aclose()


async def test_the_egress_policy_holds_for_services() -> None:
    service = Service(lambda request, params: ENTRIES)
    async with service.server:
        source = entries(service)
        with governed(Egress(mode="listed")), pytest.raises(SourceRefused, match="purpose retrieval"):
            await ids(source.items())
        assert service.asked == []
        await source.aclose()


def test_places_in_answers() -> None:
    assert at({"a": {"b": [1, {"c": 2}]}}, "$.a.b.1.c") == 2
    assert at({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert at({"a": 1}, "a.b") is None
    assert at([1], "x") is None
    assert linked('<a>; rel="prev", <b?x=1,2>; rel="next"; title="x"') == "b?x=1,2"
    assert linked('<a>; rel="prevnext"') == ""
