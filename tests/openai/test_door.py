"""Agents behind OpenAI's API, used through the official client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.auth.opening import open_authenticator
from hector.config.root import HectorConfig
from hector.core.clock import SystemClock
from hector.core.task import Caller
from hector.limits.limits import Limits
from hector.store import open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from hector.web.app import create_app

pytestmark = pytest.mark.proves("openai.door")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
RULES: list[dict[str, Any]] = [
    {"user": "ask", "turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "Which colour?"}}]},
    {"user": "launch", "turn": 0, "tool_calls": [{"name": "request_approval", "args": {"action": "launch"}}]},
    {"user": "fail", "error": {"status": 400, "message": "no such thing"}},
    {"user": "slow", "text": "late", "delay": "1s"},
    {"user": "earlier", "text": "seen: {user}"},
    {"tool_result_matches": "(?P<all>.+)", "text": r"heard: \g<all>"},
    {"user": "think", "thinking": "hm", "text": "thought about it"},
    {"user": "(?s)(?P<all>.*)", "text": r"echo \g<all>"},
]
CONFIG: dict[str, Any] = {
    "llms": {"default": {"provider": "scripted", "rules": RULES, "retry": {"max_attempts": 1}}},
    "agents": {
        "helper": {"description": "Helps.", "tools": ["ask_user", "request_approval"]},
        "plain": {"tools": [], "streaming": False},
        "inner": {"visibility": "internal", "tools": []},
        "hidden": {"visibility": "private", "tools": []},
        "direct": {"reply": "auto", "tools": []},
    },
}


class Served:
    """A server, and clients of it."""

    def __init__(self, url: str, store: Any) -> None:
        self.url = url
        self.store = store

    @asynccontextmanager
    async def client(self, key: str = "none") -> AsyncIterator[AsyncOpenAI]:
        async with (
            DefaultAsyncHttpxClient(trust_env=False, timeout=30) as http,
            AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, http_client=http, max_retries=0) as client,
        ):
            yield client

    async def sessions(self) -> list[list[str]]:
        """What was said in each session, oldest first."""
        page = await self.store.sessions.list(Caller())
        found = [await self.store.sessions.load(Caller(), one.id) for one in reversed(page.sessions)]
        return [[f"{event.message.role}: {event.message.text}" for event in one.events] for one in found]


@asynccontextmanager
async def serving(tmp_path: Path, **changes: Any) -> AsyncIterator[Served]:
    config = HectorConfig.model_validate({**CONFIG, **changes})
    store = await open_store(f"sqlite://{tmp_path / 'hector.db'}")
    apps = Apps(build(config, Catalog()))
    auth = open_authenticator(config.server, store, SystemClock())
    limits = Limits(store, SystemClock(), config)
    async with TaskService(apps, store, SystemClock(), config.server, limits) as tasks:
        app = create_app(tasks, apps, store, config.server, auth=auth)
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
            assert not running.done()
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield Served(f"http://127.0.0.1:{port}", store)
        finally:
            server.should_exit = True
            await running
    await apps.aclose()
    await store.aclose()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as found:
        yield found


@pytest.fixture
async def client(served: Served) -> AsyncIterator[AsyncOpenAI]:
    async with served.client() as found:
        yield found


def user(text: Any) -> Any:
    return {"role": "user", "content": text}


def assistant(text: str) -> Any:
    return {"role": "assistant", "content": text}


async def chat(client: AsyncOpenAI, *messages: Any, model: str = "helper", **more: Any) -> str:
    """The text of an answer."""
    found = await client.chat.completions.create(model=model, messages=messages, **more)
    assert found.choices[0].finish_reason == "stop"
    return found.choices[0].message.content or ""


async def told(client: AsyncOpenAI, *messages: Any, **more: Any) -> str:
    """The same, streamed."""
    text = ""
    async for chunk in await client.chat.completions.create(model="helper", messages=messages, stream=True, **more):
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    return text


async def test_models_are_the_agents_that_one_may_see(client: AsyncOpenAI) -> None:
    models = [model.id async for model in client.models.list()]
    assert models == ["helper", "plain", "direct"]
    assert (await client.models.retrieve("plain")).object == "model"
    for name in ("hidden", "inner", "nobody"):
        with pytest.raises(openai.NotFoundError) as caught:
            await client.models.retrieve(name)
        assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("model", ["helper", "plain", "direct"])
async def test_an_answer_with_its_usage(client: AsyncOpenAI, model: str) -> None:
    found = await client.chat.completions.create(model=model, messages=[user("hello")])
    assert found.choices[0].message.content == "echo hello"
    assert found.model == model
    assert found.usage is not None
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens > 0
    assert found.model_extra is not None
    assert found.model_extra["hector"]["conversation"]


@pytest.mark.parametrize("with_usage", [True, False])
async def test_a_stream(client: AsyncOpenAI, with_usage: bool) -> None:
    more: Any = {"stream_options": {"include_usage": True}} if with_usage else {}
    found = await client.chat.completions.create(model="helper", messages=[user("think")], stream=True, **more)
    chunks = [chunk async for chunk in found]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "thought about it"
    thought = [(chunk.choices[0].delta.model_extra or {}).get("reasoning_content") for chunk in chunks if chunk.choices]
    assert "".join(filter(None, thought)) == "hm"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    assert (chunks[-1].usage is not None) is with_usage
    assert not with_usage or chunks[-1].choices == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_sends_everything_each_time_has_one_session(
    served: Served, client: AsyncOpenAI, streamed: bool
) -> None:
    say = told if streamed else chat
    first = await say(client, user("one"))
    second = await say(client, user("one"), assistant(first), user("two"))
    await say(client, user("one"), assistant(first), user("two"), assistant(second), user("three"))
    (said,) = await served.sessions()
    assert said == ["user: one", "assistant: echo one", "user: two", "assistant: echo two"] + [
        "user: three",
        "assistant: echo three",
    ]


async def test_a_conversation_that_was_edited_is_another_one(served: Served, client: AsyncOpenAI) -> None:
    first = await chat(client, user("one"))
    await chat(client, user("one"), assistant(first), user("two"))
    await chat(client, user("one"), assistant(first), user("instead"))
    await chat(client, {"role": "system", "content": "Be kind."}, user("x"), assistant("y"), user("z"))
    one, other, foreign = await served.sessions()
    assert len(one) == 4
    assert "user: one\n\nassistant: echo one" in other[0]
    assert other[0].endswith("instead")
    assert "Be kind." in foreign[0]
    assert len(other) == len(foreign) == 2


@pytest.mark.parametrize("named", [{"user": "ana"}, {"metadata": {"session_id": "talk-1"}}])
async def test_a_named_conversation_goes_on(served: Served, client: AsyncOpenAI, named: Any) -> None:
    await chat(client, user("one"), **named)
    await chat(client, user("one"), assistant("whatever"), user("two"), **named)
    await chat(client, user("three"), **named)
    (said,) = await served.sessions()
    assert [line for line in said if line.startswith("user")] == ["user: one", "user: two", "user: three"]


@pytest.mark.parametrize("named", [{}, {"user": "ana"}])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_question_is_answered_in_the_next_message(client: AsyncOpenAI, named: Any, streamed: bool) -> None:
    say = told if streamed else chat
    question = await say(client, user("ask"), **named)
    assert "Which colour?" in question
    assert "next message" in question
    answer = await say(client, user("ask"), assistant(question), user("blue"), **named)
    assert answer == "heard: blue"


async def test_an_approval(client: AsyncOpenAI) -> None:
    question = await chat(client, user("launch"))
    assert "Answer approve or deny" in question
    with pytest.raises(openai.BadRequestError, match="approve"):
        await chat(client, user("launch"), assistant(question), user("maybe"))
    answer = await chat(client, user("launch"), assistant(question), user("approve"))
    assert "approve" in answer


@pytest.mark.parametrize("how", ["message", "cancel", "delete"])
async def test_a_conversation_goes_on_that_was_decided_about_elsewhere(
    served: Served, client: AsyncOpenAI, how: str
) -> None:
    found = await client.chat.completions.create(model="helper", messages=[user("launch")])
    question, facts = found.choices[0].message.content or "", (found.model_extra or {})["hector"]
    if how == "delete":
        assert await served.store.sessions.delete(Caller(), facts["conversation"])
    else:
        at = f"tasks/{facts['task']}:cancel" if how == "cancel" else "message:send"
        said = {"messageId": "1", "taskId": facts["task"], "role": "ROLE_USER", "parts": [{"text": "approve"}]}
        async with httpx.AsyncClient(trust_env=False, headers={"A2A-Version": "1.0"}, timeout=60) as other:
            body = {} if how == "cancel" else {"message": said}
            assert (await other.post(f"{served.url}/agents/helper/{at}", json=body)).status_code == 200
    answer = await chat(client, user("launch"), assistant(question), user("and now?"))
    assert answer == "echo and now?" or how == "delete"  # then the rules see what was said before, too
    assert len(await served.sessions()) == 1


async def test_a_run_that_fails(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match="no such thing") as caught:
        await chat(client, user("fail"))
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.code == "task_failed"
    with pytest.raises(openai.APIError, match="no such thing"):
        await told(client, user("fail"))
    events = [event async for event in await client.responses.create(model="helper", input="fail", stream=True)]
    assert events[-1].type == "response.failed"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:a,b"}}]}]}, None),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "messages"),
        ({"metadata": {"session_id": "x" * 300}}, "metadata.session_id"),
        ({"metadata": {"conversation_id": "x" * 300}}, "metadata.conversation_id"),
        ({"metadata": {"session_id": "a\nb"}}, "metadata.session_id"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"modalities": 1}, "modalities"),
    ],
)
async def test_what_is_not_possible_is_refused_by_name(client: AsyncOpenAI, more: Any, param: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**{"model": "helper", "messages": [user("hi")], **more})
    assert param is None or caught.value.param == param
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "input"),
        ({"conversation": "x" * 300}, "conversation"),
        ({"conversation": {"id": 5}}, "conversation"),
        ({"text": {"format": {"type": "json_object"}}}, "text.format"),
    ],
)
async def test_a_response_that_is_not_possible_is_refused_by_name(client: AsyncOpenAI, more: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(**{"model": "helper", "input": "hi", **more})
    assert caught.value.param == param


async def test_what_tunes_a_model_is_left_to_the_agent(client: AsyncOpenAI) -> None:
    more: Any = {"temperature": 0.1, "max_tokens": 5, "stop": ["x"], "seed": 1, "tools": [], "n": 1, "top_p": 0.5}
    assert await chat(client, user("hello"), **more) == "echo hello"


async def test_pictures_and_files(served: Served, client: AsyncOpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PIXEL}"}}
    await chat(client, user([{"type": "text", "text": "look"}, image, file]))
    from hector.core.content import Media

    (one,) = (await served.store.sessions.list(Caller())).sessions
    parts = (await served.store.sessions.load(Caller(), one.id)).events[0].message.parts
    kinds = [(part.media_type, part.name) for part in parts if isinstance(part, Media)]
    assert kinds == [("image/png", None), ("application/pdf", "a.pdf")]


async def test_responses(served: Served, client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="helper", input="one", instructions="Be brief.")
    assert first.output_text.startswith("echo Instructions")
    second = await client.responses.create(model="helper", input="two", previous_response_id=first.id)
    assert (second.output_text, second.previous_response_id) == ("echo two", first.id)
    assert second.usage is not None
    assert second.usage.total_tokens > 0
    (said,) = await served.sessions()
    assert len(said) == 4
    direct = await client.responses.create(model="direct", input="hello")
    again = await client.responses.create(model="direct", input="hello again", previous_response_id=direct.id)
    assert again.output_text == "echo hello again"
    for unknown in ("resp_nothing_1", "resp_c_1", "resp_cunknown_1", "chatcmpl-01_2", "conv_1"):
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(model="helper", input="x", previous_response_id=unknown)
    assert len(await served.sessions()) == 2


async def test_responses_as_a_stream(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="helper", input=[user("ask")]) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "Which colour?" in final.output_text
    answer = await client.responses.create(model="helper", input="red", previous_response_id=final.id)
    assert answer.output_text == "heard: red"


async def test_who_goes_away_ends_nothing(served: Served) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        body = {"model": "helper", "messages": [user("slow")], "stream": True}
        async with http.stream("POST", f"{served.url}/v1/chat/completions", json=body) as answer:
            await anext(answer.aiter_bytes())
    async with asyncio.timeout(60):
        while "assistant: late" not in (await served.sessions())[0]:  # noqa: ASYNC110 - nobody is told of its end
            await asyncio.sleep(0.1)


async def test_who_may_not(tmp_path: Path) -> None:
    server = {"auth": {"enabled": True}}
    async with serving(tmp_path, server=server) as found, found.client("wrong") as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.models.list()
        assert caught.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            await chat(client, user("hi"))


async def test_a_key_opens_what_its_role_may_see(tmp_path: Path) -> None:
    server = {"auth": {"enabled": True, "secret": "s3cret-of-the-admin-s3cret"}}
    async with serving(tmp_path, server=server) as found, found.client("s3cret-of-the-admin-s3cret") as client:
        assert "inner" in [model.id async for model in client.models.list()]
        assert await chat(client, user("hi"), model="inner") == "echo hi"
        async with found.client("none") as nobody:
            with pytest.raises(openai.AuthenticationError):
                await chat(nobody, user("hi"))


@pytest.mark.parametrize("streamed", [False, True])
async def test_limits_count_here_as_well(tmp_path: Path, streamed: bool) -> None:
    rule = {"type": "count", "window": "hour", "limit": 1}
    async with serving(tmp_path, rate_limiting={"enabled": True, "limits": [rule]}) as found, found.client() as client:
        await (told if streamed else chat)(client, user("hi"))
        with pytest.raises(openai.RateLimitError) as caught:
            await (told if streamed else chat)(client, user("hi"))
        assert caught.value.response.headers["retry-after"]
        assert caught.value.code == "rate_limit_exceeded"


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    async with serving(tmp_path, server={"openai_api": False}) as found, found.client() as client:
        with pytest.raises(openai.NotFoundError):
            await client.models.list()
