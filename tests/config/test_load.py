"""What files mean: defaults, completion, weak typing, older spellings."""

from pathlib import Path

import pytest

from hector.config.agents import LlmAgent
from hector.config.base import octets, seconds
from hector.config.llm_anthropic import AnthropicLlm
from hector.config.llm_gemini import GeminiLlm
from hector.config.llm_local import LocalLlm
from hector.config.llm_ollama import OllamaLlm
from hector.config.llm_openai import OpenAiLlm
from hector.config.llm_scripted import ScriptedLlm
from hector.config.load import load_config, parse_config
from tests.config.sample import KEYS, brief, config, errors, llm_agent, loaded, surroundings, write

OLLAMA = "llms: {d: {provider: ollama}}\n"


@pytest.mark.proves("config.yaml", "config.sections")
def test_an_empty_file(tmp_path: Path) -> None:
    found = config(tmp_path, "", {"OPENAI_API_KEY": "k"})
    assert list(found.llms) == ["default"]
    assert found.llms["default"] == OpenAiLlm(api_key="k")
    assert list(found.agents) == ["assistant"]
    assert llm_agent(found, "assistant").llm == "default"
    assert (found.version, found.name) == ("2", "hector")


def test_no_file_means_an_empty_one(tmp_path: Path) -> None:
    assert load_config(None, surroundings(tmp_path)).config == config(tmp_path, "")


def test_sections_are_immutable(tmp_path: Path) -> None:
    from pydantic import ValidationError

    found = config(tmp_path, "")
    with pytest.raises(ValidationError):
        setattr(found, "name", "other")  # noqa: B010 - the type checker refuses the plain form


@pytest.mark.parametrize(
    ("env", "provider"),
    [
        (KEYS, "anthropic"),
        ({"OPENAI_API_KEY": "k", "GEMINI_API_KEY": "k"}, "openai"),
        ({"GEMINI_API_KEY": "k"}, "gemini"),
        ({"GOOGLE_API_KEY": "k"}, "gemini"),
        ({"ANTHROPIC_API_KEY": " "}, "ollama"),
        ({}, "ollama"),
    ],
)
@pytest.mark.proves("config.zero-config")
def test_the_provider_comes_from_the_keys(tmp_path: Path, env: dict[str, str], provider: str) -> None:
    assert config(tmp_path, "", env).llms["default"].provider == provider


@pytest.mark.parametrize(
    ("block", "provider"),
    [
        ("model: claude-sonnet-4", "anthropic"),
        ("model: gpt-4o", "openai"),
        ("model: o3-mini", "openai"),
        ("model: gemini-2.5-pro", "gemini"),
        ('model: "qwen3:4b"', "ollama"),
        ("base_url: http://localhost:11434", "ollama"),
        ("base_url: http://localhost:8000/v1", "openai"),
        ("base_url: https://x.openai.azure.com", "openai"),
        ("rules: []", "scripted"),
    ],
)
def test_the_provider_comes_from_the_block(tmp_path: Path, block: str, provider: str) -> None:
    env = {"GEMINI_API_KEY": "k", "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
    assert config(tmp_path, f"llms:\n  x:\n    {block}\n", env).llms["x"].provider == provider


def test_default_models(tmp_path: Path) -> None:
    text = "llms: {a: {provider: anthropic}, b: {provider: openai}, c: {provider: gemini}, d: {provider: ollama}}"
    models = [llm.model for llm in config(tmp_path, text).llms.values()]
    assert models == ["claude-sonnet-5-5", "gpt-6.2-sol", "gemini-3.8-flash", ""]


def test_keys_and_addresses_come_from_the_environment(tmp_path: Path) -> None:
    env = {**KEYS, "ANTHROPIC_BASE_URL": "http://gate:1/", "OLLAMA_HOST": "0.0.0.0"}
    found = config(tmp_path, "llms: {a: {provider: anthropic}, o: {provider: ollama}}", env)
    claude, ollama = found.llms["a"], found.llms["o"]
    assert isinstance(claude, AnthropicLlm)
    assert (claude.api_key, claude.base_url) == ("a-key", "http://gate:1")
    assert isinstance(ollama, OllamaLlm)
    assert ollama.base_url == "http://127.0.0.1:11434"


def test_an_open_server_needs_no_key(tmp_path: Path) -> None:
    found = config(tmp_path, "llms: {x: {provider: openai, base_url: 'http://127.0.0.1:9/v1', model: m}}", {})
    assert isinstance(found.llms["x"], OpenAiLlm)
    assert found.llms["x"].api_key == ""


def test_a_key_that_ends_in_a_line_break(tmp_path: Path) -> None:
    found = config(tmp_path, "llms: {c: {provider: anthropic, api_key: $K}}", {"K": "key\n"}).llms["c"]
    assert isinstance(found, AnthropicLlm)
    assert found.api_key == "key"


def test_a_place_for_anchors(tmp_path: Path) -> None:
    text = "x-common: &common {provider: ollama, timeout: 7s}\nllms: {a: {<<: *common, model: m}}\n"
    assert config(tmp_path, text).llms["a"] == OllamaLlm(model="m", timeout=7.0)


def test_a_tool_that_is_switched_off(tmp_path: Path) -> None:
    found = loaded(tmp_path, "tools: {t: {handler: ask_user, enabled: false}}\nagents: {a: {tools: [t]}}\n")
    assert [brief(warning) for warning in found.warnings] == ["2:22 reference agents.a.tools[0]"]


def test_keys_stay_out_of_representations(tmp_path: Path) -> None:
    assert "a-key" not in repr(config(tmp_path, "llms: {a: {provider: anthropic}}"))


@pytest.mark.parametrize(
    ("text", "llm"),
    [
        ("defaults: {llm: b}\nllms: {a: {provider: ollama}, b: {provider: ollama}}", "b"),
        ("llms: {a: {provider: ollama}, default: {provider: ollama}}", "default"),
        ("llms: {a: {provider: ollama}}", "a"),
    ],
)
def test_the_model_of_an_agent_that_names_none(tmp_path: Path, text: str, llm: str) -> None:
    found = loaded(tmp_path, text + "\nagents: {x: {}}\n")
    assert llm_agent(found.config, "x").llm == llm
    assert found.warnings == ()


def test_the_first_of_several_models_is_taken_with_a_warning(tmp_path: Path) -> None:
    found = loaded(tmp_path, "llms:\n  a: {provider: ollama}\n  b: {provider: ollama}\nagents: {x: {}}\n")
    assert llm_agent(found.config, "x").llm == "a"
    assert [brief(warning) for warning in found.warnings] == ["1:1 reference llms"]


@pytest.mark.proves("config.durations")
@pytest.mark.parametrize(
    ("written", "value"),
    [("30s", 30), ("1h30m", 5400), ("200ms", 0.2), ("1.5", 1.5), (2, 2.0), ("1d", 86400), ("1m 5s", 65), ("5µs", 5e-6)],
)
def test_durations(tmp_path: Path, written: object, value: float) -> None:
    llm = config(tmp_path, f"llms: {{d: {{provider: ollama, timeout: {written}}}}}").llms["d"]
    assert llm.timeout == pytest.approx(value)


@pytest.mark.proves("config.durations")
@pytest.mark.parametrize("written", ["soon", "5 parsecs", "-1s", "-1", "1h30", "", ".inf"])
def test_no_durations(tmp_path: Path, written: str) -> None:
    (finding,) = errors(tmp_path, f"llms: {{d: {{provider: ollama, timeout: '{written}'}}}}")
    assert finding.where == ("llms", "d", "timeout")


@pytest.mark.parametrize(("written", "value"), [("10 MiB", 10 * 2**20), ("5mb", 5 * 2**20), ("64k", 65536), ("99", 99)])
def test_sizes(written: str, value: int) -> None:
    assert octets(written) == value


def test_other_values_pass_through() -> None:
    assert (seconds("x"), seconds(None), octets("x"), octets([])) == ("x", None, "x", [])


@pytest.mark.proves("config.sections")
def test_weak_typing(tmp_path: Path) -> None:
    text = """
        version: 2
        llms: {d: {provider: ollama, temperature: "0.5", max_tokens: "100", headers: {X-Count: 5}}}
        agents:
          a: {streaming: "no", tools: "ask_user, save_artifact", input_modes: text/plain, enforce_input_modes: on}
        server: {port: "9090"}
    """
    found = config(tmp_path, text)
    agent, llm = llm_agent(found, "a"), found.llms["d"]
    assert (found.version, found.server.port, llm.temperature, llm.max_tokens) == ("2", 9090, 0.5, 100)
    assert (agent.streaming, agent.enforce_input_modes) == (False, True)
    assert (agent.tools, agent.input_modes) == (("ask_user", "save_artifact"), ("text/plain",))
    assert llm.headers == {"X-Count": "5"}


def test_empty_blocks_are_left_out(tmp_path: Path) -> None:
    text = "llms:\n  d:\n    provider: ollama\n    thinking:\nagents:\n  a:\ntools:\nserver:\n  port:\n"
    found = config(tmp_path, text)
    assert (llm_agent(found, "a").llm, found.llms["d"].thinking, found.server.port) == ("d", None, 8080)


def test_nothing_in_free_form_data_is_dropped(tmp_path: Path) -> None:
    text = "agents: {a: {structured_output: {schema: {type: object, default: null, enum: [null, 1]}}}}"
    output = llm_agent(config(tmp_path, text), "a").structured_output
    assert output is not None
    assert output.json_schema == {"type": "object", "default": None, "enum": [None, 1]}


def test_tools_left_out_and_none(tmp_path: Path) -> None:
    found = config(tmp_path, "agents: {all: {}, none: {tools: []}}")
    assert (llm_agent(found, "all").tools, llm_agent(found, "none").tools) == (None, ())


def test_thinking_is_on_by_its_presence(tmp_path: Path) -> None:
    text = "llms: {a: {provider: ollama, thinking: {budget_tokens: 4096}}, b: {provider: ollama, thinking: {}}}"
    thinking = [llm.thinking for llm in config(tmp_path, text).llms.values()]
    assert [(item.enabled, item.budget_tokens) for item in thinking if item] == [(True, 4096), (True, 1024)]


def test_instruction_files(tmp_path: Path) -> None:
    write(tmp_path, "---\nname: x\n---\nBe {user:mood}.\n", "texts/role.md")
    found = loaded(tmp_path, "agents: {a: {instruction: old, instruction_file: texts/role.md}}")
    assert llm_agent(found.config, "a").instruction == "Be {user:mood}."
    assert tmp_path / "texts/role.md" in found.files
    assert tmp_path / "hector.yaml" in found.files


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    write(tmp_path, "GGUF", "models/m.gguf")
    write(tmp_path, "x", "ca.pem")
    llm = config(tmp_path, "llms: {d: {provider: local, path: models/m.gguf, ca_bundle: ./ca.pem}}").llms["d"]
    assert isinstance(llm, LocalLlm)
    assert (llm.path, llm.ca_bundle) == (str(tmp_path / "models/m.gguf"), str(tmp_path / "ca.pem"))


@pytest.mark.proves("config.json")
def test_json_files(tmp_path: Path) -> None:
    found = config(tmp_path, '{\n\t"llms": {"d": {"provider": "ollama", "temperature": 0}}\n}', name="hector.json")
    assert found.llms["d"].temperature == 0


def test_json_text_without_a_file() -> None:
    found = parse_config('{"llms": {"d": {"provider": "scripted", "rules": [{"text": "hi"}]}}}', "app.json", {})
    assert isinstance(found.config.llms["d"], ScriptedLlm)
    assert found.path is None


def test_functions_registered_from_python(tmp_path: Path) -> None:
    path = write(tmp_path, "tools: {w: {handler: weather}}\n" + OLLAMA)
    found = load_config(path, surroundings(tmp_path), handlers={"weather"})
    assert "weather" in repr(found.config.tools["w"])


@pytest.mark.proves("config.aliases")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("agents: {a: {prompt: {system: S}}}", "agents: {a: {prompt: {system_prompt: S}}}"),
        ("agents: {a: {system_prompt: S}}", "agents: {a: {prompt: {system_prompt: S}}}"),
        ("agents: {a: {type: llm}}", "agents: {a: {}}"),
        ("agents: {a: {workflow: llm}}", "agents: {a: {}}"),
        ("tools: {t: {handler: ask_user, max_execution_time: 5s}}", "tools: {t: {handler: ask_user, timeout: 5}}"),
        ("databases: {m: {driver: sqlite3, path: x.db}}", "databases: {m: {driver: sqlite, database: x.db}}"),
        ("databases: {m: {dsn: 'sqlite://x.db'}}", "databases: {m: {driver: sqlite, database: x.db}}"),
        (
            "databases: {m: {driver: pgx, host: h, database: d, user: u, sslmode: require, max_open_conns: 9}}",
            "databases: {m: {driver: postgres, host: h, database: d, username: u, ssl_mode: require, max_conns: 9}}",
        ),
        (
            "databases: {m: {dsn: 'postgresql://u:p%2Fw@h:5433/d?sslmode=verify-full&sslrootcert=ca.pem'}}",
            "databases: {m: {driver: postgres, host: h, port: 5433, database: d, username: u, password: p/w, "
            "ssl_mode: verify-full, ssl_root_cert: ca.pem}}",
        ),
        ("server: {tasks: {backend: inmemory}}", "storage: {tasks: {backend: inmemory}}"),
        ("server: {storage: {sessions: {backend: memory}}}", "storage: {sessions: {backend: inmemory}}"),
        ("logger: {format: simple, level: warning}", "logger: {format: text, level: warn}"),
        ("logger: {format: verbose}", "logger: {format: text}"),
        ("logger: {format: custom}", "logger: {format: text}"),
        *(
            (f"vector_stores: {{v: {{type: {name}, enable_persistence: true}}}}", "vector_stores: {v: {}}")
            for name in ("Chromem", "embedded", "numpy", "Local")
        ),
    ],
)
def test_older_spellings(tmp_path: Path, old: str, new: str) -> None:
    assert config(tmp_path, old) == config(tmp_path, new)


@pytest.mark.proves("config.aliases")
def test_old_and_new_name_together(tmp_path: Path) -> None:
    (finding,) = errors(tmp_path, "agents:\n  a:\n    prompt:\n      system: x\n      system_prompt: y\n")
    assert brief(finding) == "4:7 duplicate agents.a.prompt.system"


def test_mistakes_under_an_older_name_are_shown_where_they_stand(tmp_path: Path) -> None:
    (finding,) = errors(tmp_path, "tools:\n  t: {handler: ask_user, max_execution_time: soon}\n")
    assert brief(finding) == "2:46 type tools.t.timeout"


def test_a_dsn_of_a_planned_database(tmp_path: Path) -> None:
    (finding,) = errors(tmp_path, "databases: {m: {dsn: 'mysql://u:geheim@h/db'}}\n")
    assert finding.kind == "planned"
    assert "geheim" not in str(finding)


SEED = """
    llms:
      claude:
        provider: anthropic
        model: claude-sonnet-4
        api_key: ${ANTHROPIC_API_KEY}
        thinking:
          enabled: true
          budget_tokens: 4096
      gpt4:
        provider: openai
        model: gpt-4o
        api_key: ${OPENAI_API_KEY}
      local:
        provider: ollama
        model: llama3.2
        base_url: http://localhost:11434
    agents:
      assistant:
        instruction: |
          Hello {user:name}, you're working on {app:project}.
          Context: {artifact.context.md}
          Previous summary: {temp:last_summary?}
"""


@pytest.mark.proves("config.seed-yaml", "config.llms.thinking", "standards.swap-provider")
def test_the_product_descriptions_own_yaml(tmp_path: Path) -> None:
    found = config(tmp_path, SEED)
    claude, gpt, local = found.llms["claude"], found.llms["gpt4"], found.llms["local"]
    assert isinstance(claude, AnthropicLlm)
    assert (claude.model, claude.api_key) == ("claude-sonnet-4", "a-key")
    assert claude.thinking is not None
    assert (claude.thinking.enabled, claude.thinking.budget_tokens) == (True, 4096)
    assert isinstance(gpt, OpenAiLlm)
    assert isinstance(local, OllamaLlm)
    agent = llm_agent(found, "assistant")
    assert agent.llm == "claude"
    assert agent.instruction.startswith("Hello {user:name}, you're working on {app:project}.\n")
    assert agent.instruction.endswith("{temp:last_summary?}\n")


def test_the_llms_block_alone(tmp_path: Path) -> None:
    found = config(tmp_path, SEED.split("    agents:")[0])
    assert found.agents == {"assistant": LlmAgent(llm="claude")}


def test_swapping_the_provider_is_one_line(tmp_path: Path) -> None:
    text = "llms:\n  default:\n    provider: {}\nagents: {{a: {{instruction: hi}}}}\n"
    kinds = [
        type(config(tmp_path, text.format(name)).llms["default"])
        for name in ("anthropic", "openai", "gemini", "ollama")
    ]
    assert kinds == [AnthropicLlm, OpenAiLlm, GeminiLlm, OllamaLlm]


@pytest.mark.proves("config.errors")
def test_a_setting_that_its_provider_cannot_follow_is_said_to_be_idle(tmp_path: Path) -> None:
    text = (
        "llms:\n"
        "  default: {provider: scripted, temperature: 0.5, rules: [{text: hi}]}\n"
        "  g: {provider: gemini, api_key: not-a-key, temperature: 0.5, parallel_tool_calls: false}\n"
    )
    found = loaded(tmp_path, text)
    assert [brief(warning) for warning in found.warnings] == [
        "2:33 range llms.default.temperature",
        "3:63 range llms.g.parallel_tool_calls",
    ]
    assert "no effect with provider gemini" in found.warnings[1].message


@pytest.mark.proves("models.fallback")
def test_several_models(tmp_path: Path) -> None:
    text = "defaults: {llm: [b, a]}\nllms: {a: {provider: ollama}, b: {provider: ollama}}\n"
    found = config(tmp_path, text + "agents: {x: {}, y: {llm: [a]}, z: {llm: [a, b]}}\n")
    assert [llm_agent(found, name).llms for name in "xyz"] == [("b", "a"), ("a",), ("a", "b")]


@pytest.mark.proves("models.fallback")
@pytest.mark.parametrize(
    ("llm", "where"),
    [
        ("[a, c]", "reference agents.x.llm[1]"),
        ("[a, a]", "agents.x.llm"),
        ("[]", "agents.x.llm"),
        ("{}", "agents.x.llm"),
    ],
)
def test_wrong_lists_of_models(tmp_path: Path, llm: str, where: str) -> None:
    text = f"llms: {{a: {{provider: ollama}}}}\nagents: {{x: {{llm: {llm}}}}}\n"
    assert any(where in brief(finding) for finding in errors(tmp_path, text))
