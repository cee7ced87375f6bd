"""The whole of Hector through its front door, the same for the sources and for both forms of the executable."""

import json
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

import hector as package
from tests.smoke.frontdoor import ROOT, Hector, answer_text, echo_model, request

SCRIPTED = """
llms:
  rules:
    provider: scripted
    rules:
      - user: '(?i)ping'
        text: pong
      - user: remember (?P<what>.+)
        turn: 0
        thinking: to be kept
        tool_calls:
          - {name: save_artifact, args: {name: note.txt, text: '\\g<what>'}}
      - tool_result: save_artifact
        text: kept
      - text: no rule
agents:
  parrot:
    llm: rules
    tools: [save_artifact]
"""
REMOTE = """
llms:
  far:
    provider: openai
    api: chat
    base_url: {url}
    api_key: none
    model: echo
agents:
  echo:
    llm: far
    streaming: false
    tools: []
"""


def write(folder: Path, text: str, name: str = "agents.yaml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return name


@pytest.mark.proves("cli.version")
def test_version(hector: Hector) -> None:
    done = hector.run("version")
    assert (done.returncode, done.stderr) == (0, "")
    assert package.__version__ in done.stdout


@pytest.mark.proves("cli.validate", "config.reviewable")
def test_validate_accepts_a_good_file(hector: Hector) -> None:
    done = hector.run("validate", "--config", write(hector.folder, SCRIPTED))
    assert done.returncode == 0, done.stderr


@pytest.mark.proves("cli.validate", "serve.bad-input")
def test_validate_names_what_is_wrong(hector: Hector) -> None:
    bad = SCRIPTED.replace("provider: scripted", "provider: scripted\n    temprature: 1")
    done = hector.run("validate", "--config", write(hector.folder, bad))
    report = done.stdout + done.stderr
    assert done.returncode == 2
    assert "agents.yaml:5" in report
    assert "temprature" in report
    assert "temperature" in report
    assert "Traceback" not in report


@pytest.mark.proves("cli.schema")
def test_schema_is_json(hector: Hector) -> None:
    done = hector.run("schema")
    assert done.returncode == 0, done.stderr
    assert {"llms", "agents", "tools"} <= json.loads(done.stdout)["properties"].keys()


@pytest.mark.proves("cli.init")
def test_init_writes_a_file_that_validates_and_never_overwrites(hector: Hector) -> None:
    hector = replace(hector, environment={"OPENAI_API_KEY": "from-the-environment"})
    first = hector.run("init")
    assert first.returncode == 0, first.stderr
    text = (hector.folder / ".hector" / "config.yaml").read_text(encoding="utf-8")
    assert "from-the-environment" not in text
    assert hector.run("validate").returncode == 0
    second = hector.run("init")
    assert second.returncode == 2
    assert (hector.folder / ".hector" / "config.yaml").read_text(encoding="utf-8") == text


@pytest.mark.proves("serve.zero-config", "config.zero-config", "serve.stop")
def test_serve_with_nothing_but_a_key_writes_a_file_once_and_serves(hector: Hector) -> None:
    hector = replace(hector, environment={"OPENAI_API_KEY": "from-the-environment"})
    with hector.serve() as server:
        agents = request(f"{server.url}/agents").json()
        assert "/agents/assistant" in json.dumps(agents)
        assert server.stop() == 0
    written = (hector.folder / ".hector" / "config.yaml").read_text(encoding="utf-8")
    with hector.serve() as server:
        assert server.stop() == 0
    assert (hector.folder / ".hector" / "config.yaml").read_text(encoding="utf-8") == written


@pytest.mark.proves("serve.demo", "config.zero-config")
@pytest.mark.parametrize("arguments", [(), ("--demo",)], ids=["nothing found", "asked for"])
def test_demo_says_that_no_model_is_running(hector: Hector, arguments: tuple[str, ...]) -> None:
    with hector.serve(*arguments) as server:
        task = server.say("assistant", "hello")
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        assert "no language model is running" in answer_text(task).lower()


@pytest.mark.proves("a2a.rest", "a2a.jsonrpc", "a2a.save-artifact", "models.scripted", "standards.a2a")
def test_both_bindings_answer(hector: Hector) -> None:
    with hector.serve("--config", write(hector.folder, SCRIPTED)) as server:
        card = request(f"{server.url}/agents/parrot/.well-known/agent-card.json")
        assert card.status == 200
        assert card.json()["name"]
        assert answer_text(server.say("parrot", "ping")) == "pong"
        body = {"message": {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "remember the milk"}]}}
        call = {"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": body}
        answer = request(f"{server.url}/agents/parrot", call, {"A2A-Version": "1.0"}).json()
        assert answer["id"] == 7
        task = answer["result"]["task"]
        assert {artifact["name"] for artifact in task["artifacts"]} >= {"note.txt"}
        assert "the milk" in answer_text(task)


@pytest.mark.proves("a2a.streaming")
def test_streaming_ends_with_a_terminal_state(hector: Hector) -> None:
    with hector.serve("--config", write(hector.folder, SCRIPTED)) as server:
        body = {"message": {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "ping"}]}}
        answer = request(f"{server.url}/agents/parrot/message:stream", body, {"A2A-Version": "1.0"})
    events = [json.loads(line[5:]) for line in answer.body.decode().splitlines() if line.startswith("data:")]
    assert "task" in events[0]
    assert events[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.proves("web.schema", "web.health")
def test_health_and_schema(hector: Hector) -> None:
    with hector.serve("--config", write(hector.folder, SCRIPTED)) as server:
        for path in ("/health", "/livez", "/readyz"):
            assert request(server.url + path).status == 200
        assert "agents" in request(f"{server.url}/schema").json()["properties"]


@pytest.mark.proves("cli.chat.pipe")
def test_chat_in_a_pipe(hector: Hector) -> None:
    done = hector.run("chat", "--config", write(hector.folder, SCRIPTED), "--agent", "parrot", text="ping\n")
    assert done.returncode == 0, done.stderr
    assert "pong" in done.stdout


@pytest.mark.proves("serve.kill", "state.restart", "durability.sessions", "durability.tasks")
def test_conversation_goes_on_after_a_kill(hector: Hector) -> None:
    with echo_model() as url:
        config = write(hector.folder, REMOTE.format(url=url))
        with hector.serve("--config", config) as server:
            first = server.say("echo", "one")
            assert answer_text(first) == "1: one"
            assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        with hector.serve("--config", config) as server:
            second = server.say("echo", "two", first["contextId"])
            assert answer_text(second) == "2: one | two"
            kept = request(f"{server.url}/agents/echo/tasks/{first['id']}", headers={"A2A-Version": "1.0"}).json()
            assert kept["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.proves("serve.model-down")
def test_a_model_that_is_down_fails_the_task_and_nothing_else(hector: Hector) -> None:
    config = REMOTE.format(url="http://127.0.0.1:1/v1").replace("model: echo", "retry: {max_attempts: 1}")
    with hector.serve("--config", write(hector.folder, config)) as server:
        assert server.say("echo", "anyone?")["status"]["state"] == "TASK_STATE_FAILED"
        assert request(f"{server.url}/health").status == 200


@pytest.mark.proves("serve.port-in-use")
def test_port_in_use_is_one_message(hector: Hector) -> None:
    config = write(hector.folder, SCRIPTED)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = hector.run("serve", "--config", config, "--port", port)
    assert done.returncode == 2
    assert port in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.proves("serve.bad-input")
@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("agents: {a: {llm: missing}}", "missing", id="unknown reference"),
        pytest.param("agents: [", "agents.yaml:", id="broken YAML"),
        pytest.param("guardrails: {strict: {}}", "guardrails", id="not built yet"),
    ],
)
def test_serve_refuses_a_wrong_file(hector: Hector, text: str, named: str) -> None:
    done = hector.run("serve", "--config", write(hector.folder, text))
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.proves("cli.config")
def test_a_missing_file_is_one_message(hector: Hector) -> None:
    done = hector.run("serve", "--config", "nowhere.yaml")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.frozen  # from source, tests/config loads them all in one process
def test_every_example_validates(hector: Hector) -> None:
    keys = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY")
    hector = replace(hector, environment=dict.fromkeys(keys, "from-the-environment"))
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        done = hector.run("validate", "--config", str(path))
        assert done.returncode == 0, f"{path.name}: {done.stdout}{done.stderr}"
