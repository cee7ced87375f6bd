"""Searching the web: Tavily, or SearXNG on a server of one's own."""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode, urlsplit

from hector.config.webtools import WebSearch
from hector.core.content import JsonObject
from hector.core.errors import ToolError
from hector.core.record import dataclass
from hector.tools.web_text import decoded

TAVILY: Final = "https://api.tavily.com"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search."""

    query: str
    topic: str
    time_range: str | None
    most: int
    include: tuple[str, ...]
    exclude: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finder:
    """Asks the service that an entry names. `most`: bytes of its answer."""

    search: WebSearch
    key: str
    most: int

    async def find(self, wanted: Wanted) -> "Found":
        """An answer in a sentence, if the service gives one, and results. Raises ToolError."""
        ask = _searxng if self.search.provider == "searxng" else _tavily
        return await ask(self, wanted)


Found: TypeAlias = tuple[str, list[dict[str, Any]]]


async def _tavily(finder: Finder, wanted: Wanted) -> Found:
    """An answer in a sentence, and results."""
    key = finder.key
    if not key and finder.search.base_url is None:
        raise ToolError("the search has no key: its operator has to set TAVILY_API_KEY, or search.api_key")
    body = {
        "query": wanted.query, "topic": wanted.topic, "time_range": wanted.time_range, "max_results": wanted.most,
        "include_domains": wanted.include, "exclude_domains": wanted.exclude, "include_answer": True,
    }  # fmt: skip
    head = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    base = str(finder.search.base_url or TAVILY)
    found = await _searched(finder, "POST", f"{base}/search", head, json.dumps(body).encode())
    return str(found.get("answer") or ""), _results(found, wanted)


async def _searxng(finder: Finder, wanted: Wanted) -> Found:
    """Domains are SearXNG's engines' business (`site:`), and looked at again here."""
    sites = " OR ".join(f"site:{one}" for one in wanted.include)
    terms = " ".join((wanted.query, f"({sites})" if sites else "", *(f"-site:{one}" for one in wanted.exclude))).strip()
    asked = {"q": " ".join(terms.split()), "format": "json", "categories": wanted.topic}
    asked |= {"time_range": wanted.time_range} if wanted.time_range else {}
    found = await _searched(finder, "GET", f"{finder.search.base_url}/search?{urlencode(asked)}", {}, None)
    answers = [one.get("answer", "") if isinstance(one, dict) else str(one) for one in found.get("answers") or ()]
    return (str(answers[0]) if answers else ""), _results(found, wanted)


async def _searched(finder: Finder, method: str, url: str, head: Mapping[str, str], body: bytes | None) -> JsonObject:
    """The answer of the search service, which the operator has chosen: it may be anywhere."""
    from hector.net.call import CallerOptions  # noqa: PLC0415 - likewise
    from hector.net.caller import open_caller  # noqa: PLC0415 - loaded by the first search
    from hector.net.errors import NetError  # noqa: PLC0415 - likewise

    parts = urlsplit(url)
    base, path = f"{parts.scheme}://{parts.netloc}", parts.path + (f"?{parts.query}" if parts.query else "")
    caller = open_caller(CallerOptions(base, {**finder.search.headers, **head}, read_timeout=30.0, purpose="tool"))
    try:
        answer = await caller.send(method, path, body=body or b"")
        data = await answer.read(finder.most)
    except NetError as error:
        raise ToolError(f"the search failed: {error}") from None
    finally:
        await caller.aclose()
    if answer.status != 200:
        hint = "; its settings must allow the format json" if answer.status == 403 and method == "GET" else ""
        raise ToolError(f"the search service answered {answer.status}{hint}: {decoded(data, '')[:200]}")
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ToolError("the search service answered with something else than a JSON object")
    return found


def _results(found: JsonObject, wanted: Wanted) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for one in found.get("results") or ():
        url = str(one.get("url", "")) if isinstance(one, dict) else ""
        if not url.startswith(("http://", "https://")) or not _in_domains(url, wanted):
            continue
        content = " ".join(str(one.get("content") or "").split())[:2000]
        results.append({"title": str(one.get("title") or url), "url": url[:2048], "content": content})
    return results[: wanted.most]


def _in_domains(url: str, wanted: Wanted) -> bool:
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return False
    within = [host == one.lower() or host.endswith(f".{one.lower()}") for one in wanted.include]
    without = [host == one.lower() or host.endswith(f".{one.lower()}") for one in wanted.exclude]
    return (not within or any(within)) and not any(without)
