"""OpenAI, Azure and every server that speaks one of OpenAI's two wire formats: which of them, at which address."""

import os
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias
from urllib.parse import quote, urlsplit, urlunsplit

from hector.config.llm_openai import OpenAiLlm
from hector.core.ports import ChatModel
from hector.core.record import dataclass
from hector.models.http import connect
from hector.models.openai_chat import ChatWire
from hector.models.openai_responses import ResponsesWire
from hector.models.quirks import is_openai_host, speaks_responses
from hector.models.schema_turn import SchemaTurn

Api: TypeAlias = Literal["responses", "chat"]

_PATHS: Final[Mapping[Api, str]] = {"chat": "/chat/completions", "responses": "/responses"}
_AZURE: Final = ".openai.azure.com"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where calls go: `path` (with its query) is added to `base_url`."""

    api: Api
    base_url: str
    path: str


def create(llm: OpenAiLlm, name: str) -> ChatModel:
    """The model of `llms.<name>`. Opens no connection."""
    place = endpoint(llm)
    wire: ChatWire | ResponsesWire
    if place.api == "responses":
        wire = ResponsesWire(name, llm, place.base_url, place.path)
    else:
        wire = ChatWire(name, llm, place.base_url, place.path)
    model = connect(wire, llm, base_url=place.base_url, headers=headers(llm), secret=llm.api_key)
    return model if is_openai_host(urlsplit(place.base_url).hostname or "") else SchemaTurn(model)


def endpoint(llm: OpenAiLlm) -> Endpoint:
    """The wire format and the address, however the base URL was written.

    A base without any path gets `/v1`; a doubled `/v1`, a trailing slash and a pasted endpoint are taken off. With
    `api_version`, Azure's older addresses are built, which carry the model (its deployment) in the path.
    """
    parts = urlsplit(llm.base_url.strip())
    path = parts.path.rstrip("/")
    for ending in _PATHS.values():
        path = path.removesuffix(ending)
    path = path.replace("/v1/v1", "/v1")
    api: Api = llm.api if llm.api != "auto" else _api(parts.hostname or "", path, classic=bool(llm.api_version))
    if llm.api_version:
        path = _azure_path(path, llm.model, api)
        query = f"?api-version={quote(llm.api_version, safe='')}"
    else:
        path, query = path or "/v1", ""
    return Endpoint(api, urlunsplit((parts.scheme, parts.netloc, path, "", "")), _PATHS[api] + query)


def _api(host: str, path: str, *, classic: bool) -> Api:
    if classic and not path.endswith("/openai/v1"):
        return "chat"
    return "responses" if speaks_responses(host, path) else "chat"


def _azure_path(path: str, deployment: str, api: Api) -> str:
    """The path of Azure's dated addresses; one that is written out already stays."""
    if path.endswith("/openai/v1") or "/openai/deployments/" in path:
        return path
    root = path.removesuffix("/openai")
    return f"{root}/openai" if api == "responses" else f"{root}/openai/deployments/{quote(deployment, safe='')}"


def headers(llm: OpenAiLlm) -> dict[str, str]:
    """Who calls. Without a key there is no authorization at all: local servers want none.

    OPENAI_ORG_ID and OPENAI_PROJECT_ID stand in for the settings, but only towards OpenAI.
    """
    host = urlsplit(llm.base_url).hostname or ""
    environment: Mapping[str, str] = os.environ if is_openai_host(host) else {}
    found: dict[str, str] = {}
    if llm.api_key:
        azure = bool(llm.api_version) or host.endswith(_AZURE)
        found |= {"api-key": llm.api_key} if azure else {"authorization": f"Bearer {llm.api_key}"}
    if organization := llm.organization or environment.get("OPENAI_ORG_ID"):
        found["openai-organization"] = organization
    if project := llm.project or environment.get("OPENAI_PROJECT_ID"):
        found["openai-project"] = project
    return found
