"""What a configuration contacts: one row of `SOURCES` for each kind of thing that it can name."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from hector.cli.doctor_contact import Contact as Contact
from hector.cli.doctor_retrieval import embedding_services, rerankers, vector_servers
from hector.cli.doctor_sources import origins
from hector.cli.place import Place
from hector.config.choice import listed
from hector.config.postgres import is_postgres, parse
from hector.core.record import dataclass
from hector.net.proxy import proxy_for

if TYPE_CHECKING:
    from hector.net.policy import Purpose


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of thing: how its group is called, and where in a configuration it is found."""

    group: str
    find: Callable[[Place], Iterator[Contact]]


def contacts(place: Place) -> list[Contact]:
    """Everything, proxies included, in the order of the groups."""
    found = [contact for source in SOURCES for contact in source.find(place)]
    return [*found, *_proxies(found)]


def _models(place: Place) -> Iterator[Contact]:
    used = _used(place)
    for name, llm in place.config.llms.items():
        make = _MODELS.get(llm.provider)
        if make is None:
            continue
        url, path, headers, read = make(llm)
        parts = urlsplit(url)
        yield Contact(
            "models",
            f"llms.{name} ({llm.provider} {llm.model})".replace(" )", ")"),
            "model",
            url,
            f"{url.rstrip('/')}{path}" if path else "",
            {**headers, **{key.lower(): value for key, value in llm.headers.items()}},
            f"llms.{name}.api_key" if getattr(llm, "api_key", "") else "",
            f"llms.{name}.base_url",
            proxy_for(url, llm.proxy, os.environ),
            llm.ca_bundle,
            needed=name in used,
            secure=parts.scheme == "https",
            read=read,
        )


def _used(place: Place) -> set[str]:
    """Models that an agent names, or gets because it names none."""
    config = place.config
    first = "default" if "default" in config.llms else next(iter(config.llms), "")
    standard = listed(config.defaults.llm) or (first,)
    return {name for agent in config.agents.values() for name in getattr(agent, "llms", ()) or standard} or {*standard}


def _anthropic(llm: Any) -> tuple[str, str, dict[str, str], Any]:
    from hector.models.wire import join_base  # noqa: PLC0415 - only with such a model

    return join_base(llm.base_url, "v1"), "/v1/models?limit=1000", {
        "anthropic-version": llm.api_version, **({"x-api-key": llm.api_key} if llm.api_key else {}),
    }, _has(llm.model, "data", "id")  # fmt: skip


def _openai(llm: Any) -> tuple[str, str, dict[str, str], Any]:
    from hector.models import openai  # noqa: PLC0415 - only with such a model

    url = openai.endpoint(llm).base_url
    dated = llm.api_version is not None  # Azure's older addresses list nothing without another key
    return url, "" if dated else "/models", openai.headers(llm), _has(llm.model, "data", "id")


def _gemini(llm: Any) -> tuple[str, str, dict[str, str], Any]:
    from hector.models.wire import join_base  # noqa: PLC0415 - only with such a model

    url = join_base(llm.base_url, llm.api_version, "v1beta", "v1")
    headers = {"x-goog-api-key": llm.api_key} if llm.api_key else {}
    return url, f"/{llm.api_version}/models?pageSize=1000", headers, _has(f"models/{llm.model}", "models", "name")


def _ollama(llm: Any) -> tuple[str, str, dict[str, str], Any]:
    from hector.models.ollama import base_address, headers  # noqa: PLC0415 - only with such a model

    return base_address(llm.base_url), "/api/tags", headers(llm), _has(llm.model, "models", "name", "ollama pull")


_MODELS: Final[Mapping[str, Callable[[Any], tuple[str, str, dict[str, str], Any]]]] = {
    "anthropic": _anthropic,
    "openai": _openai,
    "gemini": _gemini,
    "ollama": _ollama,
}
"""Providers that are reached over the network: address, path that lists models, headers."""


def _has(model: str, list_name: str, key: str, remedy: str = "") -> Callable[[bytes], str]:
    """Whether a list of models names the one that is configured; lists that cannot be read say nothing."""

    def read(body: bytes) -> str:
        try:
            rows = json.loads(body)[list_name]
            names = {str(row[key]) for row in rows}
        except (ValueError, LookupError, TypeError):
            return ""
        if not model or not names or names & {model, f"{model}:latest"}:
            return "" if names or not remedy else f"the server has no model yet; get one with `{remedy} llama3.2`"
        near = ", ".join(sorted(names)[:5])
        more = f"; get it with `{remedy} {model}`" if remedy else ""
        return f"it does not list the model {model!r}; it lists {near} and others{more}"

    return read


def _identity(place: Place) -> Iterator[Contact]:
    auth = place.startup.auth
    if not auth.issuer or auth.enabled is False:
        return
    if auth.jwks_url:
        url, name, setting, read = auth.jwks_url, "keys of the issuer", "server.auth.jwks_url", _keys
    else:
        url = f"{auth.issuer.rstrip('/')}/.well-known/openid-configuration"
        name, setting, read = "issuer, whose document says where its keys are", "server.auth.issuer", discovered
    secure = url.startswith("https")
    proxy = proxy_for(url, None, os.environ)
    yield Contact(
        "identity provider", name, "identity", url, url, setting=setting, proxy=proxy, secure=secure, read=read
    )


def keys_contact(url: str) -> Contact:
    """The keys of an issuer, once its document has said where they are."""
    proxy = proxy_for(url, None, os.environ)
    name = "keys of the issuer"
    return Contact(
        "identity provider", name, "identity", url, url, setting="server.auth.issuer", proxy=proxy,
        secure=url.startswith("https"), read=_keys,
    )  # fmt: skip


def jwks_uri(body: bytes) -> str:
    """What a discovery document says; empty for nothing."""
    try:
        found = json.loads(body)["jwks_uri"]
    except (ValueError, LookupError, TypeError):
        return ""
    return found if isinstance(found, str) and found.startswith(("http://", "https://")) else ""


def discovered(body: bytes) -> str:
    """Whether this is a discovery document."""
    return "" if jwks_uri(body) else "this is no OpenID Connect discovery document: it names no jwks_uri"


def _keys(body: bytes) -> str:
    try:
        count = len(json.loads(body)["keys"])
    except (ValueError, LookupError, TypeError):
        count = 0
    return "" if count else "this is no key set: it holds no keys"


def _database(place: Place) -> Iterator[Contact]:
    dsn = place.startup.database
    if not is_postgres(dsn):
        return
    for host, port in parse(dsn).hosts:
        if not host.startswith("/"):
            authority = f"[{host}]" if ":" in host else host
            yield Contact("database", "PostgreSQL", "database", f"postgres://{authority}:{port}", setting="--database")


def _servers(place: Place) -> Iterator[Contact]:
    for name, tool in place.config.tools.items():
        if url := getattr(tool, "url", None):
            yield _plain("MCP servers", f"tools.{name}", "mcp", url, f"tools.{name}.url")


def _agents(place: Place) -> Iterator[Contact]:
    for name, agent in place.config.agents.items():
        if url := getattr(agent, "agent_card_url", None) or getattr(agent, "url", None):
            yield _plain("remote agents", f"agents.{name}", "agent", url, f"agents.{name}.url")


def _callbacks(place: Place) -> Iterator[Contact]:
    for name, agent in place.config.agents.items():
        response = getattr(agent.trigger, "response", None)
        if response is not None and response.mode == "callback" and response.callback_url:
            setting = f"agents.{name}.trigger.response.callback_url"
            yield _plain("webhook callbacks", f"agents.{name}", "push", response.callback_url, setting)


def _search(place: Place) -> Iterator[Contact]:
    for name, tool in place.config.tools.items():
        if tool.enabled and "web_search" in getattr(tool, "tools", ()):
            search = getattr(tool, "search")  # noqa: B009 - the class of web tools is not loaded for its sake
            url = str(search.base_url or "https://api.tavily.com")
            yield _plain(
                "web search", f"tools.{name} ({search.provider})", "tool", url, f"tools.{name}.search.base_url"
            )


def _documents(place: Place) -> Iterator[Contact]:
    for one in origins(place.config):
        proxy = None if one.url.startswith("postgres") else proxy_for(one.url, one.proxy, os.environ)
        yield Contact(
            "documents", one.name, "retrieval", one.url, one.get, one.headers, one.key, one.setting, proxy,
            one.ca_bundle, needed=False, secure=one.url.startswith("https"),
        )  # fmt: skip


def _plain(group: str, name: str, purpose: "Purpose", url: str, setting: str) -> Contact:
    proxy = proxy_for(url, None, os.environ)
    return Contact(group, name, purpose, url, setting=setting, proxy=proxy, secure=url.startswith("https"))


def receiver(url: str) -> Contact:
    """An address that a client has registered for push notifications."""
    parts = urlsplit(url)
    url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return Contact(
        "push notifications", "registered by a client", "push", url, setting="server.push_notifications",
        needed=False, secure=parts.scheme == "https",
    )  # fmt: skip


def _proxies(found: list[Contact]) -> Iterator[Contact]:
    for proxy in dict.fromkeys(contact.proxy for contact in found if contact.proxy):
        through = [contact for contact in found if contact.proxy == proxy]
        parts = urlsplit(proxy)
        url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        yield Contact(
            "proxies", f"for {', '.join(contact.name.split(' ')[0] for contact in through)}", through[0].purpose, url,
            setting="HTTPS_PROXY, or `proxy` of the model", needed=any(contact.needed for contact in through),
            secure=parts.scheme == "https",
        )  # fmt: skip


SOURCES: Final = (
    Source("models", _models),
    Source("identity provider", _identity),
    Source("database", _database),
    Source("MCP servers", _servers),
    Source("remote agents", _agents),
    Source("webhook callbacks", _callbacks),
    Source("web search", _search),
    Source("embedders", embedding_services),
    Source("vector stores", vector_servers),
    Source("rerankers", rerankers),
    Source("documents", _documents),
)
"""A new kind of thing that configurations contact is one row here. `find` gives nothing where there is none of it."""
