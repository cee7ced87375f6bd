"""A key that has no effect beside what else is said is named, with the reason."""

from pathlib import Path

import pytest

from hector.config.findings import dotted
from tests.config.sample import errors, loaded

PRO = "llms: {default: {provider: scripted}}\n"
AGENT = PRO + "agents:\n  a: {%s}\n  b: {}\n"
TOOL = PRO + "tools:\n  t: {%s}\n"
STORE = PRO + "document_stores:\n  docs: {%s}\n"
POSTGRES = PRO + "databases:\n  d: {driver: postgres, host: h, database: d, %s}\n"
KEPT = PRO + "storage: {memory: {%s}}\nagents:\n  a: {memory: {%s}}\n"


@pytest.mark.proves("config.idle")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (AGENT % "context: {budget: 500}", ["agents.a.context.budget"]),
        (AGENT % "context: {strategy: buffer_window, window_size: 3}", []),
        (
            AGENT % "context: {strategy: buffer_window, budget: 500, threshold: 0.5}",
            ["agents.a.context.budget", "agents.a.context.threshold"],
        ),
        (AGENT % "context: {strategy: token_window, budget: 500, preserve_recent: 2}", []),
        (AGENT % "context: {strategy: token_window, summarizer_llm: default}", ["agents.a.context.summarizer_llm"]),
        (AGENT % "context: {strategy: summary_buffer, budget: 900, target: 0.5, summarizer_llm: default}", []),
        (AGENT % "context: {strategy: summary_buffer, window_size: 9}", ["agents.a.context.window_size"]),
        (AGENT % "memory: {recall: true}", ["agents.a.memory"]),
        (AGENT % "tools: [memory_search, ask_user]", ["agents.a.tools[0]"]),
        (TOOL % "handler: remember", ["tools.t.handler"]),
        (KEPT % ("turns: true", "recall: true, limit: 3"), []),
        (
            KEPT % ("turns: false, expires: 3d", "recall: false, limit: 3"),
            ["storage.memory.expires", "agents.a.memory.limit"],
        ),
        (KEPT % ("vector_provider: {type: chromem}, embedder: builtin", ""), ["storage.memory.embedder",
                                                                       "storage.memory.vector_provider"]),
        (KEPT % ("backend: vector, vector_provider: {type: chromem}", ""), []),
        (KEPT % ("turns: false", "save: true"), ["agents.a.memory.save"]),
        (AGENT % "disallow_transfer_to_peers: true", ["agents.a.disallow_transfer_to_peers"]),
        (AGENT % "sub_agents: [b]}\n  c: {sub_agents: [a]", []),
        (AGENT % "type: remote, url: 'http://127.0.0.1:1', delegation: {max_depth: 2}", ["agents.a.delegation"]),
        (
            AGENT % "type: conditional, condition_agent: b, on_true_agent: b, condition_operator: above",
            ["agents.a.condition_operator"],
        ),
        (TOOL % "type: command, sandbox: {level: process, network: true}", ["tools.t.sandbox.network"]),
        (TOOL % "type: command, sandbox: {level: landlock, network: true}", []),
        (TOOL % "handler: filetool, files: {read_only: true, max_write: 5}", ["tools.t.files.max_write"]),
        (TOOL % "handler: read_file, files: {undo: x}", ["tools.t.files.undo"]),
        (TOOL % "handler: write_file, files: {undo: x}", []),
        (
            TOOL % "type: web, tools: [web_fetch], methods: [GET], search: {api_key: k}",
            ["tools.t.methods", "tools.t.search"],
        ),
        (
            TOOL % "type: web, search: {provider: searxng, base_url: 'http://127.0.0.1:1', api_key: k}",
            ["tools.t.search.api_key"],
        ),
        (
            TOOL % "type: mcp, url: 'http://127.0.0.1:1', oauth: {client_id: a, client_secret: b, "
            "token_url: 'http://127.0.0.1:2', issuer: 'http://127.0.0.1:3'}",
            ["tools.t.oauth.issuer"],
        ),
        (AGENT % "trigger: {deduplicate: body, replay_window: 5m}", ["agents.a.trigger.replay_window"]),
        (AGENT % "trigger: {deduplicate: off, delivery_header: X-Id}", ["agents.a.trigger.delivery_header"]),
        (AGENT % "trigger: {secret: s, delivery_header: X-Id, replay_window: 5m, response: {timeout: 5s}}", []),
        (
            AGENT % "trigger: {secret: s, response: {mode: async, timeout: 5s, callback_secret: t}}",
            ["agents.a.trigger.response.callback_secret", "agents.a.trigger.response.timeout"],
        ),
        (
            AGENT % "trigger: {secret: s, response: {mode: callback, callback_url: 'http://127.0.0.1:1/', "
            "callback_field: back}}",
            ["agents.a.trigger.response.callback_field"],
        ),
        (
            STORE % "source: {type: api, api: {url: 'http://127.0.0.1:1'}}, watch: true, search: {hyde_llm: default, "
            "enable_multi_query: true, multi_query_count: 2, rerank_max_results: 5, reranker: {api_key: k}}",
            ["docs.watch", "docs.search.hyde_llm", "docs.search.rerank_max_results", "docs.search.reranker"],
        ),
        (
            STORE % "watch: true, search: {enable_rerank: true, rerank_llm: default, reranker: {api_key: k}}",
            ["docs.search.rerank_llm"],
        ),
        (PRO + "server: {cors: {max_age: 5m}}", ["server.cors.max_age"]),
        (PRO + "server: {cors: {allowed_origins: ['https://a.example'], max_age: 5m}}", []),
        (POSTGRES % "ssl_mode: prefer, ssl_cert: c, ssl_key: k", ["databases.d.ssl_cert", "databases.d.ssl_key"]),
        (POSTGRES % "ssl_root_cert: r", ["databases.d.ssl_root_cert"]),
        (POSTGRES % "ssl_mode: require, ssl_key: k", ["databases.d.ssl_key"]),
        (POSTGRES % "ssl_mode: require, ssl_root_cert: r, ssl_cert: c, ssl_key: k", []),
        (PRO + "databases: {d: {dsn: 'postgres://h/d?sslmode=prefer&sslrootcert=r'}}", ["databases.d.ssl_root_cert"]),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_said(tmp_path: Path, text: str, expected: list[str]) -> None:
    warnings = [one for one in loaded(tmp_path, text).warnings if "has no effect" in one.message]
    assert sorted(dotted(one.where).removeprefix("document_stores.") for one in warnings) == sorted(expected)
    assert all(one.position and one.hint for one in warnings)


@pytest.mark.proves("config.idle")
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("type: bearer", "need token"),
        ("api_key: k, type: api_key, token: t", "token says nothing"),
        ("token: t, api_key_header: X", "api_key_header says nothing"),
        ("type: basic, password: p", "need username"),
    ],
)
def test_credentials_fit_their_type(tmp_path: Path, written: str, said: str) -> None:
    text = AGENT % f"type: remote, url: 'http://127.0.0.1:1', credentials: {{{written}}}"
    (finding,) = errors(tmp_path, text)
    assert dotted(finding.where).startswith("agents.a.credentials")
    assert said in finding.message


@pytest.mark.proves("config.idle")
def test_a_level_that_never_holds_what_is_required_is_a_mistake(tmp_path: Path) -> None:
    (finding,) = errors(tmp_path, TOOL % "type: command, sandbox: {level: process, require: landlock}")
    assert "level process never holds what require: landlock asks for" in finding.message
