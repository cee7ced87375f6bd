"""What this version lacks is refused by name, wherever it is written; what is switched off is not."""

from pathlib import Path

import pytest

from hector.config.planned import KEYS, VALUES
from tests.config.sample import brief, config, errors

ROWS = [
    pytest.param(row.pattern, id=row.pattern)
    for row in KEYS
]  # fmt: skip


def _yaml(pattern: str, value: str) -> str:
    """A file in flow style that holds one value at a path."""
    text = value
    for step in reversed(pattern.split(".")):
        text = f"{{{'x' if step == '*' else step}: {text}}}"
    return text


@pytest.mark.proves("config.unbuilt-refused")
@pytest.mark.parametrize("pattern", ROWS)
def test_planned_keys(tmp_path: Path, pattern: str) -> None:
    found = errors(tmp_path, _yaml(pattern, "7"))
    planned = [finding for finding in found if finding.kind == "planned"]
    assert [".".join("*" if step == "x" else str(step) for step in finding.where) for finding in planned] == [pattern]
    assert "not available in this version" in planned[0].message
    assert not [finding for finding in found if finding.kind == "unknown"]


@pytest.mark.proves("config.unbuilt-refused")
@pytest.mark.parametrize("row", VALUES, ids=lambda row: row.pattern)
def test_planned_values(tmp_path: Path, row: object) -> None:
    from hector.config.planned import PlannedValue

    assert isinstance(row, PlannedValue)
    for value in row.values:
        (finding,) = errors(tmp_path, _yaml(row.pattern, value))
        assert (finding.kind, value in finding.message) == ("planned", True)


@pytest.mark.parametrize(
    "text",
    [
        "agents: {a: {sub_agents: [], agent_tools: [], include_context: false, guardrails: ''}}",
        "agents: {a: {reasoning: {enable_exit_tool: false}, context: {strategy: none}}}",
        "tools: {t: {handler: ask_user, require_approval: false}}",
        "guardrails: {}\nvector_stores: {}\nrate_limiting: {enabled: false}\n",
        "server: {auth: {enabled: false}, tls: {enabled: false}, transport: json-rpc}",
        "storage: {checkpoint: {enabled: false}}",
    ],
)
def test_what_is_switched_off_asks_for_nothing(tmp_path: Path, text: str) -> None:
    config(tmp_path, text)


def test_zero_is_not_nothing(tmp_path: Path) -> None:
    assert errors(tmp_path, "agents: {a: {guardrails: 0}}")[0].kind == "planned"


def test_references_to_what_was_refused_are_no_further_mistakes(tmp_path: Path) -> None:
    text = "llms: {g: {provider: groq}}\nagents: {a: {llm: g}}\n"
    assert [brief(finding) for finding in errors(tmp_path, text)] == ["1:22 planned llms.g.provider"]


SEED_PARTS = [
    "agents:\n  processor:\n    llm: default\n    notifications:\n      - id: slack-notify\n",
    "guardrails:\n  default:\n    input:\n      length:\n        max_length: 50000\n",
]


@pytest.mark.proves("config.unbuilt-refused")
@pytest.mark.parametrize("text", SEED_PARTS)
def test_the_product_descriptions_later_blocks(tmp_path: Path, text: str) -> None:
    assert {finding.kind for finding in errors(tmp_path, text)} == {"planned"}
