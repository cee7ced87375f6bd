"""Which model is at hand, for a configuration that is about to be made."""

import importlib.util
import json
import shutil
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from hector.config.environment import Environment
from hector.config.findings import Finding, InvalidConfig
from hector.config.modelfile import find_model
from hector.config.providers import BY_NAME, address_of, from_keys
from hector.config.translate import suggest
from hector.core.record import dataclass

PROBE_SECONDS: Final = 1.0
ALL: Final = "all"
"""In place of names of tools: what `every_tool` gives."""
_EVERY: Final = (
    "ask_user", "request_approval", "current_time", "todo_write", "save_artifact", "list_artifacts", "load_artifact",
    "filetool", "bash", "web_fetch", "web_request",
)  # fmt: skip
_SEARCH_KEY: Final = "TAVILY_API_KEY"

Probe = Callable[[str], Sequence[str] | None]
"""Base address of an Ollama server -> its models; None where nothing answers."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for; empty or None where nothing was said."""

    provider: str = ""
    model: str = ""
    api_key: str = field(default="", repr=False)
    base_url: str = ""
    instruction: str = ""
    tools: tuple[str, ...] | None = None
    name: str = ""
    docs_folder: str = ""

    @classmethod
    def of(cls, flags: Any) -> "Wishes":
        """From parsed flags (`add_wish_arguments`)."""
        tools = getattr(flags, "tools", None)
        texts = {
            name: getattr(flags, name, None) or ""
            for name in ("model", "api_key", "base_url", "instruction", "name", "docs_folder")
        }
        return cls(
            provider=(getattr(flags, "provider", None) or "").strip().lower(),
            tools=None if tools is None else _tool_list(tools),
            **texts,
        )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How to find out what is at hand; replaced in tests."""

    ollama: Probe = field(default_factory=lambda: probe_ollama)
    local_model: Callable[[], Path | None] | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider with its model, and why it was chosen."""

    provider: str
    model: str = ""
    reason: str = ""


def _tool_list(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return names or (ALL,)


def every_tool(environment: Environment) -> tuple[str, ...]:
    """What an assistant can use as it is: no tools of flows, and none that cannot work without more settings."""
    return (*_EVERY, "web_search") if environment.first([_SEARCH_KEY]) else _EVERY


def probe_ollama(address: str) -> Sequence[str] | None:
    """The models of an Ollama server, or None where there is none within a second."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address.rstrip('/')}/api/tags", timeout=PROBE_SECONDS) as answer:
            models = json.load(answer)["models"]
            return [str(model["name"]) for model in models]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def usable_model(environment: Environment) -> Path | None:
    """A model file on this machine, if there is also a program to run it."""
    runs = shutil.which("llama-server") or importlib.util.find_spec("xllamacpp")
    home = environment.get("HOME")
    return find_model(environment.variables, Path(home) if home else None) if runs else None


def choose(wishes: Wishes, environment: Environment, around: Surroundings | None = None) -> Choice | None:
    """Flag, keys in the environment, a reachable Ollama, a local model file; None if there is nothing of all this.

    Raises InvalidConfig for a provider that does not exist.
    """
    around = around or Surroundings()
    if wishes.provider:
        return _wished(wishes, environment, around)
    if provider := from_keys(environment):
        key = next(name for name in BY_NAME[provider].keys if environment.first([name]))
        return Choice(provider, wishes.model, f"{key} is set")
    address = ollama_address(environment)
    if models := around.ollama(address):
        return Choice("ollama", wishes.model or models[0], f"Ollama answers at {address}")
    find = around.local_model or (lambda: usable_model(environment))
    if path := find():
        return Choice("local", wishes.model, f"a model file was found: {path.name}")
    return None


def _wished(wishes: Wishes, environment: Environment, around: Surroundings) -> Choice:
    if wishes.provider not in BY_NAME:
        names = ", ".join(BY_NAME)
        raise InvalidConfig(
            [Finding("type", "--provider is wrong", found=repr(wishes.provider), allowed=names,
                     hint=suggest(wishes.provider, BY_NAME))]
        )  # fmt: skip
    model = wishes.model
    if wishes.provider == "ollama" and not model:
        model = next(iter(around.ollama(wishes.base_url or ollama_address(environment)) or ()), "")
    return Choice(wishes.provider, model, "asked for")


def ollama_address(environment: Environment) -> str:
    """Where Ollama is looked for."""
    return address_of(BY_NAME["ollama"], environment) or "http://localhost:11434"
