"""A second opinion on retries: the stand-in `llmock` scripts faults, watches what we do, and gives a verdict.

It runs as a process: HECTOR_TEST_LLMOCK names the executable, else the one beside this Python is taken, where `make
setup` puts it, else the one on PATH. Without it these tests are skipped, but fail in CI.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from hector.config.llm_anthropic import AnthropicLlm
from hector.config.llm_gemini import GeminiLlm
from hector.config.llm_openai import OpenAiLlm
from hector.core.content import Message, Text, ToolResult, user
from hector.core.errors import ModelAuthError, ModelError, ModelRejected, ModelUnavailable
from hector.core.event import TextDelta
from hector.core.ports import ChatModel, ModelReply, ModelRequest, ToolSpec
from hector.core.usage import FinishReason
from hector.models.registry import create

_NAMED: Final = os.environ.get("HECTOR_TEST_LLMOCK")
_CI: Final = os.environ.get("CI", "").lower() not in {"", "0", "false"}
_MISSING: Final = "llmock is not installed: run `make setup`, or name its executable in HECTOR_TEST_LLMOCK"
_WEATHER: Final = ToolSpec(
    "get_weather",
    "Tells the weather.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
_RETRY: Final = {"initial_delay": 0.05, "max_attempts": 4}

pytestmark = [pytest.mark.proves("models.llmock"), pytest.mark.xdist_group("llmock")]


@dataclass(frozen=True, slots=True)
class Target:
    """One provider as llmock plays it."""

    name: str
    section: type[Any]
    path: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    malformed: bool = True
    """Arguments of calls are texts, so that they can be malformed."""


TARGETS: Final = (
    Target("openai-chat", OpenAiLlm, "/v1", {"api": "chat", "model": "gpt-4o"}),
    Target("openai-responses", OpenAiLlm, "/v1", {"api": "responses", "model": "gpt-4o"}),
    Target("anthropic", AnthropicLlm, "/anthropic"),
    Target("gemini", GeminiLlm, "/gemini", malformed=False),
)


@dataclass(frozen=True, slots=True)
class Judge:
    """The running stand-in."""

    url: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request to its control interface."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}/_llmock{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    async def script(self, *behaviors: Mapping[str, Any]) -> None:
        """What shall happen to the next requests."""
        await asyncio.to_thread(self.call, "POST", "/scenario", {"behaviors": list(behaviors)})

    async def attempts(self) -> int:
        """Requests since the last reset, once those under way have ended."""
        count = (await asyncio.to_thread(self.call, "GET", "/requests"))["count"]
        assert isinstance(count, int)
        return count

    async def clean(self) -> None:
        """Fail unless everything scripted has happened and nothing was found fault with."""
        assert (await asyncio.to_thread(self.call, "GET", "/scenario"))["pending"] == []
        assert (await asyncio.to_thread(self.call, "GET", "/verdict"))["findings"] == []


def _executable() -> str:
    """Where llmock is. Skips the test if it is nowhere; in CI that is a failure."""
    beside = shutil.which("llmock", path=Path(sys.executable).parent)
    found = _NAMED or beside or shutil.which("llmock")
    if found:
        return found
    if _CI:
        pytest.fail(_MISSING)
    pytest.skip(_MISSING)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(judge: Judge, process: subprocess.Popen[bytes]) -> None:
    """Until it answers, for at most 30 seconds."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "llmock ended at once"
        try:
            judge.call("GET", "/verdict")
        except urllib.error.URLError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("llmock did not answer within 30 seconds")


@pytest.fixture(scope="module")
def running() -> Iterator[Judge]:
    port = _free_port()
    command = [_executable(), "serve", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    command += ["--stream-chunk-delay-ms", "5"]  # so that a client that leaves early is seen to leave
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            judge = Judge(f"http://127.0.0.1:{port}")
            _wait(judge, process)
            yield judge
        finally:
            process.terminate()


@pytest.fixture
def judge(running: Judge) -> Judge:
    running.call("POST", "/reset")
    return running


@pytest.fixture(params=TARGETS, ids=lambda target: target.name)
def target(request: pytest.FixtureRequest) -> Target:
    found = request.param
    assert isinstance(found, Target)
    return found


@pytest.fixture
async def model(target: Target, judge: Judge) -> AsyncIterator[ChatModel]:
    settings = {"base_url": judge.url + target.path, "api_key": "sk-test", "timeout": 0.5, "retry": _RETRY}
    found = create("main", target.section(**settings, **target.settings))
    yield found
    await found.aclose()


def request(*messages: Message, **more: Any) -> ModelRequest:
    return ModelRequest("Be brief.", messages or (user("hello"),), **more)


async def stream(model: ChatModel, asked: ModelRequest) -> tuple[str, ModelReply]:
    """The streamed text, and the reply."""
    text: list[str] = []
    replies: list[ModelReply] = []
    async with aclosing(model.stream(asked)) as items:
        async for item in items:
            if isinstance(item, ModelReply):
                replies.append(item)
            else:
                text += [delta.text for delta in item if isinstance(delta, TextDelta)]
    return "".join(text), replies[0]


async def test_plain_turns(model: ChatModel, judge: Judge) -> None:
    whole = await model.complete(request())
    text, streamed = await stream(model, request())
    assert whole.message.text
    assert text == streamed.message.text != ""
    assert whole.finish == streamed.finish == FinishReason.STOP
    assert whole.usage.input > 0 < whole.usage.output
    assert await judge.attempts() == 2
    await judge.clean()


async def test_a_tool_loop(model: ChatModel, judge: Judge) -> None:
    asked = request(user("What is the weather in Paris?"), tools=(_WEATHER,))
    _, reply = await stream(model, asked)
    assert reply.finish == FinishReason.TOOL_CALLS
    (call,) = reply.message.tool_calls
    assert call.name == "get_weather"
    assert isinstance(call.args["city"], str)
    result = Message("tool", (ToolResult(call.id, call.name, (Text("sunny"),)),))
    final = await model.complete(request(*asked.messages, reply.message, result, tools=(_WEATHER,)))
    assert final.finish == FinishReason.STOP
    assert final.message.text
    await judge.clean()


@pytest.mark.proves("models.tools")
async def test_broken_tool_calls(target: Target, model: ChatModel, judge: Judge) -> None:
    asked = request(user("What is the weather in Paris?"), tools=(_WEATHER,))
    await judge.script({"type": "tool_fault", "kind": "unknown_tool"})
    (unknown,) = (await stream(model, asked))[1].message.tool_calls
    assert unknown.name != "get_weather"
    if target.malformed:
        await judge.script({"type": "tool_fault", "kind": "malformed_arguments"})
        (broken,) = (await stream(model, asked))[1].message.tool_calls
        assert broken.raw
        assert broken.args == {}
    await judge.clean()


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_wait_that_is_asked_for(model: ChatModel, judge: Judge, streamed: bool) -> None:
    await judge.script({"type": "fail", "status": 429, "retry_after": 0.2})
    began = time.monotonic()
    await (stream(model, request()) if streamed else model.complete(request()))
    assert time.monotonic() - began >= 0.2
    assert await judge.attempts() == 2
    await judge.clean()


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize(("status", "times"), [(408, 1), (500, 3), (503, 1), (529, 1)])
async def test_states_that_pass(model: ChatModel, judge: Judge, status: int, times: int) -> None:
    await judge.script({"type": "fail", "status": status, "times": times, "retry_after": 0.05})
    assert (await stream(model, request()))[0]
    assert await judge.attempts() == times + 1
    await judge.clean()


@pytest.mark.proves("models.retry")
async def test_giving_up_in_the_end(model: ChatModel, judge: Judge) -> None:
    await judge.script({"type": "fail", "status": 500, "times": 4})
    with pytest.raises(ModelUnavailable, match="after 4 tries"):
        await model.complete(request())
    assert await judge.attempts() == 4
    await judge.clean()


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, ModelRejected), (401, ModelAuthError), (403, ModelAuthError), (404, ModelRejected), (422, ModelRejected)],
)
async def test_what_is_never_tried_again(model: ChatModel, judge: Judge, status: int, kind: type[ModelError]) -> None:
    await judge.script({"type": "fail", "status": status})
    with pytest.raises(kind):
        await stream(model, request())
    assert await judge.attempts() == 1
    await judge.clean()


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize("fault", ["disconnect", "truncate", "malformed"])
async def test_streams_that_break_before_any_text(model: ChatModel, judge: Judge, fault: str) -> None:
    await judge.script({"type": "stream_fault", "kind": fault, "after_chunks": 0})
    text, reply = await stream(model, request())
    assert text == reply.message.text != ""
    assert await judge.attempts() == 2
    await judge.clean()


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize("fault", ["disconnect", "truncate", "malformed"])
async def test_streams_that_break_after_some_text(model: ChatModel, judge: Judge, fault: str) -> None:
    """What has been shown cannot be taken back: an error, at once; the caller decides on another try."""
    await judge.script(
        {"type": "reply", "text": "word after word " * 50},
        {"type": "stream_fault", "kind": fault, "after_chunks": 8},
    )
    with pytest.raises(ModelUnavailable):
        await stream(model, request())
    assert await judge.attempts() == 1
    assert (await stream(model, request()))[0]
    await judge.clean()


@pytest.mark.proves("models.faults")
async def test_a_stall_ends_in_time(model: ChatModel, judge: Judge) -> None:
    await judge.script({"type": "stream_fault", "kind": "stall", "after_chunks": 0, "stall_seconds": 10})
    began = time.monotonic()
    assert (await stream(model, request()))[0]
    assert time.monotonic() - began < 9
    await judge.clean()
