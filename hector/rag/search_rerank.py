"""Services that put passages in order. One request a search, to whatever takes Cohere's.

The request as Cohere's API reference has it (v2/rerank): model, query, documents, top_n; the answer's `results` are
rows of index and relevance_score. Jina, vLLM, Infinity and llama.cpp's server take the same under paths of their own.
"""

import json
import os
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from hector.config.searching import Reranker
from hector.core.errors import ConfigError
from hector.core.passages import cut
from hector.core.retrieval import Passage
from hector.net.call import CallerOptions
from hector.net.caller import open_caller
from hector.net.egress import EgressRefused
from hector.net.errors import NetError
from hector.rag.search_models import Unhelpful

KEY: Final = "COHERE_API_KEY"
LONGEST: Final = 4000
"""Characters of a passage that is sent."""
_LARGEST: Final = 4 * 2**20


async def order(section: Reranker, question: str, passages: Sequence[Passage], own_key: bool = True) -> list[int]:
    """Places in the list, the best first, each once. `own_key`: the server's own key may be used. Raises Unhelpful."""
    address = urlsplit(section.base_url)
    path = address.path if address.path.endswith("/rerank") else f"{address.path}/v2/rerank"
    body = {
        "model": section.model,
        "query": question,
        "documents": [cut(one.text, LONGEST) for one in passages],
        "top_n": len(passages),
    }
    key = section.api_key or (os.environ.get(KEY, "") if own_key else "")
    headers = {"content-type": "application/json", "accept": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    base = f"{address.scheme}://{address.netloc}"
    answer = await _send(section, base, path, headers, json.dumps(body, ensure_ascii=False).encode())
    return _places(answer, len(passages))


async def _send(section: Reranker, base: str, path: str, headers: dict[str, str], body: bytes) -> Any:
    try:
        caller = open_caller(CallerOptions(base, headers, read_timeout=section.timeout, purpose="retrieval"))
    except (ConfigError, EgressRefused) as error:
        raise Unhelpful(str(error)) from None
    try:
        answer = await caller.send("POST", path, body=body)
        data = await answer.read(_LARGEST)
    except NetError as error:
        raise Unhelpful(str(error)) from None
    finally:
        await caller.aclose()
    if answer.status != 200:
        raise Unhelpful(f"it answered {answer.status}: {data[:200].decode(errors='replace')}")
    try:
        return json.loads(data)
    except ValueError:
        raise Unhelpful("it answered something else than JSON") from None


def _places(answer: Any, count: int) -> list[int]:
    rows = answer.get("results") if isinstance(answer, dict) else None
    rows = [row for row in rows or () if isinstance(row, dict)] if isinstance(rows, list) else []
    scored = [(row.get("relevance_score", row.get("score", 0.0)), row.get("index")) for row in rows]
    good = [(score, at) for score, at in scored if isinstance(score, int | float) and isinstance(at, int)]
    places = [at for _, at in sorted(good, key=lambda one: -one[0]) if 0 <= at < count]
    if not places:
        raise Unhelpful("it named none of the passages")
    return list(dict.fromkeys(places))
