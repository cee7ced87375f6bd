"""Which wire format, at which address, with which headers."""

from typing import Any

import pytest

from hector.config.llm_openai import OpenAiLlm
from hector.models import openai
from hector.models.http import HttpModel
from hector.models.schema_turn import SchemaTurn


def llm(base_url: str = "https://api.openai.com/v1", **settings: Any) -> OpenAiLlm:
    return OpenAiLlm(base_url=base_url, **settings)


@pytest.mark.proves("models.base-url", "models.openai")
@pytest.mark.parametrize(
    ("base_url", "settings", "api", "address"),
    [
        ("https://api.openai.com/v1", {}, "responses", "https://api.openai.com/v1/responses"),
        ("https://api.openai.com", {}, "responses", "https://api.openai.com/v1/responses"),
        ("https://api.openai.com/v1/", {"api": "chat"}, "chat", "https://api.openai.com/v1/chat/completions"),
        ("http://localhost:8000", {}, "chat", "http://localhost:8000/v1/chat/completions"),
        ("http://localhost:8000/", {}, "chat", "http://localhost:8000/v1/chat/completions"),
        (" http://localhost:8000/v1/v1/ ", {}, "chat", "http://localhost:8000/v1/chat/completions"),
        ("http://localhost:8000/v1", {"api": "responses"}, "responses", "http://localhost:8000/v1/responses"),
        ("https://api.groq.com/openai/v1", {}, "chat", "https://api.groq.com/openai/v1/chat/completions"),
        ("https://gate.test/v1beta/openai/", {}, "chat", "https://gate.test/v1beta/openai/chat/completions"),
        ("http://localhost:8000/v1/chat/completions", {}, "chat", "http://localhost:8000/v1/chat/completions"),
        ("https://a.openai.azure.com/openai/v1", {}, "responses", "https://a.openai.azure.com/openai/v1/responses"),
        (
            "https://a.openai.azure.com",
            {"api_version": "2024-10-21", "model": "my gpt"},
            "chat",
            "https://a.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
        ),
        (
            "https://a.openai.azure.com/openai/deployments/x/",
            {"api_version": "2024-10-21"},
            "chat",
            "https://a.openai.azure.com/openai/deployments/x/chat/completions?api-version=2024-10-21",
        ),
        (
            "https://a.openai.azure.com/openai",
            {"api_version": "2025-04-01-preview", "api": "responses"},
            "responses",
            "https://a.openai.azure.com/openai/responses?api-version=2025-04-01-preview",
        ),
        (
            "https://a.openai.azure.com/openai/v1",
            {"api_version": "preview"},
            "responses",
            "https://a.openai.azure.com/openai/v1/responses?api-version=preview",
        ),
    ],
)
def test_where_calls_go(base_url: str, settings: dict[str, Any], api: str, address: str) -> None:
    found = openai.endpoint(llm(base_url, **settings))
    assert (found.api, found.base_url + found.path) == (api, address)


@pytest.mark.proves("models.openai")
@pytest.mark.parametrize(
    ("base_url", "settings", "expected"),
    [
        ("https://api.openai.com/v1", {"api_key": "k"}, {"authorization": "Bearer k"}),
        ("http://localhost:8000/v1", {}, {}),
        ("http://localhost:8000/v1", {"api_key": "k"}, {"authorization": "Bearer k"}),
        ("https://a.openai.azure.com/openai/v1", {"api_key": "k"}, {"api-key": "k"}),
        ("https://gate.test/azure", {"api_key": "k", "api_version": "x"}, {"api-key": "k"}),
        (
            "https://api.openai.com/v1",
            {"organization": "o", "project": "p"},
            {"openai-organization": "o", "openai-project": "p"},
        ),
    ],
)
def test_who_calls(base_url: str, settings: dict[str, Any], expected: dict[str, str]) -> None:
    assert openai.headers(llm(base_url, **settings)) == expected


def test_organization_and_project_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "o")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "p")
    assert openai.headers(llm()) == {"openai-organization": "o", "openai-project": "p"}
    assert openai.headers(llm(organization="mine"))["openai-organization"] == "mine"
    assert openai.headers(llm("http://localhost:8000/v1")) == {}


def test_only_compatible_servers_get_a_turn_for_the_schema() -> None:
    assert isinstance(openai.create(llm("http://localhost:8000/v1"), "main"), SchemaTurn)
    assert isinstance(openai.create(llm(), "main"), HttpModel)
