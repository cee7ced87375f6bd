"""The system text is made of its parts, in order."""

import pytest

from hector.agents.prompt import TOOL_RELIABILITY, compose
from hector.config.agents import LlmAgent

PARTS = {
    "global_instruction": "everywhere",
    "instruction": "do this for {user:name}",
    "prompt": {"role": "you are", "guidance": "go about it so"},
    "reasoning": {"completion_instruction": "end so"},
}


@pytest.mark.proves("agents.prompt")
@pytest.mark.parametrize(
    ("changes", "has_tools", "expected"),
    [
        ({}, False, ["everywhere", "you are", "do this for Ada", "go about it so", "end so"]),
        ({}, True, ["everywhere", "you are", "do this for Ada", "go about it so", "end so", TOOL_RELIABILITY]),
        (
            {"disable_safety_protocols": True, "prompt": {}, "global_instruction": ""},
            True,
            ["do this for Ada", "end so"],
        ),
        ({"prompt": {"system_prompt": "only this"}, "reasoning": {}}, False, ["everywhere", "only this"]),
        ({"instruction": "{temp:nothing?}", "prompt": {}, "reasoning": {}}, False, ["everywhere"]),
    ],
    ids=["all parts", "with tools", "without the line for tools", "system prompt", "a part that comes out empty"],
)
def test_parts_stand_in_order(changes: dict[str, object], has_tools: bool, expected: list[str]) -> None:
    agent = LlmAgent.model_validate(PARTS | changes)
    text = compose(agent, has_tools=has_tools).render({"user:name": "Ada"})
    assert text.split("\n\n") == expected
