"""What clients and operators are told of agents of all types."""

from pathlib import Path

import pytest

from hector.a2a.card import agent_card
from hector.cli.info import one_agent, tools_of
from hector.config.load import load_config
from tests.config.sample import surroundings

ROOT = Path(__file__).parents[2]


@pytest.mark.proves("config.agent-types", "a2a.cards")
@pytest.mark.parametrize("name", ["sequential", "loop", "parallel", "conditional", "runner", "remote"])
def test_there_is_a_card_and_a_description(tmp_path: Path, name: str) -> None:
    config = load_config(ROOT / "examples" / f"{name}.yaml", surroundings(tmp_path, {})).config
    assert name in {agent.type for agent in config.agents.values()}
    for agent_id, agent in config.agents.items():
        card = agent_card(config, agent_id, "http://x", legacy=False)
        assert all((card["name"], card["description"], card["skills"], card["defaultInputModes"]))
        facts = one_agent(config, agent_id)
        assert facts["type"] == agent.type
        assert ("model" in facts) is (agent.type == "llm")
        if agent.type not in {"llm", "runner"}:
            assert tools_of(config, agent) == ()
