"""What the configuration of an app may use: nothing dangerous by default, and what the operator opens."""

from pathlib import Path
from typing import Any, Final

import pytest

from hector.config.environment import Environment
from hector.config.findings import InvalidConfig, dotted
from hector.config.load import Loaded
from hector.config.source import parse
from hector.config.tenancy import OWN, RULES, Policy, operators, parse_app
from hector.config.tenants import PROVIDER_HOSTS, Tenants
from tests.config.sample import llm_agent

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
    refused = [dotted(found.where) for found in document.findings if found.kind == "policy"]
    assert path in refused
    assert all(path.startswith(one) for one in refused), "at most what it stands in besides"


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
    assert "lookup" in repr(load(text, functions=["lookup"]).config.tools["t"])
    assert load("llms: {m: {rules: [{text: hi}]}}\ntools: {t: {handler: ask_user}}\n").config.tools.keys() == {"t"}
    with pytest.raises(InvalidConfig) as refused:
        load(text)
    assert "shell" not in str(refused.value)


@pytest.mark.proves("tenant.policy", "security.files")
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("tools: {t: {handler: read_file}}", "tools.t"),
        ("tools: {filetool: {}}", "tools.filetool"),
        ("tools: {read_file: {handler: ''}}", "tools.read_file"),
        ("tools: {t: {handler: grep}}", "tools.t"),
        ("agents: {a: {tools: [ask_user, filetool]}}", "agents.a.tools[1]"),
        ("agents: {a: {tools: 'ask_user, read_file'}}", "agents.a.tools"),
        ("agents: {a: {tools: [str_replace_editor]}}", "agents.a.tools[0]"),
    ],
)
def test_file_tools_are_not_for_apps(text: str, where: str) -> None:
    assert refusals(f"llms: {{m: {{rules: [{{text: hi}}]}}}}\n{text}\n", functions=["read_file", "filetool"]) == [where]


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
    assert llm_agent(load(text % "i.md", files=str(tmp_path)).config, "a").instruction == "I am acme."
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


WEB: Final = "llms: {m: {rules: [{text: hi}]}}\ntools: {w: {type: web%s}}\n"


@pytest.mark.proves("tenant.policy")
@pytest.mark.parametrize(
    ("keys", "places"),
    [
        (", allowed_hosts: [docs.example.org, example.net]", ["tools.w.allowed_hosts[1]"]),
        (", allowed_hosts: ['*']", ["tools.w.allowed_hosts[0]"]),
        (", allowed_hosts: ['*.org', '*example.org', 169.254.169.254]",
         ["tools.w.allowed_hosts[0]", "tools.w.allowed_hosts[1]", "tools.w.allowed_hosts[2]"]),
        (", search: {api_key: abcdef}", ["tools.w.search"]),
        (", search: {provider: searxng, base_url: 'http://localhost:8888'}", ["tools.w.search.base_url"]),
    ],
)  # fmt: skip
def test_web_tools_of_apps_go_where_the_operator_has_opened(keys: str, places: list[str]) -> None:
    assert refusals(WEB % keys, hosts=["*.example.org"]) == places


@pytest.mark.proves("tenant.policy")
def test_a_web_tool_that_names_no_hosts_has_those_of_the_operator() -> None:
    found = load(WEB % "", hosts=["*.example.org"]).config.tools["w"]
    assert getattr(found, "allowed_hosts", None) == ("*.example.org",)
    found = load(WEB % ", allowed_hosts: [a.example.org]", hosts=["*.example.org"]).config.tools["w"]
    assert getattr(found, "allowed_hosts", None) == ("a.example.org",)
    assert refusals(WEB % "", hosts=[]) == ["tools.w"]
    text = "llms: {m: {rules: [{text: hi}]}}\nagents: {a: {tools: [web_fetch]}}\n"
    assert getattr(load(text).config.tools["web_fetch"], "allowed_hosts", None) == PROVIDER_HOSTS


API: Final = "{source: {type: api, api: {url: 'http://ok.example/'}}%s}"
OWN_MODEL: Final = "llms: {m: {rules: [{text: hi}]}}\n"


@pytest.mark.proves("rag.sources.tenants")
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("embedders: {e: {provider: ollama}}", "embedders.e"),
        ("embedders: {e: {provider: openai, api_key: k}}", "embedders.e"),
        ("vector_stores: {v: {type: pinecone, api_key: k}}", "vector_stores.v"),
        ("document_stores: {d: " + API % ", search: {reranker: {}}" + "}", "document_stores.d.search.reranker"),
    ],
)
def test_services_of_documents_without_an_address_are_judged_by_the_one_that_they_mean(text: str, where: str) -> None:
    assert refusals(OWN_MODEL + text, hosts=["ok.example"]) == [where]


@pytest.mark.proves("rag.sources.tenants")
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgres://u:p12345678@ok.example/d?sslmode=verify-full", ""),
        ("postgres://u:p12345678@ok.example,10.0.0.1/d", "a vector store at 10.0.0.1 is not open"),
        ("postgres://u:p12345678@ok.example/d?host=10.0.0.1", "a vector store at 10.0.0.1 is not open"),
        ("postgres://u:p12345678@ok.example/d?host=/var/run/postgresql", "at this address is not open"),
        ("postgres://u:p12345678@[::1]/d", "a vector store at ::1 is not open"),
        ("postgres://u:p12345678@/d", "is not open to apps"),
        ("postgres://ok.example/d", "without a user and a password in it, those of the server"),
        ("postgres://u@ok.example/d", "without a user and a password in it, those of the server"),
        ("postgres://u:p12345678@ok.example/d?sslkey=/etc/ssl/key", "it names files of the server"),
        ("postgres://u:p12345678@ok.example/d?sslmode=require&sslrootcert=/etc/passwd", "it names files of the server"),
    ],
)
def test_a_database_for_vectors_is_an_apps_own(url: str, problem: str) -> None:
    text = OWN_MODEL + f"vector_stores: {{v: {{type: pgvector, url: '{url}'}}}}"
    if not problem:
        load(text, hosts=["ok.example"])
        return
    with pytest.raises(InvalidConfig, match=problem) as caught:
        load(text, hosts=["ok.example"])
    assert "p12345678" not in str(caught.value)


@pytest.mark.proves("rag.sources.tenants")
def test_an_app_has_no_database_of_the_operator_for_its_vectors() -> None:
    text = "vector_stores: {v: {type: pgvector, database: main}}\ndocument_stores: {d: " + API % "" + "}"
    with pytest.raises(InvalidConfig, match="there is no database 'main'"):
        load(OWN_MODEL + text, hosts=["ok.example"])


@pytest.mark.proves("rag.sources.tenants")
@pytest.mark.parametrize("name", ["../default/docs", "..", "/etc", "a/b", "a\\b"])
@pytest.mark.parametrize(
    "text",
    [
        "document_stores: {d: {source: {type: collection, collection: '%s'}}}",
        "vector_stores: {v: {collection: '%s'}}\ndocument_stores: {d: " + API % "" + "}",
        "document_stores: {d: " + API % ", collection: '%s'" + "}",
    ],
)
def test_no_name_of_a_collection_leads_to_the_index_of_another_app(text: str, name: str) -> None:
    with pytest.raises(InvalidConfig, match="signs that are not possible"):
        load(OWN_MODEL + text.replace("%s", name), hosts=["ok.example"])
