"""A model served by Ollama: at which address, and which one when the configuration names none."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from hector.config.llm_ollama import OllamaLlm
from hector.core.errors import ModelRejected, ModelUnavailable
from hector.core.event import Delta
from hector.core.ports import ChatModel, ModelReply, ModelRequest
from hector.models.faults import read_fault, to_error
from hector.models.http import connect
from hector.models.ollama_chat import OllamaWire
from hector.models.schema_turn import SchemaTurn
from hector.models.wire import label
from hector.net.call import Caller, CallerOptions
from hector.net.caller import open_caller
from hector.net.egress import EgressRefused
from hector.net.errors import NetError

_PORT: Final = 11434


def create(llm: OllamaLlm, name: str) -> ChatModel:
    """The model of `llms.<name>`. Opens no connection."""
    known = _bound(llm, name, llm.model or "any")
    return known if llm.model else FirstModel(llm, name)


def _bound(llm: OllamaLlm, name: str, model: str) -> ChatModel:
    base = base_address(llm.base_url)
    wire = OllamaWire(name, llm, model, base)
    thinks = llm.thinking is not None and llm.thinking.enabled
    return SchemaTurn(connect(wire, llm, base_url=base, headers=headers(llm), secret=llm.api_key), always=thinks)


def headers(llm: OllamaLlm) -> dict[str, str]:
    """The key, if there is one."""
    return {"authorization": f"Bearer {llm.api_key}"} if llm.api_key else {}


def base_address(text: str) -> str:
    """A base URL from any form of OLLAMA_HOST: a host, `host:port`, `:port`, a URL, an address to listen on."""
    text = text.strip().rstrip("/")
    bare = "://" not in text
    parts = urlsplit(f"http://{text}" if bare else text)
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(parts.hostname or "", parts.hostname or "")  # noqa: S104 - replaced, not bound
    port = parts.port or (_PORT if bare else None)
    shown = f"[{host}]" if ":" in host else host
    login, at, _ = parts.netloc.rpartition("@")  # kept, so that it is refused and not ignored
    path = parts.path.removesuffix("/v1").removesuffix("/api")
    return urlunsplit((parts.scheme, login + at + (f"{shown}:{port}" if port else shown), path, "", ""))


class FirstModel:
    """The first fit model that a server has, looked up once, at the first call."""

    def __init__(self, llm: OllamaLlm, name: str) -> None:
        self._llm, self._name = llm, name
        self._model: ChatModel | None = None
        self._lock = asyncio.Lock()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        """As ChatModel.stream."""
        model = await self._found()
        async with aclosing(model.stream(request)) as items:
            async for item in items:
                yield item

    async def complete(self, request: ModelRequest) -> ModelReply:
        """As ChatModel.complete."""
        return await (await self._found()).complete(request)

    async def aclose(self) -> None:
        """Close the model, if there is one yet."""
        if self._model is not None:
            await self._model.aclose()

    async def _found(self) -> ChatModel:
        async with self._lock:
            if self._model is None:
                self._model = _bound(self._llm, self._name, await self._first())
            return self._model

    async def _first(self) -> str:
        """Raises ModelRejected when there is none, ModelUnavailable when the server does not answer as Ollama does."""
        base = base_address(self._llm.base_url)
        who = label(self._name, "the first model", base)
        caller = open_caller(self._options(base))
        try:
            found = await _fittest(caller, models(await _tags(caller, who)))
        except EgressRefused as error:
            raise ModelRejected(f"{who}: {error}") from error
        except NetError as error:
            raise ModelUnavailable(f"{who}: {error}; is `ollama serve` running there?") from error
        finally:
            await caller.aclose()
        if found:
            return found
        raise ModelRejected(
            f"llm {self._name!r}: Ollama at {base} has no model yet; get one, for example with `ollama pull llama3.2`"
        )

    def _options(self, base: str) -> CallerOptions:
        return CallerOptions(
            base_url=base,
            headers={**headers(self._llm), **{name.lower(): value for name, value in self._llm.headers.items()}},
            proxy=self._llm.proxy,
            ca_bundle=self._llm.ca_bundle,
            connect_timeout=self._llm.connect_timeout,
            read_timeout=self._llm.timeout,
            purpose="model",
        )


async def _tags(caller: Caller, who: str) -> Any:
    """What `/api/tags` says."""
    async with await caller.send("GET", "/api/tags") as answer:
        document = await answer.read()
    if answer.status >= 400:
        raise to_error(who, read_fault(answer.status, answer.headers, document))
    try:
        return json.loads(document)
    except ValueError as error:
        raise ModelUnavailable(f"{who}: /api/tags did not answer as Ollama does; check `base_url`") from error


async def _fittest(caller: Caller, names: Iterable[str]) -> str:
    """The first that can call tools, else the first that can talk; "" if none can. One that keeps quiet will do."""
    talker = ""
    for name in names:
        able = await _capabilities(caller, name)
        if able is None or "tools" in able:
            return name
        talker = talker or (name if "completion" in able else "")
    return talker


async def _capabilities(caller: Caller, name: str) -> list[Any] | None:
    """What a model can do; None where the server does not say (older ones do not)."""
    body = json.dumps({"model": name}).encode()
    async with await caller.send(
        "POST", "/api/show", body=body, headers={"content-type": "application/json"}
    ) as answer:
        document = await answer.read()
    try:
        found = json.loads(document)["capabilities"]
    except (ValueError, LookupError, TypeError):
        return None
    return found if isinstance(found, list) else None


def models(tags: Any) -> list[str]:
    """The models of `/api/tags` that can talk; those that only embed are told by their names."""
    entries = tags.get("models") if isinstance(tags, dict) else None
    names = [entry.get("model") or entry.get("name") or "" for entry in entries or () if isinstance(entry, dict)]
    return [name for name in names if name and "embed" not in name]
