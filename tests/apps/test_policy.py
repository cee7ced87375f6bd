"""What the configuration of an app may use: nothing dangerous by default, and what the operator opens."""

from pathlib import Path
from typing import Any, Final

import pytest

from hector.config.environment import Environment
from hector.config.findings import InvalidConfig, dotted
from hector.config.load import Loaded
from hector.config.source import parse
from hector.config.tenancy import OWN, RULES, Policy, operators, parse_app
from hector.config.tenants import Tenants

MODEL: Final = "llms: {m: {provider: openai, api_key: abcdef, %s}}\n"
ENVIRONMENT: Final = {"SECRET": "canary-4711", "OPEN": "yes", "OPENAI_API_KEY": "canary-4712"}


def policy(**fields: Any) -> Policy:
    return Policy("acme", Tenants.model_validate(fields), Environment(dict(ENVIRONMENT)), ("lookup", "shell"))


def load(text: str, form: str = "yaml", **fields: Any) -> Loaded:
    return parse_app(text, form, policy(**fields))


def refusals(text: str, **fields: Any) -> list[str]:
    """The paths that are refused by the policy; nothing else may be wrong."""
    with pytest.raises(InvalidConfig) as refused:
        load(text, **fields)
    assert {finding.kind for finding in refused.value.errors} == {"policy"}, refused.value
    assert "canary" not in str(refused.value)
    return [dotted(finding.where) for finding in refused.value.errors]


@pytest.mark.proves("tenant.policy")
@pytest.mark.parametrize("key", sorted(operators()))
def test_blocks_of_the_operator_are_refused_by_name(key: str) -> None:
    assert refusals(f"{key}: {{x: 1}}\nllms: {{m: {{rules: [{{text: hi}}]}}}}\n") == [key]


def test_every_block_is_the_operators_or_the_apps() -> None:
    assert {"server", "databases", "storage", "logger", "tenants", "budgets", "prices"} <= operators()
    assert not operators() & OWN


@pytest.mark.proves("tenant.policy")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.pattern)
def test_every_rule_refuses_what_it_is_about(rule: Any, tmp_path: Path) -> None:
    """Also for what this version lacks: hence on the document itself, and not through the whole check."""
    value = next(iter(rule.values), None) or {"host": "http://10.0.0.7/v1", "file": "/etc/passwd"}.get(rule.kind, "x")
    text = value
    for step in reversed(rule.pattern.split(".")):
        text = f"{{{'x' if step == '*' else step}: {text}}}"
    document = parse(text, "app acme")
    policy(files=str(tmp_path)).after(document)
    path = rule.pattern.replace("*", "x")
    assert [dotted(found.where) for found in document.findings if found.kind == "policy"] == [path]


@pytest.mark.proves("tenant.policy")
@pytest.mark.parametrize("text", ["${SECRET}", "$SECRET", "a ${SECRET:-b} c", "${OPEN:-${SECRET}}"])
def test_no_variable_of_the_server_is_seen(text: str) -> None:
    assert refusals(MODEL % f"headers: {{x: '{text}'}}", variables=["OPEN"]) == ["llms.m.headers.x"]


def test_variables_that_are_open_are_filled_in() -> None:
    loaded = load(MODEL % "headers: {x: '${OPEN}', y: '$$SECRET'}", variables=["OPEN"])
    assert loaded.config.llms["m"].headers == {"x": "yes", "y": "$SECRET"}


def test_the_servers_keys_are_nobody_elses() -> None:
    """Neither by name nor as what stands for a key that was left out."""
    with pytest.raises(InvalidConfig, match="the key is missing"):
        load("llms: {m: {provider: openai}}")
    assert refusals("llms: {m: {provider: openai, api_key: '${OPENAI_API_KEY}'}}") == ["llms.m.api_key"]


@pytest.mark.proves("tenant.policy")
@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:8080", "http://localhost:11434/v1", "http://10.0.0.1", "http://169.254.169.254/latest"),
        *("http://[::1]/", "http://2130706433/", "http://0x7f.1/", "https://example.org", "http://metadata"),
        *("https://api.openai.com.example.org", "https://api.openai.com@example.org", "https://user:x@api.openai.com"),
        *("https://example.org\\\\@api.openai.com/", "https://xapi.openai.com", "https://api.openai.com%2eexample.org"),
    ],
)
@pytest.mark.parametrize("key", ["base_url", "proxy"])
def test_hosts_that_nobody_has_opened(key: str, url: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        load(MODEL % f'{key}: "{url}"')
    assert "policy" in {finding.kind for finding in refused.value.errors}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("llm.example.org", "https://LLM.example.org./v1"),
        ("*.example.org", "http://a.b.example.org:8000/v1"),
        ("10.1.0.0/16", "http://10.1.2.3:8000"),
        ("fd00::/8", "http://[fd12::1]:8000"),
        ("127.0.0.1", "http://127.0.0.1:9/v1"),
    ],
)
def test_hosts_that_the_operator_has_opened(host: str, url: str) -> None:
    assert load(MODEL % f'base_url: "{url}"', hosts=[host]).config.llms.keys() == {"m"}
    assert refusals(MODEL % 'base_url: "https://api.openai.com/v1"', hosts=[host]) == ["llms.m.base_url"]


def test_a_model_without_an_address_is_judged_by_the_one_that_it_means() -> None:
    assert refusals("llms: {m: {provider: ollama, model: x}}") == ["llms.m"]
    assert load("llms: {m: {provider: ollama, model: x}}", hosts=["localhost"]).config.llms.keys() == {"m"}
    assert load("llms: {m: {provider: anthropic, api_key: abcdef}}").config.llms.keys() == {"m"}
    assert refusals("llms: {m: {provider: anthropic, api_key: abcdef}}", hosts=[]) == ["llms.m"]


@pytest.mark.proves("tenant.policy")
def test_local_models_start_programs() -> None:
    text = "llms: {m: {provider: local, path: x.gguf}, n: {rules: [{text: hi}]}}\nagents: {a: {llm: m}}\n"
    assert refusals(text) == ["llms.m.provider"]


@pytest.mark.proves("tenant.policy")
def test_functions_are_those_that_the_operator_has_opened() -> None:
    text = "llms: {m: {rules: [{text: hi}]}}\ntools: {t: {handler: lookup}}\n"
    with pytest.raises(InvalidConfig, match="no handler 'lookup'") as refused:
        load(text, functions=["shell"])
    assert load(text, functions=["lookup"]).config.tools["t"].handler == "lookup"
    assert load("llms: {m: {rules: [{text: hi}]}}\ntools: {t: {handler: ask_user}}\n").config.tools.keys() == {"t"}
    with pytest.raises(InvalidConfig) as refused:
        load(text)
    assert "shell" not in str(refused.value)


SCHEMA: Final = "agents: {a: {structured_output: {schema: %s}}}\nllms: {m: {rules: [{text: hi}]}}\n"


@pytest.mark.proves("tenant.policy")
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("llms: {m: {rules: [{user: '(a+)+$', text: hi}]}}", "llms.m.rules[0].user"),
        (SCHEMA % "{type: string, pattern: '(a+)+$'}", "agents.a.structured_output.schema.pattern"),
        (
            SCHEMA % "{type: object, anyOf: [{patternProperties: {'(a+)+$': {}}}]}",
            "agents.a.structured_output.schema.anyOf[0].patternProperties",
        ),
    ],
)
def test_regular_expressions_that_could_take_for_ever(text: str, where: str) -> None:
    assert refusals(text) == [where]
    assert load(text, patterns=True).config.agents


def test_a_property_may_be_called_pattern() -> None:
    assert load(SCHEMA % "{type: object, properties: {pattern: {type: string}}}").config.agents.keys() == {"a"}


@pytest.mark.proves("tenant.policy")
def test_files_are_those_in_the_folder_of_the_app(tmp_path: Path) -> None:
    for name in ("acme", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "i.md").write_text(f"I am {name}.")
    (tmp_path / "acme" / "link.md").symlink_to(tmp_path / "other" / "i.md")
    text = "llms: {m: {rules: [{text: hi}]}}\nagents: {a: {instruction_file: '%s'}}\n"
    assert load(text % "i.md", files=str(tmp_path)).config.agents["a"].instruction == "I am acme."
    for bad in (
        "../other/i.md",
        str(tmp_path / "other/i.md"),
        "link.md",
        "~/x.md",
        "/etc/passwd",
        "a/../../other/i.md",
    ):
        assert refusals(text % bad, files=str(tmp_path)) == ["agents.a.instruction_file"]
    assert refusals(text % "i.md") == ["agents.a.instruction_file"]


def test_mistakes_are_said_as_for_a_file_with_the_name_of_the_app() -> None:
    with pytest.raises(InvalidConfig) as refused:
        load("llms: {m: {rules: [{text: hi}]}}\nagents:\n  a:\n    instructon: x\n")
    assert str(refused.value).startswith("app acme:4:5: error: agents.a.instructon: unknown key 'instructon'")
    with pytest.raises(InvalidConfig, match="app acme:1"):
        load('{\t"llms": 7}', "json")
    assert load('{"llms": {"m": {"rules": [{"text": "\\ud83d\\ude00"}]}}}', "json").config.agents
