"""What is known of each model provider before anyone calls it: its variables, its signs, its address."""

import re
from collections.abc import Mapping
from typing import Any, Final

from hector.config.environment import Environment
from hector.core.record import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """`keys` and `addresses` are variables, the first that is set wins; `models` and `hosts` give the provider away."""

    name: str
    keys: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    models: str = r"(?!)"
    hosts: str = r"(?!)"
    needs_key_at: str = ""
    """The address at which a key is required; other addresses may be open servers."""


PROVIDERS: Final[tuple[Provider, ...]] = (
    Provider(
        "anthropic",
        keys=("ANTHROPIC_API_KEY",),
        addresses=("ANTHROPIC_BASE_URL",),
        models=r"claude",
        hosts=r"anthropic\.com",
        needs_key_at="https://api.anthropic.com",
    ),
    Provider(
        "openai",
        keys=("OPENAI_API_KEY",),
        addresses=("OPENAI_BASE_URL",),
        models=r"gpt-|chatgpt-|o\d|ft:|codex",
        hosts=r"openai\.(com|azure\.com)",
        needs_key_at="https://api.openai.com/v1",
    ),
    Provider(
        "gemini",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        models=r"gemini|gemma-.*-it$",
        hosts=r"generativelanguage\.googleapis\.com",
        needs_key_at="https://generativelanguage.googleapis.com",
    ),
    Provider("ollama", addresses=("OLLAMA_BASE_URL", "OLLAMA_HOST"), models=r"[^:]+:[^:]+$", hosts=r":11434"),
    Provider("scripted"),
    Provider("local"),
)
"""In the order in which keys in the environment are looked at."""

IDLE: Final[Mapping[str, frozenset[str]]] = {
    "gemini": frozenset(("parallel_tool_calls",)),
    "scripted": frozenset(
        ("temperature", "max_tokens", "thinking", "timeout", "connect_timeout", "headers", "proxy", "ca_bundle",
         "parallel_tool_calls")
    ),
}  # fmt: skip
"""Settings that every model may have and that these providers cannot follow."""

BY_NAME: Final[Mapping[str, Provider]] = {provider.name: provider for provider in PROVIDERS}


def detect(llm: Mapping[str, Any], environment: Environment) -> str:
    """The provider of a model that names none: by its own keys, then by what the environment offers, else ollama."""
    if "rules" in llm:
        return "scripted"
    if "path" in llm:
        return "local"
    address, model = str(llm.get("base_url", "")), str(llm.get("model", ""))
    for provider in PROVIDERS:
        if re.search(provider.hosts, address) or re.match(provider.models, model):
            return provider.name
    if address:
        return "openai"
    return from_keys(environment) or "ollama"


def from_keys(environment: Environment) -> str:
    """The first provider with a key in the environment, or the empty text."""
    return next((provider.name for provider in PROVIDERS if environment.first(provider.keys)), "")


def complete(llm: dict[str, Any], environment: Environment) -> None:
    """Put in what may be left out: provider, key and address."""
    if not llm.get("provider"):
        llm["provider"] = detect(llm, environment)
    provider = BY_NAME.get(str(llm["provider"]))
    if provider is None:
        return
    if isinstance(key := llm.get("api_key"), str):
        llm["api_key"] = key.strip()  # secrets that are mounted as files often end in a line break
    if not llm.get("api_key") and (key := environment.first(provider.keys)):
        llm["api_key"] = key
    if not llm.get("base_url") and (address := address_of(provider, environment)):
        llm["base_url"] = address


def address_of(provider: Provider, environment: Environment) -> str:
    """The address that the environment names, or the empty text.

    OLLAMA_HOST may be a bare host, and 0.0.0.0 is an address to listen on, not one to call.
    """
    text = environment.first(provider.addresses)
    if not text:
        return ""
    text = text if "://" in text else f"http://{text}"
    scheme, _, rest = text.rstrip("/").partition("://")
    rest = rest.replace("0.0.0.0", "127.0.0.1", 1)  # noqa: S104 - compared, not bound
    return f"{scheme}://{rest}" if ":" in rest or scheme == "https" or "/" in rest else f"{scheme}://{rest}:11434"


def lacks_key(llm: Mapping[str, Any]) -> Provider | None:
    """The provider, if it wants a key at this address and there is none."""
    provider = BY_NAME.get(str(llm.get("provider")))
    if provider is None or not provider.needs_key_at or llm.get("api_key"):
        return None
    address = str(llm.get("base_url") or provider.needs_key_at).rstrip("/")
    return provider if address == provider.needs_key_at else None
