"""From what a program says to the configuration: one document, checked as a file is."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from hector.api.agent import Agent, Function
from hector.config.environment import Environment
from hector.config.load import Loaded, load_config, parse_config
from hector.config.source import parse
from hector.core.errors import ConfigError
from hector.core.hooks import Hooks
from hector.tools.catalog import Catalog

PROGRAM: Final = "the program"


def all_agents(agents: Iterable[Agent]) -> dict[str, Agent]:
    """These and those that come along with them, by id. Raises ConfigError for two of one name."""
    found: dict[str, Agent] = {}
    waiting = list(agents)
    while waiting:
        one = waiting.pop(0)
        if found.setdefault(one.id, one) is not one:
            raise ConfigError(f"two agents are called {one.id!r}; give one of them another id")
        waiting += [other for other in one.others if found.get(other.id) is not other]
    return found


def catalog_of(functions: Iterable[Function], agents: Mapping[str, Agent], hooks: Mapping[str, Hooks]) -> Catalog:
    """The functions and hooks of a program. Raises ConfigError for two functions of one name."""
    known: dict[str, Function] = {}
    for function in (*functions, *(one for agent in agents.values() for one in agent.functions)):
        if known.setdefault(function.__name__, function) is not function:
            raise ConfigError(f"two tools are called {function.__name__!r}; rename one of them")
    own = {name: agent.hooks for name, agent in agents.items() if agent.hooks != Hooks()}
    if twice := own.keys() & hooks.keys():
        raise ConfigError(f"agent {min(twice)!r} has callbacks of its own already; put them all in one place")
    return Catalog(known.values(), {**own, **hooks})


def loaded_of(
    path: Path | None, blocks: Mapping[str, Any], agents: Mapping[str, Agent], catalog: Catalog, env: Environment
) -> Loaded:
    """The configuration of the file, if there is one, with what the program adds. Raises InvalidConfig, ConfigError."""
    own: dict[str, Any] = {**blocks}
    if agents:
        own["agents"] = {**own.get("agents", {}), **{name: agent.section for name, agent in agents.items()}}
        entries = {one.__name__: {"handler": one.__name__} for agent in agents.values() for one in agent.functions}
        if entries:
            own["tools"] = {**entries, **own.get("tools", {})}
    if path is not None and not own:
        return load_config(path, env, handlers=catalog)
    document = _joined(_file(path), _plain(own))
    text = json.dumps(document)
    name = PROGRAM if path is None else f"{path} with what the program adds"
    return parse_config(text, name, env, path=path, handlers=catalog, is_json=True)


def _file(path: Path | None) -> dict[str, Any]:
    """What a file says, variables not filled in yet. Raises ConfigError."""
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    document = parse(text, str(path), is_json=path.suffix == ".json")
    if any(finding.severity == "error" for finding in document.findings):
        load_config(path)  # says what is wrong with it
    return document.value


def _joined(file: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Blocks of both. Raises ConfigError for one that both have: neither is meant to hide the other."""
    found = dict(file)
    for name, block in own.items():
        before = found.get(name)
        if isinstance(before, dict) and isinstance(block, dict):
            if twice := before.keys() & block.keys():
                raise ConfigError(f"{name}.{min(twice)} is in the file and in the program; leave one of them out")
            found[name] = {**before, **block}
        elif name in found:
            raise ConfigError(f"{name} is in the file and in the program; leave one of them out")
        else:
            found[name] = block
    return found


def _plain(value: Any) -> Any:
    """As JSON has it, with every text meant as it stands: nothing is filled in for a dollar sign."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value
