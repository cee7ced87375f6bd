"""The first configuration: what is chosen, what is written, and that it is right."""

import http.server
import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hector.config.detect import Choice, Surroundings, Wishes, choose, probe_ollama
from hector.config.environment import Environment
from hector.config.findings import InvalidConfig
from hector.config.generate import demo, generate
from hector.config.llm_anthropic import AnthropicLlm
from hector.config.llm_local import LocalLlm
from hector.config.llm_ollama import OllamaLlm
from hector.config.llm_openai import OpenAiLlm
from hector.config.llm_scripted import ScriptedLlm
from hector.config.load import Loaded, load_config, parse_config
from tests.config.sample import llm_agent, write


@contextmanager
def ollama(answer: object) -> Iterator[str]:
    """A server that answers /api/tags like Ollama."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200 if self.path == "/api/tags" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


NOTHING = Surroundings(ollama=lambda _: None, local_model=lambda: None)
EVERYTHING = Surroundings(ollama=lambda _: ["qwen3:4b", "other"], local_model=lambda: Path("/m/tiny.gguf"))


def environment(folder: Path, **variables: str) -> Environment:
    return Environment({"HOME": str(folder / "nobody"), **variables})


@pytest.mark.proves("config.zero-config")
@pytest.mark.parametrize(
    ("wishes", "variables", "around", "expected"),
    [
        (Wishes(provider="openai"), {"ANTHROPIC_API_KEY": "k"}, EVERYTHING, ("openai", "")),
        (Wishes(), {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}, EVERYTHING, ("anthropic", "")),
        (Wishes(model="m"), {"OPENAI_API_KEY": "k", "GEMINI_API_KEY": "k"}, EVERYTHING, ("openai", "m")),
        (Wishes(), {"GOOGLE_API_KEY": "k"}, EVERYTHING, ("gemini", "")),
        (Wishes(), {}, EVERYTHING, ("ollama", "qwen3:4b")),
        (Wishes(provider="ollama"), {}, EVERYTHING, ("ollama", "qwen3:4b")),
        (Wishes(provider="ollama", model="m"), {}, NOTHING, ("ollama", "m")),
        (Wishes(), {}, Surroundings(lambda _: [], lambda: Path("tiny.gguf")), ("local", "")),
        (Wishes(), {}, NOTHING, None),
    ],
)
def test_the_order(
    tmp_path: Path, wishes: Wishes, variables: dict[str, str], around: Surroundings, expected: tuple[str, str] | None
) -> None:
    choice = choose(wishes, environment(tmp_path, **variables), around)
    assert (choice and (choice.provider, choice.model)) == expected


def make(folder: Path, wishes: Wishes | None = None, around: Surroundings = NOTHING, **variables: str) -> Loaded:
    """Generate into `.hector` of a folder, and load the result."""
    path, env = folder / ".hector" / "config.yaml", environment(folder, **variables)
    made = generate(path, env, wishes, around)
    assert made.path == path
    return load_config(path, env)


@pytest.mark.proves("serve.zero-config")
def test_the_file(tmp_path: Path) -> None:
    config = make(tmp_path, ANTHROPIC_API_KEY="sk-secret").config
    assert config.llms == {"default": AnthropicLlm(api_key="sk-secret")}
    assert list(config.agents) == ["assistant"]
    assert llm_agent(config, "assistant").tools == ()
    path = tmp_path / ".hector" / "config.yaml"
    text = path.read_text(encoding="utf-8")
    assert "sk-secret" not in text
    assert "api_key: ${ANTHROPIC_API_KEY}" in text
    assert text.startswith("# Made by `hector serve`")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.proves("serve.zero-config")
def test_it_is_never_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path, "name: mine\n", ".hector/config.yaml")
    made = generate(path, environment(tmp_path, OPENAI_API_KEY="k"), Wishes(), NOTHING)
    assert made.text == path.read_text(encoding="utf-8") == "name: mine\n"
    assert "exists" in made.notes[0]


@pytest.mark.proves("config.zero-config")
def test_the_demo_is_the_last_resort_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / ".hector" / "config.yaml"
    made = generate(path, environment(tmp_path), Wishes(), NOTHING)
    assert made.path is None
    assert not path.exists()
    assert "no language model is running" in made.notes[0]
    assert any("ANTHROPIC_API_KEY" in note for note in made.notes)
    assert isinstance(parse_config(made.text, "demo", {}).config.llms["default"], ScriptedLlm)


def test_the_demo_by_wish(tmp_path: Path) -> None:
    made = generate(
        tmp_path / "x.yaml", environment(tmp_path, OPENAI_API_KEY="k"), Wishes(provider="scripted"), NOTHING
    )
    assert (made.text, made.path) == (demo().text, None)


def test_a_local_model(tmp_path: Path) -> None:
    found = make(tmp_path, around=Surroundings(lambda _: None, lambda: Path("/m/tiny.gguf")))
    assert isinstance(found.config.llms["default"], LocalLlm)


def test_ollama_with_its_first_model(tmp_path: Path) -> None:
    with ollama({"models": [{"name": "tiny:1b"}, {"name": "big"}]}) as address:
        around = Surroundings(local_model=lambda: None)
        llm = make(tmp_path, around=around, OLLAMA_HOST=address.removeprefix("http://")).config.llms["default"]
    assert isinstance(llm, OllamaLlm)
    assert (llm.model, llm.base_url) == ("tiny:1b", address)


@pytest.mark.parametrize("answer", [[], {"models": 5}, {"error": "x"}, "text", {"models": [{}]}])
def test_something_else_that_answers_is_no_ollama(answer: object) -> None:
    with ollama(answer) as address:
        assert probe_ollama(address) is None


def test_nothing_that_answers_is_no_ollama() -> None:
    assert probe_ollama("http://127.0.0.1:9") is None
    assert probe_ollama("nonsense") is None


def test_wishes_become_the_file(tmp_path: Path) -> None:
    wishes = Wishes(
        provider="openai",
        model="gpt: 5",
        base_url="http://127.0.0.1:9/v1",
        instruction='Costs $5: say "no"\n\n# really {x}\n',
        tools=("ask_user",),
        name="true",
    )
    config = make(tmp_path, wishes).config
    assert config.llms == {"default": OpenAiLlm(model="gpt: 5", base_url="http://127.0.0.1:9/v1")}
    assert llm_agent(config, "assistant").instruction == 'Costs $5: say "no"\n\n# really {x}'
    assert llm_agent(config, "assistant").tools == ("ask_user",)
    assert config.name == "true"


def test_a_given_key_is_used_but_not_written(tmp_path: Path) -> None:
    env = environment(tmp_path)
    path = tmp_path / "config.yaml"
    made = generate(path, env, Wishes(provider="gemini", api_key="sk-secret"), NOTHING)
    assert "sk-secret" not in made.text
    assert env.get("GEMINI_API_KEY") == "sk-secret"
    assert any("GEMINI_API_KEY" in note for note in made.notes)
    load_config(path, env)


@pytest.mark.parametrize(
    ("wishes", "word"),
    [
        (Wishes(provider="antropic"), "'anthropic'"),
        (Wishes(provider="ollama", tools=("search",)), "document_stores"),
        (Wishes(provider="ollama", tools=("ask_usr",)), "'ask_user'"),
    ],
)
def test_wishes_that_make_no_sense(tmp_path: Path, wishes: Wishes, word: str) -> None:
    with pytest.raises(InvalidConfig, match=word):
        generate(tmp_path / "c.yaml", environment(tmp_path), wishes, NOTHING)
    assert not (tmp_path / "c.yaml").exists()


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / ".hector").write_text("a file in the way", encoding="utf-8")
    made = generate(tmp_path / ".hector" / "config.yaml", environment(tmp_path, OPENAI_API_KEY="k"), None, NOTHING)
    assert made.path is None
    assert "cannot be written" in made.notes[-1]
    assert isinstance(parse_config(made.text, env={"OPENAI_API_KEY": "k"}).config.llms["default"], OpenAiLlm)


SKILL = """\
---
name: release-notes
description: 'Writes: release notes'
allowed-tools: Read, Bash(git:*, gh:*) save_artifact
---

# Release notes

Write them for ${product}.
"""


@pytest.mark.proves("config.skill")
def test_a_skill_becomes_the_instruction(tmp_path: Path) -> None:
    write(tmp_path, SKILL, "SKILL.md")
    path, env = tmp_path / ".hector" / "config.yaml", environment(tmp_path, OPENAI_API_KEY="k")
    made = generate(path, env, Wishes(), NOTHING)
    agent = llm_agent(load_config(path, env).config, "assistant")
    assert agent.instruction == "# Release notes\n\nWrite them for ${product}."
    assert agent.instruction_file == "../SKILL.md"
    assert (agent.name, agent.description) == ("release-notes", "Writes: release notes")
    assert agent.tools == ("save_artifact",)
    assert any("Read, Bash(git:*, gh:*)" in note and "not available" in note for note in made.notes)


@pytest.mark.parametrize("tools", ["[Read, save_artifact]", "Read save_artifact", "\n  - Read\n  - save_artifact"])
def test_forms_of_allowed_tools(tmp_path: Path, tools: str) -> None:
    write(tmp_path, f"---\nname: x\nallowed-tools: {tools}\n---\nDo it.\n", "SKILL.md")
    assert llm_agent(make(tmp_path, OPENAI_API_KEY="k").config, "assistant").tools == ("save_artifact",)


def test_wishes_win_over_a_skill(tmp_path: Path) -> None:
    write(tmp_path, SKILL, "SKILL.md")
    agent = llm_agent(make(tmp_path, Wishes(instruction="Mine.", tools=()), OPENAI_API_KEY="k").config, "assistant")
    assert (agent.instruction, agent.tools) == ("Mine.", ())


def test_a_skill_without_a_head(tmp_path: Path) -> None:
    write(tmp_path, "Just do it.\n", "SKILL.md")
    agent = llm_agent(make(tmp_path, OPENAI_API_KEY="k").config, "assistant")
    assert (agent.instruction, agent.tools, agent.name) == ("Just do it.", (), tmp_path.name)


def test_reasons_are_told(tmp_path: Path) -> None:
    assert choose(Wishes(), environment(tmp_path, OPENAI_API_KEY="k"), NOTHING) == Choice(
        "openai", "", "OPENAI_API_KEY is set"
    )
