"""The fake provider as a process of its own, as other test-suites use it."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from hector.config.llm_anthropic import AnthropicLlm
from hector.config.llm_gemini import GeminiLlm
from hector.core.content import user
from hector.core.errors import ModelRejected
from hector.core.ports import ModelRequest
from hector.models.registry import create
from tests.models.fakeprovider import fake_provider

ASKED = ModelRequest("", (user("hi"),))


@pytest.fixture
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.models.fakeprovider", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removeprefix("listening on ")
        process.terminate()


def control(url: str, path: str, body: Any = None) -> Any:
    """Speak to the fake itself."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"{url}/_fake/{path}", data, timeout=60) as answer:
        return json.load(answer)


async def test_scripted_from_outside(url: str) -> None:
    control(url, "script", [{"status": 429, "headers": {"retry-after": "0"}}, {"text": "one"}, {"text": "two"}])
    first = create("a", AnthropicLlm(base_url=url, api_key="k"))
    second = create("b", GeminiLlm(base_url=url, api_key="k"))
    assert (await first.complete(ASKED)).message.text == "one"
    assert (await second.complete(ASKED)).message.text == "two"
    log = control(url, "log")
    assert [seen["path"] for seen in log["requests"]] == [
        "/v1/messages",
        "/v1/messages",
        "/v1beta/models/gemini-3.8-flash:generateContent",
    ]
    assert (log["refusals"], log["pending"]) == ([], 0)
    await first.aclose()
    await second.aclose()


async def test_paths_of_no_provider() -> None:
    async with fake_provider() as fake:
        model = create("a", AnthropicLlm(base_url=f"{fake.url}/elsewhere", api_key="k"))
        with pytest.raises(ModelRejected, match=r"HTTP 404: 404 Not Found \(check `model` and `base_url`"):
            await model.complete(ASKED)
        await model.aclose()
