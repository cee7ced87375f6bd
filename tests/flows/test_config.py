"""What is said of agents that run others by a plan is checked when the file is read."""

from pathlib import Path

import pytest

from tests.config.sample import brief, config, errors

LLM = "one: {}, two: {}"


@pytest.mark.proves("config.agent-types")
@pytest.mark.parametrize(
    ("agents", "expected", "said"),
    [
        ("a: {type: sequential}", "1:10 missing agents.a.sub_agents", ""),
        ("a: {type: sequential, sub_agents: []}", "1:44 range agents.a.sub_agents", "not be empty"),
        ("a: {type: sequential, sub_agents: [x]}", "reference agents.a.sub_agents[0]", "no agent 'x'"),
        ("a: {type: sequentail, sub_agents: [one]}", "type agents.a.type", "sequential"),
        ("a: {type: sequential, sub_agents: [one], llm: m}", "unknown agents.a.llm", "agents of type llm; this one is"),
        ("a: {type: sequential, sub_agents: [one], max_iterations: 3}", "unknown agents.a.max_iterations", "type loop"),
        ("a: {max_iterations: 3}", "unknown agents.a.max_iterations", "type loop"),
        ("a: {type: loop, sub_agents: [one], max_iterations: 1001}", "range agents.a.max_iterations", "out of range"),
        ("a: {type: loop, sub_agents: [one], output_key: 'temp:x'}", "range agents.a.output_key", ""),
        ("a: {type: parallel, sub_agents: [one, one]}", "duplicate agents.a.sub_agents[1]", "twice"),
        ("a: {type: loop, sub_agents: [a]}", "cycle agents.a.sub_agents[0]", "a -> a"),
        ("a: {type: loop, sub_agents: [b]}, b: {agent_tools: [c]}, c: {sub_agents: [a]}", "cycle", "a -> b -> c -> a"),
        ("a: {type: conditional, on_true_agent: one}", "missing agents.a.condition_agent", ""),
        ("a: {type: conditional, condition_agent: x, on_true_agent: one}", "reference agents.a.condition_agent", "'x'"),
        ("a: {type: conditional, condition_agent: one}", "missing agents.a", "nothing is said to follow"),
        (
            "a: {type: conditional, condition_agent: one, on_true_agent: two, on_true_response: x}",
            "duplicate agents.a.on_true_response", "cannot both",
        ),
        (
            "a: {type: conditional, condition_agent: one, cases: {x: {}}}",
            "missing agents.a.cases.x", "an agent or a response",
        ),
        (
            "a: {type: conditional, condition_agent: one, cases: {x: nobody}}",
            "reference agents.a.cases.x", "'nobody'",
        ),
        (
            "a: {type: conditional, condition_agent: one, cases: {x: one}, condition_value: y}",
            "duplicate agents.a.cases", "no true side",
        ),
        ("a: {type: conditional, condition_agent: one, on_false_agent: a, on_true_agent: two}", "cycle", "a -> a"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_and_said(tmp_path: Path, agents: str, expected: str, said: str) -> None:
    found = [one for one in errors(tmp_path, f"agents: {{{agents}, {LLM}}}") if one.severity == "error"]
    assert [brief(one) for one in found if expected in brief(one)], [brief(one) for one in found]
    assert any(said in f"{one.message} {one.allowed} {one.hint}" for one in found)
    assert len(found) == 1


@pytest.mark.proves("config.agent-types")
def test_a_workflow_of_older_files_is_a_type(tmp_path: Path) -> None:
    found = config(tmp_path, f"agents: {{a: {{workflow: sequential, sub_agents: 'one, two, one'}}, {LLM}}}")
    assert found.agents["a"].type == "sequential"


@pytest.mark.proves("config.agent-types")
def test_agents_of_all_types_name_no_model(tmp_path: Path) -> None:
    text = "llms: {m: {provider: scripted, rules: []}}\nagents: {a: {type: loop, sub_agents: [one]}, one: {}}"
    found = config(tmp_path, text)
    assert not hasattr(found.agents["a"], "llm")
