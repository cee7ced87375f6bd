"""The demonstration: whatever one says, it shows its parts and says that no language model is running."""

from pathlib import Path

import pytest
import yaml

from hector.config.generate import DEMO
from hector.config.root import HectorConfig
from hector.core.content import Message, Text, Thinking, ToolResult, user
from hector.core.ports import ChatModel, ModelReply, ModelRequest
from hector.models.registry import create

EXAMPLE = Path(__file__).parents[2] / "examples" / "demo.yaml"


def model(path: Path) -> ChatModel:
    """The first model of a configuration, without pauses between words."""
    config = HectorConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    (name, llm), *_ = config.llms.items()
    quick = tuple(rule.with_changes(pace=0.0) for rule in getattr(llm, "rules", ()))
    return create(name, llm.with_changes(rules=quick))


async def turn(path: Path, text: str) -> tuple[list[ModelReply], str]:
    """All model replies until one calls no tool, and the last text."""
    messages = [user(text)]
    scripted = model(path)
    replies: list[ModelReply] = []
    while not replies or replies[-1].message.tool_calls:
        replies.append(await scripted.complete(ModelRequest("", messages)))
        message = replies[-1].message
        results = tuple(ToolResult(call.id, call.name, (Text("blue"),)) for call in message.tool_calls)
        messages += [message, Message("tool", results)]
    return replies, replies[-1].message.text


@pytest.mark.proves("serve.demo")
@pytest.mark.parametrize("text", ["hello", "help", "What is 1 + 1?", "ask me something", "", "line one\nline two", "?"])
async def test_every_answer_says_that_no_model_runs_and_how_to_get_one(text: str) -> None:
    replies, answer = await turn(DEMO, text)
    assert "no language model is running" in answer.lower()
    assert "`ANTHROPIC_API_KEY=... hector serve`" in answer or 'Say "help"' in answer


@pytest.mark.proves("serve.demo")
async def test_thinking_and_a_tool_call_are_shown() -> None:
    replies, _ = await turn(DEMO, "hello there")
    first = replies[0].message
    assert isinstance(first.parts[0], Thinking)
    (call,) = first.tool_calls
    assert (call.name, call.args["text"]) == ("save_artifact", "hello there")


@pytest.mark.proves("serve.demo", "models.scripted")
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what is 12 + 30", "12 + 30 = 42"),
        ("remember milk", 'Noted. "milk" is in note.txt now.'),
        ("overload", "The provider is back."),
        ("x", "I have no rule for that. No language model is running here."),
    ],
)
async def test_the_example_answers_as_it_says(text: str, answer: str) -> None:
    assert (await turn(EXAMPLE, text))[1] == answer
