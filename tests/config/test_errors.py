"""Mistakes: each is found, at its line, in plain words, and all of them at once."""

from pathlib import Path

import pytest

from hector.config.findings import compact, verbose
from hector.config.load import load_config
from tests.config.sample import KEYS, brief, errors, problem, surroundings, write

MODEL = "llms: {d: {provider: ollama}}\n"


@pytest.mark.proves("config.errors", "config.references")
@pytest.mark.parametrize(
    ("text", "expected", "found", "allowed", "hint"),
    [
        pytest.param("nmae: x", "1:1 unknown nmae", "", "name", "'name'", id="unknown key at the top"),
        pytest.param("model: x", "1:1 unknown model", "", "", "llms.<id>", id="key that belongs elsewhere"),
        pytest.param("zzz: 1", "1:1 unknown zzz", "", "version", "", id="unknown key like no other"),
        pytest.param(
            "llms:\n  c:\n    provider: anthropic\n    temprature: 1",
            "4:5 unknown llms.c.temprature", "", "api_version", "'temperature'", id="unknown key of a provider",
        ),
        pytest.param(
            "llms:\n  c:\n    provider: anthropic\n    organization: x",
            "4:5 unknown llms.c.organization", "", "api_version", "", id="key of another provider",
        ),
        pytest.param(
            "llms:\n  c:\n    provider: opnai",
            "3:15 type llms.c.provider", "'opnai'", "anthropic, openai, gemini, ollama", "'openai'", id="provider",
        ),
        pytest.param(
            "llms:\n  c: {provider: ollama, temperature: 2.5}",
            "2:38 range llms.c.temperature", "2.5", "from 0 to 2", "", id="out of range",
        ),
        pytest.param(
            "llms:\n  c: {provider: ollama, temperature: warm}",
            "2:38 type llms.c.temperature", "'warm'", "a number from 0 to 2", "", id="no number",
        ),
        pytest.param(
            "llms:\n  c: {provider: ollama, max_tokens: 1.5}",
            "2:37 type llms.c.max_tokens", "1.5", "a whole number", "", id="no whole number",
        ),
        pytest.param(
            "llms:\n  c: {provider: ollama, timeout: soon}",
            "2:34 type llms.c.timeout", "'soon'", '"1h30m"', "", id="no duration",
        ),
        pytest.param(
            "llms:\n  c: {provider: ollama, base_url: 'localhost:11434'}",
            "2:35 type llms.c.base_url", "'localhost:11434'", "http://host:port", "", id="no address",
        ),
        pytest.param(
            "llms:\n  c: {provider: openai, api: chatt}",
            "2:30 type llms.c.api", "'chatt'", "auto, responses, chat", "'chat'", id="choice",
        ),
        pytest.param(
            "llms:\n  c: {provider: scripted, rules: [{user: '('}]}",
            "2:42 range llms.c.rules[0].user", "'('", "", "", id="regular expression",
        ),
        pytest.param("llms: [a]", "1:7 type llms", "a list", "keys and values", "", id="list for a block"),
        pytest.param("llms:\n  a: x", "2:6 type llms.a", "'x'", "keys and values", "", id="text for a block"),
        pytest.param("llms: {_x: {provider: ollama}}", "1:8 range llms._x", "'_x'", "letter", "", id="reserved id"),
        pytest.param('agents: {"a b": {}}', '1:10 range agents["a b"]', "'a b'", "letter", "", id="bad id"),
        pytest.param(
            "tools: {w: {type: web, tools: [web_fetsh]}}",
            "1:32 type tools.w.tools[0]", "'web_fetsh'", "web_fetch, web_request, web_search", "'web_fetch'",
            id="value in a list",
        ),
        pytest.param(
            "server: {egress: {purposes: {modle: {mode: none}}}}",
            "1:30 unknown server.egress.purposes.modle", "", "model, identity", "'model'", id="key of a list of keys",
        ),
        pytest.param(
            "tools: {m: {type: mcp, command: a, url: 'http://x'}}",
            "1:12 type tools.m", "a block", "command or url", "", id="both places of a server",
        ),
        pytest.param(
            "tools: {m: {handler: my_own}}",
            "1:22 reference tools.m.handler", "'my_own'", "commandtool", "registers it", id="unknown handler",
        ),
        pytest.param("agents: {a: {tools: {x: 1}}}", "1:21 type agents.a.tools", "a block", "a list", "", id="no list"),
        pytest.param(
            "agents: {a: {streaming: maybe}}", "1:25 type agents.a.streaming", "'maybe'", "true, false", "", id="truth"
        ),
        pytest.param(
            "agents:\n  a:\n    skills:\n      - name: x",
            "4:9 missing agents.a.skills[0].id", "", "Identifier", "", id="missing key in a list",
        ),
        pytest.param(
            "agents: {a: {reasoning: {max_iterations: 0}}}",
            "1:42 range agents.a.reasoning.max_iterations", "0", "at least 1", "", id="below the least",
        ),
        pytest.param(
            "agents: {a: {structured_output: {strict: true}}}",
            "1:14 missing agents.a.structured_output.schema", "", "JSON Schema", "", id="missing schema",
        ),
        pytest.param("server: {port: 70000}", "1:16 range server.port", "70000", "from 0 to 65535", "", id="port"),
        pytest.param(
            "server: {max_body_bytes: huge}", "1:26 type server.max_body_bytes", "'huge'", "MiB", "",
            id="size",
        ),
        pytest.param(
            "agents: {a: {visibility: hidden}}",
            "1:26 type agents.a.visibility", "'hidden'", "public, internal, private", "", id="visibility",
        ),
        pytest.param(
            "agents: {a: {llm: nope}}\n" + MODEL, "1:19 reference agents.a.llm", "'nope'", "d", "", id="unknown model"
        ),
        pytest.param("defaults: {llm: dd}\n" + MODEL, "1:17 reference defaults.llm", "'dd'", "d", "'d'", id="default"),
        pytest.param(
            "agents: {a: {tools: [save_artefact]}}",
            "1:22 reference agents.a.tools[0]", "'save_artefact'", "save_artifact", "'save_artifact'",
            id="unknown tool",
        ),
        pytest.param(
            "agents: {a: {tools: [5]}}", "1:22 reference agents.a.tools[0]", "5", "ask_user", "", id="number for a tool"
        ),
        pytest.param("agents: {a: {llm: 5}}", "1:19 reference agents.a.llm", "5", "", "", id="number for a model"),
        pytest.param(
            "agents: {a: {tools: 'ask_user, no'}}", "1:21 reference agents.a.tools", "'ask_user, no'", "", "",
            id="unknown tool in a text",
        ),
        pytest.param(
            "tools: {t: {handler: fnord}}", "1:22 reference tools.t.handler", "'fnord'", "ask_user", "",
            id="unknown handler",
        ),
        pytest.param(
            "tools: {t: {}}", "1:9 reference tools.t.handler", "'t'", "ask_user", "", id="tool without handler"
        ),
        pytest.param("tools: {t: {type: magic}}", "1:19 type tools.t.type", "'magic'", "function", "", id="tool type"),
        pytest.param(
            "tools: {ask_user: {approval_rules: [{action: maybe}]}}",
            "1:46 type tools.ask_user.approval_rules[0].action", "'maybe'", "ask, allow, deny", "", id="rule",
        ),
        pytest.param(
            "storage: {tasks: {database: x}}", "1:29 reference storage.tasks.database", "'x'", "no database", "",
            id="unknown database",
        ),
        pytest.param(
            "vector_stores: {v: {type: pgvector, database: x}}",
            "1:47 reference vector_stores.v.database", "'x'", "no database", "", id="vectors in an unknown database",
        ),
        pytest.param(
            "databases: {x: {driver: sqlite, database: f}}\nvector_stores: {v: {type: pgvector, database: x}}",
            "2:47 reference vector_stores.v.database", "x", "", "driver: postgres", id="vectors in SQLite",
        ),
        pytest.param(
            "storage: {tasks: {backend: inmemory}, sessions: {backend: sql}}",
            "1:39 range storage.sessions", "", "", "same", id="two places",
        ),
        pytest.param(
            "agents: {a: {instruction_file: none.md}}",
            "1:32 file agents.a.instruction_file", "'none.md'", "", "none.md", id="missing instruction file",
        ),
        pytest.param(
            "llms: {d: {provider: ollama, ca_bundle: none.pem}}",
            "1:41 file llms.d.ca_bundle", "'none.pem'", "", "none.pem", id="missing certificates",
        ),
        pytest.param(
            "llms: {d: {provider: local, path: none.gguf}}",
            "1:35 file llms.d.path", "'none.gguf'", "", "none.gguf", id="missing model file",
        ),
        pytest.param(
            "llms: {d: {provider: openai, api_key: a b}}", "1:39 range llms.d.api_key", "", "ASCII", "", id="odd key"
        ),
        pytest.param(
            'llms: {d: {provider: ollama, headers: {X-A: "a\\nb"}}}', "1:45 range llms.d.headers.X-A",
            "", "one line", "",
            id="line break in a header",
        ),
        pytest.param(
            'llms: {d: {provider: ollama, headers: {"X A": b}}}', '1:47 range llms.d.headers["X A"]', "", "letters", "",
            id="no header name",
        ),
        pytest.param("logger: {level: loud}", "1:17 type logger.level", "'loud'", "debug, info", "", id="log level"),
    ],
)  # fmt: skip
def test_a_mistake(tmp_path: Path, text: str, expected: str, found: str, allowed: str, hint: str) -> None:
    (finding,) = errors(tmp_path, text + "\n")
    assert brief(finding) == expected
    assert finding.file == str(tmp_path / "hector.yaml")
    assert found in finding.found
    assert allowed in finding.allowed
    assert hint in finding.hint or hint in finding.message


@pytest.mark.proves("config.errors")
@pytest.mark.parametrize(
    ("provider", "variable"),
    [("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY"), ("gemini", "GEMINI_API_KEY")],
)
def test_a_missing_key(tmp_path: Path, provider: str, variable: str) -> None:
    (finding,) = errors(tmp_path, f"llms:\n  x:\n    provider: {provider}\n", {})
    assert brief(finding) == "2:3 missing llms.x.api_key"
    assert provider in finding.message
    assert variable in finding.hint


MANY = """\
version: 3
llms:
  claude:
    provider: anthropic
    api_key: ${NOT_THERE}
    temperature: hot
    max_token: 5
  gpt: {provider: openai, api: soap}
agents:
  helper:
    llm: cluade
    trigger: {type: schedule}
    tools: [nothing]
    reasoning: {max_iterations: -1}
  other: {type: sequential, sub_agents: [helpr]}
guardrails: {strict: {}}
server: {port: -1}
"""


@pytest.mark.proves("config.errors")
def test_every_mistake_at_once_and_no_noise(tmp_path: Path) -> None:
    found = errors(tmp_path, MANY, {"OPENAI_API_KEY": "k"})
    assert [brief(finding) for finding in found] == [
        "5:14 variable llms.claude.api_key",
        "6:18 type llms.claude.temperature",
        "7:5 unknown llms.claude.max_token",
        "8:32 type llms.gpt.api",
        "11:10 reference agents.helper.llm",
        "12:21 planned agents.helper.trigger.type",
        "13:13 reference agents.helper.tools[0]",
        "14:33 range agents.helper.reasoning.max_iterations",
        "15:42 reference agents.other.sub_agents[0]",
        "16:1 planned guardrails",
        "17:16 range server.port",
    ]


def test_mistakes_in_json_have_places_too(tmp_path: Path) -> None:
    text = '{\n\t"server": {\n\t\t"prot": 1\n\t}\n}'
    (finding,) = errors(tmp_path, text, KEYS, "hector.json")
    assert brief(finding) == "3:3 unknown server.prot"


def test_messages_are_ours(tmp_path: Path) -> None:
    """Nothing of the validation library's own wording reaches the user."""
    text = compact(errors(tmp_path, MANY)).lower()
    for word in ("pydantic", "input should", "extra_forbidden", "literal", "valid integer", "tagged-union", "tuple"):
        assert word not in text


@pytest.mark.proves("config.errors")
def test_the_line_for_people_and_editors(tmp_path: Path) -> None:
    text = str(problem(tmp_path, "server: {prot: 1}\n"))
    path = tmp_path / "hector.yaml"
    assert text.startswith(f"{path}:1:10: error: server.prot: unknown key 'prot' (allowed: host, port")
    assert text.endswith("did you mean 'port'?)")


@pytest.mark.proves("config.errors", "cli.validate.formats")
def test_the_paragraph_shows_the_line(tmp_path: Path) -> None:
    error = problem(tmp_path, "server:\n  prot: 1\n")
    lines = verbose(error.findings, error.source).splitlines()
    assert lines[0] == "error[unknown]: unknown key 'prot'"
    assert lines[1] == f"  --> {tmp_path / 'hector.yaml'}:2:3"
    assert lines[2] == "    2 |   prot: 1"
    assert lines[3] == "      |   ^"


def test_the_caret_stands_right_beside_a_hidden_key(tmp_path: Path) -> None:
    error = problem(tmp_path, f"llms:\n  d: {{provider: ollama, api_key: {SECRET}, nope: 1}}\n")
    _, _, line, caret, *_ = verbose(error.findings, error.source).splitlines()
    assert line == "    2 |   d: {provider: ollama, api_key: ***, nope: 1}"
    assert caret.index("^") == line.index("nope")


SECRET = "sk-very-secret-1234"


@pytest.mark.parametrize(
    "text",
    [
        f"llms:\n  a: {{provider: anthropic, api_key: {SECRET}, nope: 1}}\n",
        f"llms:\n  a:\n    provider: anthropic\n    api_key: {SECRET}\n    headers: [{SECRET}]\n",
        f"llms:\n  a:\n    provider: anthropic\n    api_key: [{SECRET}]\n",
        f"llms:\n  a:\n    provider: anthropic\n    api_key: |\n      {SECRET}\n    nope: 1\n",
        f'llms:\n  a:\n    provider: anthropic\n    api_key: "{SECRET}"\n   b: 1\n',
        f"llms:\n  a: {{provider: anthropic, 'api_key': '{SECRET}', b: [}}\n",
        f"llms:\n  a:\n    provider: ollama\n    headers:\n      Authorization: Bearer {SECRET}\n    nope: 1\n",
        f"llms:\n  a:\n    provider: ollama\n    proxy: ftp://user:{SECRET}@host\n",
        f"databases: {{m: {{driver: sqlite, database: x, password: {SECRET}}}}}\n",
        "llms:\n  a: {provider: ${FROM_ENV}}\n",
        "llms:\n  a: {provider: anthropic, timeout: ${FROM_ENV}}\n",
        "agents:\n  a: {llm: ${FROM_ENV}}\n",
    ],
)
@pytest.mark.proves("config.errors")
def test_secrets_are_in_no_message(tmp_path: Path, text: str) -> None:
    error = problem(tmp_path, text, {"FROM_ENV": SECRET, **KEYS})
    shown = str(error) + verbose(error.findings, error.source) + str([finding.as_json() for finding in error.findings])
    assert SECRET not in shown


@pytest.mark.proves("serve.bad-input")
def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    from hector.config.findings import InvalidConfig

    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    for name, word in (("none.yaml", "no such file"), (".", "folder"), ("latin.yaml", "UTF-8")):
        with pytest.raises(InvalidConfig, match=word):
            load_config(tmp_path / name, surroundings(tmp_path))


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    path.write_bytes(b"\xef\xbb\xbfname: x\nllms: {d: {provider: ollama}}\n")
    assert load_config(path, surroundings(tmp_path)).config.name == "x"
