"""Whatever stands in a file, the answer is a configuration or a list of findings: never another exception."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hector.config.findings import InvalidConfig, compact, verbose
from hector.config.load import parse_config
from hector.config.planned import KEYS as PLANNED
from hector.config.translate import describe
from tests.config.sample import KEYS

ROOT = Path(__file__).parents[2]
ODD: list[Any] = [
    None,
    True,
    0,
    -1.5,
    "",
    "x",
    "${NOPE}",
    [],
    [None],
    [[1]],
    {},
    {"a": {"b": [None]}},
    {"": ""},
    ["x", {}],
]
BROAD = """
version: 2
name: n
defaults: {llm: s}
llms:
  s: {provider: scripted, rules: [{user: x, text: y, tool_calls: [{name: t, args: {a: 1}}], error: {status: 500}}]}
  o: {provider: openai, thinking: {effort: low}, headers: {a: b}, retry: {max_attempts: 2}}
agents:
  a:
    llm: s
    tools: [t, ask_user]
    prompt: {role: r}
    skills: [{id: i, tags: [t]}]
    reasoning: {max_iterations: 3}
    context: {strategy: none}
    structured_output: {schema: {type: object}}
    input_modes: [text/plain]
tools: {t: {type: function, handler: ask_user, parameters: {a: 1}, timeout: 5s}}
server: {port: 1, max_body_bytes: 1MiB, tasks: {backend: inmemory}}
databases: {d: {driver: sqlite, database: x.db}}
storage: {sessions: {backend: inmemory}}
logger: {level: info}
"""


def places(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield where
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from places(inner, (*where, step))


def replaced(value: Any, where: tuple[Any, ...], new: Any) -> Any:
    if not where:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[where[0]] = replaced(value[where[0]], where[1:], new)
    return copy


def outcome(text: str, name: str = "x.json") -> InvalidConfig | None:
    """None if it is right. Everything else but InvalidConfig is a failure of the test."""
    try:
        parse_config(text, name, {**KEYS, "HOME": "/nonexistent"})
    except InvalidConfig as error:
        caught = error
    else:
        return None
    assert caught.errors
    assert compact(caught.findings)
    assert verbose(caught.findings, caught.source)
    return caught


def test_the_broad_file_is_right() -> None:
    assert outcome(BROAD, "x.yaml") is None


@pytest.mark.proves("config.errors")
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_an_odd_value_anywhere(odd: Any) -> None:
    data = yaml.safe_load(BROAD)
    for where in places(data):
        error = outcome(json.dumps(replaced(data, where, odd)))
        assert error is None or all(finding.position for finding in error.errors), where


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_an_odd_value_under_every_planned_key(odd: Any) -> None:
    for row in PLANNED:
        value = odd
        for step in reversed(row.pattern.split(".")):
            value = {"x" if step == "*" else step: value}
        outcome(json.dumps(value))


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_a_file_that_is_cut_off_anywhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for end in range(0, len(text), 19):
        outcome(text[:end], "x.yaml")


def test_lines_in_any_order() -> None:
    lines = BROAD.splitlines()
    for shift in range(len(lines)):
        outcome("\n".join(lines[shift:] + lines[:shift]), "x.yaml")
        outcome("\n".join(lines[:shift] + lines[shift + 1 :]), "x.yaml")


def test_a_field_without_a_description_has_nothing_to_say() -> None:
    assert describe(None) == ""
