"""What names of models and hosts say, as tables."""

from dataclasses import dataclass

import pytest

from hector.models import quirks


@dataclass(frozen=True)
class Wish:
    enabled: bool = True
    budget_tokens: int = 1024
    effort: str | None = None


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("gpt-5.4-mini", (5, 4)),
        ("openai/gpt-6.2-sol", (6, 2)),
        ("ft:gpt-5.4:acme:x", (5, 4)),
        ("GPT-5", (5, 0)),
        ("gpt-4o", None),
        ("gpt-4o-mini", None),
        ("gpt-oss-120b", None),
        ("o4-mini", None),
        ("llama3.2:3b", None),
        ("deepseek-v4", None),
    ],
)
def test_version_is_read_from_the_name(model: str, version: tuple[int, int] | None) -> None:
    assert quirks.gpt_version(model) == version


@pytest.mark.proves("models.openai.reasoning")
@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("o3", True),
        ("o4-mini-2025-04-16", True),
        ("gpt-5", True),
        ("gpt-6.2-sol", True),
        ("openai/gpt-6-luna", True),
        ("gpt-5-chat-latest", False),
        ("gpt-5.2-chat-latest", False),
        ("gpt-4.1", False),
        ("gpt-4o", False),
        ("gpt-oss-20b", False),
        ("ollama-model", False),
        ("qwen3:8b", False),
    ],
)
def test_reasoning_models_are_told_by_name(model: str, reasons: bool) -> None:
    assert quirks.is_reasoning(model) is reasons
    assert quirks.takes_sampling(model, None) is not reasons
    assert quirks.takes_sampling(model, "none")


@pytest.mark.parametrize(
    ("host", "path", "responses"),
    [
        ("api.openai.com", "/v1", True),
        ("eu.api.openai.com", "/v1", True),
        ("acme.openai.azure.com", "/openai/v1", True),
        ("acme.openai.azure.com", "/openai/v1/", True),
        ("acme.openai.azure.com", "", False),
        ("acme.openai.azure.com", "/openai/deployments/x", False),
        ("api.groq.com", "/openai/v1", False),
        ("localhost", "/v1", False),
        ("notapi.openai.com.evil.test", "/v1", False),
    ],
)
def test_the_wire_format_follows_the_host(host: str, path: str, responses: bool) -> None:
    assert quirks.speaks_responses(host, path) is responses


@pytest.mark.parametrize(
    ("host", "model", "parameter"),
    [
        ("api.openai.com", "gpt-6.2-sol", "max_completion_tokens"),
        ("api.openai.com", "o3", "max_completion_tokens"),
        ("api.openai.com", "gpt-4o", "max_tokens"),
        ("acme.openai.azure.com", "gpt-5.4", "max_completion_tokens"),
        ("localhost", "gpt-5.4", "max_tokens"),
        ("openrouter.ai", "openai/gpt-6", "max_tokens"),
    ],
)
def test_the_output_limit_has_two_names(host: str, model: str, parameter: str) -> None:
    assert quirks.token_parameter(host, model) == parameter


@pytest.mark.proves("models.openai.reasoning", "config.llms.thinking")
@pytest.mark.parametrize(
    ("model", "wish", "effort"),
    [
        ("gpt-6.2-sol", None, None),
        ("gpt-6.2-sol", Wish(budget_tokens=1024), "low"),
        ("gpt-6.2-sol", Wish(budget_tokens=2048), "low"),
        ("gpt-6.2-sol", Wish(budget_tokens=8192), "medium"),
        ("gpt-6.2-sol", Wish(budget_tokens=24576), "high"),
        ("gpt-6.2-sol", Wish(budget_tokens=24577), "xhigh"),
        ("gpt-6.2-sol", Wish(effort="max"), "max"),
        ("gpt-5.4", Wish(effort="max"), "xhigh"),
        ("gpt-5", Wish(effort="xhigh"), "high"),
        ("o3", Wish(effort="max", budget_tokens=1), "high"),
        ("gpt-oss-20b", Wish(effort="low"), "low"),
        ("gpt-6.2-sol", Wish(enabled=False), "none"),
        ("gpt-5", Wish(enabled=False), "minimal"),
        ("o3", Wish(enabled=False), "low"),
        ("qwen3:8b", Wish(enabled=False), "none"),
        ("gpt-4o", Wish(enabled=False), None),
        ("gpt-4o", Wish(effort="high"), None),
        ("gpt-5-chat-latest", Wish(effort="high"), None),
    ],
)
def test_thinking_becomes_an_effort_that_the_model_knows(model: str, wish: Wish | None, effort: str | None) -> None:
    assert quirks.effort_of(model, wish) == effort


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("gpt-5.4", True),
        ("gpt-6.2-sol", True),
        ("openai/gpt-5.6", True),
        ("gpt-5.1", False),
        ("o3", False),
        ("gpt-5.4-chat", False),
        ("qwen3", False),
    ],
)
def test_tools_exclude_reasoning_in_chat(model: str, rule: bool) -> None:
    assert quirks.tools_exclude_reasoning(model) is rule
