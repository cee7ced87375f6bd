"""What agents say of each other is checked before anything runs."""

from pathlib import Path

import pytest

from hector.apps.build import build
from hector.config.findings import Finding, dotted
from hector.tools.catalog import Catalog
from tests.config.sample import config, errors, llm_agent, loaded


def place(finding: Finding) -> str:
    """`line kind path`."""
    assert finding.position
    return f"{finding.position.line} {finding.kind} {dotted(finding.where)}"


THREE = "agents:\n  a: {%s}\n  b: {%s}\n  c: {%s}\n"


@pytest.mark.proves("agents.together.config")
@pytest.mark.parametrize(
    ("a", "b", "c", "expected", "text"),
    [
        ("agent_tools: [bb]", "", "", "2 reference agents.a.agent_tools[0]", "there is no agent 'bb'"),
        ("sub_agents: [x, b]", "", "", "2 reference agents.a.sub_agents[0]", "there is no agent 'x'"),
        ("agent_tools: 'b, zz'", "", "", "2 reference agents.a.agent_tools", "there is no agent 'zz'"),
        ("agent_tools: [a]", "", "", "2 cycle agents.a.agent_tools[0]", "in a circle: a -> a"),
        (
            "agent_tools: [b]",
            "agent_tools: [c]",
            "agent_tools: [a]",
            "4 cycle agents.c.agent_tools[0]",
            "in a circle: a -> b -> c -> a",
        ),
        (
            "agent_tools: [b]",
            "agent_tools: [c]",
            "agent_tools: [b]",
            "4 cycle agents.c.agent_tools[0]",
            "in a circle: b -> c -> b",
        ),
        ("sub_agents: [a]", "", "", "2 reference agents.a.sub_agents[0]", "its own sub-agent"),
        ("agent_tools: [b, b]", "", "", "2 duplicate agents.a.agent_tools[1]", "twice"),
        (
            "agent_tools: [ask_user]",
            "",
            "}\n  ask_user: {",
            "2 duplicate agents.a.agent_tools[0]",
            "would be the same to the model",
        ),
        ("delegation: {max_depth: 0}", "", "", "2 range agents.a.delegation.max_depth", "from 1 to 20"),
        ("delegation: {max_deep: 2}", "", "", "2 unknown agents.a.delegation.max_deep", "max_deep"),
    ],
)
def test_a_mistake(tmp_path: Path, a: str, b: str, c: str, expected: str, text: str) -> None:
    tools = "tools: [ask_user], " if "ask_user" in a else ""
    (finding,) = errors(tmp_path, THREE % (a if not tools else f"{a}, tools: [ask_user]", b, c))
    assert place(finding) == expected
    assert text in f"{finding.message} {finding.allowed} {finding.hint}"


@pytest.mark.proves("tools.agenttool")
def test_lists_of_tools_may_name_the_family(tmp_path: Path) -> None:
    found = config(tmp_path, "agents:\n  a: {tools: [agenttool, ask_user], agent_tools: [b]}\n  b: {tools: []}\n")
    assert list(build(found, Catalog()).agents["a"].kit.tools) == ["ask_user"]
    assert list(build(found, Catalog()).agents["a"].kit.delegates) == ["b"]
    (finding,) = errors(tmp_path, "agents:\n  a: {tools: [transfer_to_agent]}\n")
    assert place(finding) == "2 reference agents.a.tools[0]"
    assert "agents.a names none there" in finding.message


@pytest.mark.proves("agents.together.config")
def test_the_nearest_name_is_suggested(tmp_path: Path) -> None:
    (finding,) = errors(tmp_path, "agents:\n  a: {agent_tools: [reseacher]}\n  researcher: {}\n")
    assert "researcher" in finding.hint


@pytest.mark.proves("agents.together.config")
def test_names_of_tools_and_agents_are_kept_apart(tmp_path: Path) -> None:
    tools = "tools:\n  b: {handler: ask_user}\n  transfer_to_c: {handler: ask_user}\n"
    found = errors(tmp_path, f"{tools}agents:\n  a: {{agent_tools: [b], sub_agents: [c]}}\n  b: {{}}\n  c: {{}}\n")
    assert [place(finding) for finding in found] == [
        "5 duplicate agents.a.agent_tools[0]",
        "5 duplicate agents.a.sub_agents[0]",
    ]
    assert "limit agents.a.tools" in found[0].hint
    config(tmp_path, f"{tools}agents:\n  a: {{agent_tools: [b], sub_agents: [c], tools: []}}\n  b: {{}}\n  c: {{}}\n")
    back = "tools:\n  transfer_to_a: {handler: ask_user}\nagents:\n  a: {tools: [], sub_agents: [b]}\n  b: {%s}\n"
    (finding,) = errors(tmp_path, back % "")
    assert "agents.b has a tool transfer_to_a, too" in finding.message
    config(tmp_path, back % "disallow_transfer_to_parent: true")
    (finding,) = errors(tmp_path, f"agents:\n  a: {{sub_agents: [{'x' * 60}]}}\n  {'x' * 60}: {{}}\n")
    assert "more than 64 characters" in finding.message


@pytest.mark.proves("agents.together.config")
def test_conversations_may_go_in_circles(tmp_path: Path) -> None:
    found = config(tmp_path, THREE % ("sub_agents: [b]", "sub_agents: [a, c], agent_tools: [c]", "sub_agents: [a]"))
    assert llm_agent(found, "b").sub_agents == ("a", "c")
    assert found.agents["b"].delegation.max_transfers == 10


@pytest.mark.proves("agents.together.config")
def test_an_agent_without_a_description_is_pointed_out(tmp_path: Path) -> None:
    found = loaded(tmp_path, "agents:\n  a: {agent_tools: [b, c]}\n  b: {}\n  c: {description: Counts.}\n")
    assert [place(finding) for finding in found.warnings] == ["3 missing agents.b"]
