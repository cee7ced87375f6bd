"""OpenAI's formats and Ollama's over real sockets: what is particular to them. What all formats share is in
test_conformance.py."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from hector.config.llm_ollama import OllamaLlm
from hector.config.llm_openai import OpenAiLlm
from hector.config.llms import Llm
from hector.config.thinking import Thinking as ThinkingConfig
from hector.core.content import Message, Text, Thinking, ToolResult, user
from hector.core.errors import ModelRejected, ModelUnavailable
from hector.core.event import TextDelta, ThinkingDelta
from hector.core.ports import ModelReply, ModelRequest, OutputSchema, ToolSpec
from hector.core.usage import FinishReason, Usage
from hector.models.registry import create
from tests.models.fakeprovider import USAGE, Call, FakeProvider, Turn, fake_provider

NOW = ToolSpec("now", "Tells the time.", {"type": "object", "properties": {}})
SHAPE = OutputSchema({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
BONN = '{"city": "Bonn"}'


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as server:
        yield server


def chat(fake: FakeProvider, **settings: Any) -> OpenAiLlm:
    return OpenAiLlm(**{"base_url": f"{fake.url}/v1", "api": "chat", "model": "qwen3:8b", **settings})


def ollama(fake: FakeProvider, **settings: Any) -> OllamaLlm:
    return OllamaLlm(**{"base_url": fake.url, "model": "qwen3:8b", **settings})


def ask(*messages: Message, **more: Any) -> ModelRequest:
    return ModelRequest("Be brief.", messages or (user("hi"),), **more)


async def stream(llm: Llm, asked: ModelRequest) -> tuple[str, str, ModelReply]:
    """(streamed answer, streamed thinking, reply)"""
    answer: list[str] = []
    thinking: list[str] = []
    replies: list[ModelReply] = []
    model = create("main", llm)
    async with aclosing(model.stream(asked)) as items:
        async for item in items:
            if isinstance(item, ModelReply):
                replies.append(item)
                continue
            answer += [delta.text for delta in item if isinstance(delta, TextDelta)]
            thinking += [delta.text for delta in item if isinstance(delta, ThinkingDelta)]
    await model.aclose()
    assert len(replies) == 1
    return "".join(answer), "".join(thinking), replies[0]


def bodies(fake: FakeProvider) -> list[Any]:
    return [seen.body for seen in fake.seen]


# what a model refuses is left out


@pytest.mark.proves("models.strip-and-retry", "models.openai.chat")
async def test_the_output_limit_is_renamed(fake: FakeProvider) -> None:
    """A gateway in front of OpenAI: its host does not tell which name the model wants."""
    answer, _, _ = await stream(chat(fake, model="gpt-6.2-sol", max_tokens=50), ask())
    assert answer == "echo: hi"
    assert ["max_tokens" in body for body in bodies(fake)] == [True, False]
    assert bodies(fake)[1]["max_completion_tokens"] == 50


@pytest.mark.proves("models.strip-and-retry", "models.openai.chat")
async def test_tools_turn_reasoning_off_when_the_server_insists(fake: FakeProvider) -> None:
    thinking = ThinkingConfig(effort="high")
    answer, _, _ = await stream(chat(fake, model="gpt-6.2-sol", thinking=thinking), ask(tools=(NOW,)))
    assert answer == "echo: hi"
    assert [body["reasoning_effort"] for body in bodies(fake)] == ["high", "none"]


@pytest.mark.proves("models.strip-and-retry")
@pytest.mark.parametrize(
    ("refused", "settings"),
    [
        ("stream_options", {}),
        ("parallel_tool_calls", {"parallel_tool_calls": True}),
        ("reasoning_effort", {"thinking": ThinkingConfig(effort="low")}),
        ("max_tokens", {"max_tokens": 9}),
    ],
)
async def test_refused_parameters_are_remembered(fake: FakeProvider, refused: str, settings: dict[str, Any]) -> None:
    fake.script(Turn(status=400, message=f"Unknown parameter: '{refused}'.", param=refused))
    model = create("main", chat(fake, **settings))
    for _ in range(2):
        async with aclosing(model.stream(ask(tools=(NOW,)))) as items:
            async for _ in items:
                pass
    await model.aclose()
    assert [refused in body for body in bodies(fake)] == [True, False, False]
    assert not fake.refusals


@pytest.mark.proves("models.strip-and-retry", "models.ollama")
async def test_a_model_without_tools_or_thinking(fake: FakeProvider) -> None:
    llm = ollama(fake, model="phi", thinking=ThinkingConfig())
    answer, _, _ = await stream(llm, ask(tools=(NOW,)))
    assert answer == "echo: hi"
    assert [("tools" in body, "think" in body) for body in bodies(fake)] == [
        (True, True),
        (False, True),
        (False, False),
    ]


@pytest.mark.proves("models.openai.responses", "models.strip-and-retry")
async def test_lost_reasoning_is_left_behind(fake: FakeProvider) -> None:
    """Items that the server does not take back go as plain ones, for this one request."""
    llm = OpenAiLlm(base_url=f"{fake.url}/v1", api="responses", api_key="k", thinking=ThinkingConfig())
    fake.script(Turn(thinking="Hm.", calls=(Call("now"),)))
    _, thinking, reply = await stream(llm, ask(tools=(NOW,)))
    assert thinking == "Hm."
    (call,) = reply.message.tool_calls
    result = Message("tool", (ToolResult(call.id, "now", (Text("noon"),)),))
    fake.script(Turn(status=400, message="The encrypted content for item rs_1_0 could not be verified."))
    model = create("main", llm)
    for _ in range(2):
        final = await model.complete(ask(user("hi"), reply.message, result, tools=(NOW,)))
        assert final.message.text == "echo: noon"
    await model.aclose()
    kinds = [[item["type"] for item in body["input"][1:]] for body in bodies(fake)[1:]]
    verbatim = ["reasoning", "function_call", "function_call_output"]
    assert kinds == [verbatim, verbatim[1:], verbatim]
    assert not fake.refusals


# an answer in a given shape


@pytest.mark.proves("models.structured")
@pytest.mark.parametrize("section", [chat, ollama])
async def test_a_shape_beside_tools_gets_a_turn_of_its_own(fake: FakeProvider, section: Any) -> None:
    fake.script(Turn(text="It is Bonn.", thinking="Hm."), Turn(text=BONN))
    answer, thinking, reply = await stream(section(fake), ask(tools=(NOW,), output=SHAPE))
    assert (answer, thinking, reply.message.text) == (BONN, "Hm.", BONN)
    assert [part.text for part in reply.message.parts if isinstance(part, Thinking)] == ["Hm."]
    assert reply.usage.total == 2 * (USAGE["input"] + USAGE["output"])
    first, second = bodies(fake)
    field = "format" if section is ollama else "response_format"
    assert field not in first
    assert "JSON Schema" in first["messages"][0]["content"]
    assert field in second
    assert "tools" not in second
    assert second["messages"][-2]["content"] == "It is Bonn."
    assert not fake.refusals


@pytest.mark.proves("models.structured")
@pytest.mark.parametrize("streamed", [False, True])
async def test_no_second_turn_without_need(fake: FakeProvider, streamed: bool) -> None:
    fake.script(Turn(calls=(Call("now"),)), Turn(text=BONN), Turn(text="too long", finish="length"))
    asked = ask(tools=(NOW,), output=SHAPE)
    model = create("main", chat(fake))
    found = [(await stream(chat(fake), asked))[2] if streamed else await model.complete(asked) for _ in range(3)]
    await model.aclose()
    assert [reply.finish for reply in found] == [FinishReason.TOOL_CALLS, FinishReason.STOP, FinishReason.LENGTH]
    assert found[1].message.text == BONN
    assert len(fake.seen) == 3


@pytest.mark.proves("models.structured")
async def test_a_shape_while_thinking_at_ollama(fake: FakeProvider) -> None:
    fake.script(Turn(text="Bonn, I think.", thinking="Hm."), Turn(text=BONN))
    model = create("main", ollama(fake, thinking=ThinkingConfig()))
    reply = await model.complete(ask(output=SHAPE))
    await model.aclose()
    assert reply.message.text == BONN
    assert [(body["think"], "format" in body) for body in bodies(fake)] == [(True, False), (False, True)]
    assert not fake.refusals


@pytest.mark.proves("models.structured", "models.strip-and-retry")
async def test_a_server_that_knows_no_shapes(fake: FakeProvider) -> None:
    text = "response_format.type json_schema is unavailable now"
    fake.script(Turn(status=400, message=text), Turn(text=BONN))
    answer, _, _ = await stream(chat(fake), ask(output=SHAPE))
    assert answer == BONN
    assert "JSON Schema" in bodies(fake)[1]["messages"][0]["content"]


# servers of the field


def lines(*chunks: Any) -> str:
    return "".join(f"data: {chunk if isinstance(chunk, str) else json.dumps(chunk)}\n\n" for chunk in chunks)


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


@pytest.mark.proves("models.openai.chat")
async def test_a_stream_as_llama_cpp_sends_it(fake: FakeProvider) -> None:
    usage = {"prompt_tokens": 40, "completion_tokens": 3, "total_tokens": 43}
    raw = lines(
        delta(role="assistant", content=None),
        delta(content="<think>h"),
        delta(content="m</thi"),
        delta(content="nk>\n\nyes"),
        {**delta("stop"), "timings": {"prompt_n": 40, "predicted_per_second": 20.5}},
        {"choices": [], "usage": usage, "timings": {}},
        "[DONE]",
    )
    fake.script(Turn(raw=raw, content_type="text/event-stream"))
    answer, thinking, reply = await stream(chat(fake), ask())
    assert (answer, thinking) == ("yes", "hm")
    assert (reply.finish, reply.usage) == (FinishReason.STOP, Usage(40, 3))


@pytest.mark.proves("models.openai.chat", "models.tools")
async def test_a_stream_of_calls_without_index(fake: FakeProvider) -> None:
    calls = [{"id": f"c{at}", "function": {"name": "now", "arguments": {"at": at}}} for at in range(2)]
    raw = lines(delta(tool_calls=calls[:1]), delta(tool_calls=calls[1:]), delta("stop"))
    fake.script(Turn(raw=raw, content_type="text/event-stream; charset=utf-8"))
    _, _, reply = await stream(chat(fake), ask(tools=(NOW,)))
    assert [(call.id, call.args) for call in reply.message.tool_calls] == [("c0", {"at": 0}), ("c1", {"at": 1})]
    assert reply.finish == FinishReason.TOOL_CALLS


@pytest.mark.proves("models.openai.responses")
async def test_a_stream_of_responses_as_llama_cpp_sends_it(fake: FakeProvider) -> None:
    """No index, no sequence numbers, and the beginning twice."""
    begun = {"type": "response.created", "response": {"status": "in_progress", "output": []}}
    item = {"type": "message", "id": "msg_1", "role": "assistant"}
    whole = {**item, "content": [{"type": "output_text", "text": "Hello"}]}
    response = {"status": "completed", "output": [whole], "usage": {"input_tokens": 4, "output_tokens": 2}}
    raw = lines(
        begun,
        {**begun, "type": "response.in_progress"},
        begun,
        {"type": "response.output_item.added", "item": {**item, "content": []}},
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "Hel"},
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "lo"},
        {"type": "response.output_item.done", "item": whole},
        {"type": "response.completed", "response": response},
    )
    fake.script(Turn(raw=raw, content_type="text/event-stream"))
    answer, _, reply = await stream(chat(fake, api="responses", api_key="k"), ask())
    assert answer == reply.message.text == "Hello"
    assert reply.usage == Usage(4, 2)


@pytest.mark.proves("models.faults")
async def test_a_model_that_is_still_loading(fake: FakeProvider) -> None:
    loading = json.dumps({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})
    fake.script(Turn(status=503, raw=loading), Turn(status=503, raw=loading))
    llm = chat(fake, retry={"initial_delay": 0.01})
    assert (await stream(llm, ask()))[0] == "echo: hi"
    assert len(fake.seen) == 3


async def test_no_key_means_no_authorization(fake: FakeProvider) -> None:
    await stream(chat(fake), ask())
    await stream(ollama(fake), ask())
    assert all("authorization" not in seen.headers for seen in fake.seen)


# Ollama


@pytest.mark.proves("models.ollama")
async def test_the_first_model_is_found(fake: FakeProvider) -> None:
    model = create("main", ollama(fake, model=""))
    for _ in range(2):
        reply = await model.complete(ask())
        assert (reply.message.text, reply.model) == ("echo: hi", "qwen3:8b")
    await model.aclose()
    shown = [seen.body["model"] for seen in fake.seen if seen.path == "/api/show"]
    assert shown == ["bge-m3:latest", "phi:latest", "qwen3:8b"]
    assert [seen.path for seen in fake.seen if seen.path != "/api/show"] == ["/api/tags", "/api/chat", "/api/chat"]


@pytest.mark.proves("models.ollama")
async def test_the_first_model_is_the_first_that_is_fit(fake: FakeProvider) -> None:
    """Better one that only talks than none; and a server that does not say what its models can do is believed."""
    tags = Turn(raw='{"models": [{"name": "phi:latest"}, {"name": "llama3.2:latest"}]}')
    for show, name in (('{"capabilities": ["completion"]}', "phi:latest"), ("[]", "phi:latest")):
        fake.script(tags, Turn(raw=show), *[Turn(raw=show)] * (show != "[]"))
        model = create("main", ollama(fake, model=""))
        assert (await model.complete(ask())).model == name
        await model.aclose()
    fake.script(tags, *[Turn(raw='{"capabilities": ["embedding"]}')] * 2)
    with pytest.raises(ModelRejected, match="has no model yet"):
        await stream(ollama(fake, model=""), ask())


@pytest.mark.proves("models.ollama")
async def test_no_model_to_be_found(fake: FakeProvider) -> None:
    llm = ollama(fake, model="")
    fake.script(Turn(raw='{"models": []}'), Turn(raw="<html>?</html>"), Turn(status=401, message="who are you?"))
    with pytest.raises(ModelRejected, match=r"llm 'main': Ollama at .* `ollama pull llama3.2`"):
        await stream(llm, ask())
    with pytest.raises(ModelUnavailable, match="did not answer as Ollama does"):
        await stream(llm, ask())
    with pytest.raises(Exception, match="who are you"):
        await stream(llm, ask())
    async with fake_provider() as gone:
        nowhere = ollama(gone, model="")
    with pytest.raises(ModelUnavailable, match="is `ollama serve` running there"):
        await stream(nowhere, ask())
    unused = create("main", llm)
    await unused.aclose()
