"""Configurations written to real files, and what the loader finds in them."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from textwrap import dedent

from hector.config.agents import LlmAgent
from hector.config.environment import Environment
from hector.config.findings import Finding, InvalidConfig, dotted
from hector.config.load import Loaded, load_config
from hector.config.root import HectorConfig

KEYS: Mapping[str, str] = {"ANTHROPIC_API_KEY": "a-key", "OPENAI_API_KEY": "o-key", "GEMINI_API_KEY": "g-key"}


def write(folder: Path, text: str, name: str = "hector.yaml") -> Path:
    """The text, without its common indentation, as a file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text).removeprefix("\n"), encoding="utf-8")
    return path


def surroundings(folder: Path, env: Mapping[str, str] | None = None) -> MutableMapping[str, str]:
    """Variables with keys for every provider and a home without .env files."""
    return {**(KEYS if env is None else env), "HOME": str(folder / "nobody")}


def loaded(folder: Path, text: str, env: Mapping[str, str] | None = None, name: str = "hector.yaml") -> Loaded:
    """The text as a loaded file."""
    return load_config(write(folder, text, name), Environment(surroundings(folder, env)))


def config(folder: Path, text: str, env: Mapping[str, str] | None = None, name: str = "hector.yaml") -> HectorConfig:
    """The text as a configuration."""
    return loaded(folder, text, env, name).config


def problem(folder: Path, text: str, env: Mapping[str, str] | None = None, name: str = "hector.yaml") -> InvalidConfig:
    """What the loader raises for the text."""
    try:
        loaded(folder, text, env, name)
    except InvalidConfig as error:
        return error
    raise AssertionError("the configuration was accepted")


def errors(folder: Path, text: str, env: Mapping[str, str] | None = None, name: str = "hector.yaml") -> list[Finding]:
    """The mistakes in the text."""
    return list(problem(folder, text, env, name).errors)


def brief(finding: Finding) -> str:
    """`line:column kind path`: enough to compare, independent of the wording."""
    place = f"{finding.position.line}:{finding.position.column}" if finding.position else "-"
    return f"{place} {finding.kind} {dotted(finding.where)}".rstrip()


def llm_agent(found: HectorConfig, name: str) -> LlmAgent:
    """An agent that is run by a model."""
    agent = found.agents[name]
    assert isinstance(agent, LlmAgent)
    return agent
