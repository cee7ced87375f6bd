"""Tools are put into words once for as long as the same ones are offered, and what is sent is the same either way."""

import json
from collections.abc import AsyncIterator

import pytest

from hector.agents.kit import Kit, delegate, handover
from hector.config.llm_anthropic import AnthropicLlm
from hector.core.content import Message, Text, ToolCall, ToolResult, user
from hector.core.ports import ModelRequest, Offer, OutputSchema, ToolSpec, ToolSpecs, once
from hector.models.anthropic import AnthropicWire
from hector.models.names import wire_names
from hector.models.wording import worded
from hector.tools.function import function_tool
from tests.models.fakeprovider import FakeProvider, fake_provider
from tests.models.formats import FORMATS, Format

CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
TOOLS = (
    ToolSpec("plain", "Fits strict modes – as it is.", CLOSED),
    ToolSpec("fs.read/file", "", {"$schema": "x", "type": "object", "properties": {"p": {"$ref": "#/$defs/P"}}}),
    ToolSpec("bare", "Half a character: \ud83d", {}),
)
ASKED = ModelRequest("Be brief.", [user("hi")], TOOLS)


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as server:
        yield server


@pytest.mark.proves("models.tools")
@pytest.mark.parametrize("wire", FORMATS, ids=lambda found: found.name)
async def test_the_same_is_sent_whether_words_are_kept_or_not(wire: Format, fake: FakeProvider) -> None:
    model, kept = wire.model(fake.url), ToolSpecs(TOOLS)
    past = (ToolCall("c1", "fs_read_file", {}), ToolCall("c2", "gone.tool", {}))
    results = Message("tool", tuple(ToolResult(call.id, call.name, (Text("ok"),)) for call in past))
    shape = OutputSchema({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
    for messages, output in (
        ([user("hi")], None),
        ([user("hi"), Message("assistant", past), results], None),  # a name of the past collides with one on offer
        ([user("hi")], shape),
        ([user("hi")], None),
    ):
        sent = []
        for tools in (TOOLS, kept):
            before = len(fake.seen)
            await model.complete(ModelRequest("Be brief.", messages, tools, output=output))
            sent.append([seen.body.get("tools") for seen in fake.seen[before:]])
        assert sent[0] == sent[1]
        assert "fs_read_file" in json.dumps(sent[1])
    await model.aclose()


def test_words_depend_on_the_form_and_on_names_that_the_conversation_has_taken() -> None:
    asked = ModelRequest("", [user("hi")], ToolSpecs(TOOLS))
    calls = Message("assistant", (ToolCall("1", "fs_read_file", {}),))
    later = ModelRequest("", [user("hi"), calls], asked.tools)
    names, others = wire_names(asked), wire_names(later)
    assert names is wire_names(asked)
    assert names["fs.read/file"] != others["fs.read/file"]

    def write(tool: ToolSpec) -> dict[str, str]:
        return {"name": tool.name}

    first = worded(asked, names, ("a", True), write)
    assert worded(asked, names, ("a", True), write) is first
    assert worded(asked, names, ("a", False), write) is not first
    assert worded(later, others, ("a", True), write) is not first
    assert json.loads(first.text) == first.tools
    assert worded(ASKED, names, "a", write) is not worded(ASKED, names, "a", write), "nothing is kept with a mere list"


def test_the_mark_for_the_cache_stands_behind_tools_only_where_there_is_no_system_text() -> None:
    wire, tools = AnthropicWire(AnthropicLlm(api_key="k"), "main"), ToolSpecs(TOOLS)
    for system, dropped in (("", ()), ("Be brief.", ()), ("", ("cache_control",)), ("", ())):
        call = wire.encode(ModelRequest(system, [user("hi")], tools), stream=False, dropped=frozenset(dropped))
        marked = not system and not dropped
        assert ("cache_control" in call.body["tools"][-1]) is marked
        assert json.loads(call.document) == json.loads(json.dumps(call.body).replace("\\ud83d", "?"))


def test_what_is_made_of_tools_stays_within_bounds() -> None:
    tools = ToolSpecs(TOOLS)
    for number in range(1000):
        assert once(tools, number, lambda number=number: number) == number  # type: ignore[misc]
    assert len(vars(tools)["_made"]) <= 32


def test_a_kit_is_the_same_for_the_same_offer() -> None:
    def work() -> None:
        """Work."""

    tool = function_tool(work, name="late")
    kit = Kit({}, {}, {"other": delegate("other", "")}).with_handovers({"transfer_to_b": handover("b", "")})
    assert [spec.name for spec in kit.specs] == ["transfer_to_b", "other"]
    assert kit.specs is kit.specs
    offer, changed = Offer({"late": tool}, {}), Offer({}, {})
    joined = kit.with_offer(offer)
    assert kit.with_offer(offer) is joined
    assert [spec.name for spec in joined.specs] == ["late", "transfer_to_b", "other"]
    assert kit.with_offer(changed).specs == kit.specs
    assert kit.with_offer(offer) is not joined, "only the last one is kept"
