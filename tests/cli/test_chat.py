"""`hector chat` as a process: in a pipe and at a terminal, with a server and without one."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.driver import PATIENCE, environment, hector, pipe, serving, terminal

CONFIG = """
name: chat-test
llms:
  rules:
    provider: scripted
    rules:
      - {user: 'again', text: 'You said something before.'}
      - user: 'remember (\\w+)'
        turn: 0
        thinking: 'Let me keep \\1.'
        tool_calls: [{name: save_artifact, args: {name: note.txt, text: '\\1'}}]
      - {tool_result: save_artifact, text: 'Noted.'}
      - {tool_result: ask_user, tool_result_matches: '(\\w+)', text: 'So it is \\1.'}
      - {user: 'ask', tool_calls: [{name: ask_user, args: {question: 'Which colour?'}}]}
      - {user: 'fail', error: {status: 400, message: 'no such luck'}}
      - {user: 'slow', text: 'one two three four five', pace: 20s}
      - {user: 'evil', text: "red \\e[31m bell \\a end"}
      - {text: "Hello, **you**.\\nBye."}
agents:
  first: {description: The first one., tools: [save_artifact, ask_user]}
  second: {description: The other one., tools: []}
"""


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    folder: Path


@contextmanager
def chatting(folder: Path) -> Iterator[str]:
    """A running server over CONFIG."""
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    with serving(folder, "config.yaml") as url:
        yield url


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("server")
    with chatting(folder) as url:
        yield Served(url, folder)


@pytest.mark.proves("cli.chat", "cli.chat.pipe")
def test_a_pipe_gets_the_answer_and_nothing_else(server: Served) -> None:
    done = pipe("hi\n", "--url", server.url, folder=server.folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello, **you**.\nBye.\n", "")
    done = pipe("remember milk", "--url", server.url, "--agent", "first", folder=server.folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Noted.\n", "")
    done = pipe("hi\n", "--agent", "second", folder=server.folder, HECTOR_URL=server.url + "/")
    assert (done.returncode, done.stdout) == (0, "Hello, **you**.\nBye.\n")


@pytest.mark.proves("cli.chat.pipe")
def test_a_pipe_tells_by_its_exit_code(server: Served, tmp_path: Path) -> None:
    failed = pipe("fail", "--url", server.url, folder=tmp_path)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "no such luck" in failed.stderr
    asked = pipe("ask", "--url", server.url, folder=tmp_path)
    question, _, task = asked.stderr.partition("\nhector: to answer, say it to the same agent with --task ")
    assert (asked.returncode, asked.stdout, question) == (1, "", "hector: the agent asks: Which colour?")
    answered = pipe("red", "--url", server.url, "--task", task.strip(), folder=tmp_path)
    assert (answered.returncode, answered.stdout) == (0, "So it is red.\n")
    away = pipe("hi", "--url", "http://127.0.0.1:1", folder=tmp_path)
    assert (away.returncode, away.stdout) == (1, "")
    assert "is the server running" in away.stderr


@pytest.mark.proves("cli.chat.pipe")
@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (("--agent", "third"), "hi", "there is no agent 'third'; there are: first, second"),
        ((), " \n", "standard input is empty"),
        (("--config", "config.yaml"), "hi", "not both"),
        (("--nonsense",), "hi", "--nonsense"),
    ],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...], text: str, said: str, server: Served) -> None:
    done = pipe(text, "--url", server.url, *arguments, folder=server.folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def with_output(target: str, *arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """A chat whose standard output the shell sends to `target`."""
    command = ["/bin/sh", "-c", f'"$@" {target}', "sh", *hector("chat", *arguments)]
    return subprocess.run(
        command, input="hello", text=True, capture_output=True, timeout=PATIENCE, cwd=folder, env=environment(folder)
    )


@pytest.mark.proves("cli.chat.pipe")
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_an_answer_that_cannot_be_written_is_said_in_a_line(form: tuple[str, ...], server: Served) -> None:
    full = with_output(">/dev/full", "--url", server.url, *form, folder=server.folder)
    assert (full.returncode, full.stderr) == (1, "hector: cannot write the answer: No space left on device\n")
    left = with_output("| true", "--url", server.url, *form, folder=server.folder)
    assert left.stderr == ""
    shut = with_output(">&-", "--url", server.url, *form, folder=server.folder)
    assert (shut.returncode, shut.stderr) == (2, "hector: standard input or standard output is closed\n")


@pytest.mark.proves("cli.chat.pipe")
def test_updates_as_json_lines_and_a_conversation_that_goes_on(server: Served) -> None:
    done = pipe("ask", "--url", server.url, "--json", folder=server.folder)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    task = events[0]["task"]
    assert events[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    ids = ("--context", task["contextId"], "--task", task["id"])
    done = pipe("blue", "--url", server.url, *ids, folder=server.folder)
    assert (done.returncode, done.stdout) == (0, "So it is blue.\n")
    done = pipe("again", "--url", server.url, "--json", "--context", task["contextId"], folder=server.folder)
    assert json.loads(done.stdout.splitlines()[0])["task"]["contextId"] == task["contextId"]


@pytest.mark.proves("cli.chat")
def test_without_a_server_the_agent_runs_in_this_process(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(CONFIG, encoding="utf-8")
    done = pipe("remember milk", "--config", "other.yaml", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Noted.\n", "")
    wrong = pipe("hi", "--config", "none.yaml", folder=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "none.yaml" in wrong.stderr


@pytest.mark.proves("egress.enforced")
def test_the_network_policy_of_the_environment_holds_without_a_server(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(
        "llms: {far: {provider: openai, model: m, api_key: none, base_url: 'http://203.0.113.5/v1'}}", encoding="utf-8"
    )
    done = pipe("hi", "--config", "other.yaml", folder=tmp_path, HECTOR_EGRESS="none")
    assert (done.returncode, done.stdout) == (1, "")
    assert "forbids the connection to 203.0.113.5:80 (purpose model)" in done.stderr


@pytest.mark.proves("cli.chat")
def test_an_mcp_server_that_cannot_be_started_is_said(tmp_path: Path) -> None:
    tools = "tools: {weather: {type: mcp, command: no-such-program}}\nagents: {first: {tools: [weather]}}\n"
    (tmp_path / "other.yaml").write_text(CONFIG.partition("agents:")[0] + tools, encoding="utf-8")
    done = pipe("hi", "--config", "other.yaml", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "Hello, **you**.\nBye.\n")
    assert "MCP server weather is away: 'no-such-program' was not found" in done.stderr


@pytest.mark.proves("cli.chat")
def test_a_database_in_use_does_not_stop_a_chat(server: Served) -> None:
    done = pipe("hi", "--config", "config.yaml", folder=server.folder)
    assert (done.returncode, done.stdout) == (0, "Hello, **you**.\nBye.\n")
    assert "this conversation is not kept" in done.stderr
    done = pipe("hi", "--config", "config.yaml", "--database", "sqlite://.hector/hector.db", folder=server.folder)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.proves("cli.chat.pipe")
def test_an_interrupted_pipe_cancels_its_task(server: Served) -> None:
    command = hector("chat", "--url", server.url, "--json")
    with subprocess.Popen(
        command, cwd=server.folder, env=environment(server.folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"slow")
        process.stdin.close()
        for line in process.stdout:
            if b"artifactUpdate" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read().decode().splitlines()
        assert json.loads(rest[-1])["statusUpdate"]["status"]["state"] == "TASK_STATE_CANCELED"
        assert process.wait(PATIENCE) == 130


@pytest.mark.proves("cli.chat", "cli.chat.commands")
def test_a_conversation_at_a_terminal(server: Served) -> None:
    with terminal("--url", server.url, folder=server.folder) as screen:
        screen.expect("first at http.*/help")
        screen.expect("first › ")
        screen.type("remember milk\r")
        screen.expect("remember milk\r\n")  # newer terminals' libraries write a prompt twice
        shown = screen.expect("first › ")
        assert "Let me keep milk." in "".join(re.findall(r"\x1b\[2m([^\x1b]*)\x1b\[0m", shown))
        assert "⚙ save_artifact(name: note.txt, text: milk) → saved artifact" in shown
        assert "▤ note.txt (4 characters)" in shown
        assert "\r\n\r\nNoted.\r\n\r\n" in shown
        screen.type("/agents\r")
        screen.expect("/agents\r\n")
        shown = screen.expect("first › ")
        assert "* first " in shown
        assert "  second           The other one." in shown
        screen.type("/agent nobody\r")
        screen.expect("no agent 'nobody'.*first, second")
        screen.type("/agent second\r")
        screen.expect("second › ")
        screen.type("hello\r")
        screen.expect(r"Hello, \*\*you\*\*\.\r\nBye\.")
        screen.expect("second › ")
        screen.type("/nonsense\r")
        screen.expect("no command /nonsense")
        screen.type("/quit\r")
        assert screen.exit_code() == 0


@pytest.mark.proves("cli.chat")
def test_questions_are_answered_in_place(server: Served) -> None:
    with terminal("--url", server.url, folder=server.folder) as screen:
        screen.expect("first › ")
        screen.type("ask\r")
        assert screen.expect("your answer › ").count("Which colour?") == 1
        screen.type("green\r")
        screen.expect(r"So it is green\.")
        screen.expect("first › ")
        screen.type("ask\r")
        screen.expect("your answer › ")
        screen.type("/new\r")
        screen.expect("a new conversation")
        screen.expect("first › ")
        screen.type("\x04")
        assert screen.exit_code() == 0


@pytest.mark.proves("cli.chat")
def test_ctrl_c_stops_the_answer_and_not_the_chat(server: Served) -> None:
    with terminal("--url", server.url, folder=server.folder) as screen:
        screen.expect("first › ")
        screen.type("slow\r")
        screen.expect("one")
        screen.type("\x03")
        screen.expect("canceled")
        screen.expect("first › ")
        screen.type("hello\r")
        screen.expect("Bye")
        screen.expect("first › ")
        screen.type("half a line")
        screen.expect("half a line")
        screen.insist("\x03", "Ctrl-D or /quit leaves")
        screen.expect("first › ")
        screen.type("fail\r")
        screen.expect("no such luck")
        screen.expect("first › ")
        screen.type("\x04")
        assert screen.exit_code() == 0


@pytest.mark.proves("cli.chat")
def test_a_terminal_without_a_server(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(CONFIG, encoding="utf-8")
    with terminal("--config", "own.yaml", "--agent", "second", folder=tmp_path) as screen:
        screen.expect("second at own.yaml, in this process")
        screen.expect("second › ")
        screen.type("slow\r")
        screen.expect("one")
        screen.type("\x03")
        screen.expect("canceled")
        screen.expect("second › ")
        screen.type("\x04")
        assert screen.exit_code() == 0


@pytest.mark.proves("cli.chat")
@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_no_colours_when_they_are_not_wanted(variable: str, server: Served) -> None:
    value = {"NO_COLOR": "1", "TERM": "dumb"}[variable]
    with terminal("--url", server.url, folder=server.folder, **{variable: value}) as screen:
        screen.expect("first › ")
        screen.type("remember milk\r")
        assert "\x1b[2m" not in screen.expect("Noted")


@pytest.mark.proves("cli.chat")
def test_a_model_cannot_command_the_terminal(server: Served) -> None:
    with terminal("--url", server.url, folder=server.folder, NO_COLOR="1") as screen:
        screen.expect("first › ")
        screen.type("evil\r")
        assert r"red [31m bell  end" in screen.expect("first › ")


@pytest.mark.proves("cli.chat")
def test_a_server_that_goes_away_is_reported(tmp_path: Path) -> None:
    with chatting(tmp_path) as url, terminal("--url", url, folder=tmp_path) as screen:
        screen.expect("first › ")
        screen.type("hello\r")
        screen.expect("Bye")
        screen.expect("first › ")
        os.kill(int((tmp_path / ".hector" / "hector.db.lock").read_text(encoding="utf-8")), signal.SIGKILL)
        screen.type("hello\r")
        screen.expect("(refused|hung up|closed|reset|lost)")
        screen.expect("first › ")
        screen.type("\x04")
        assert screen.exit_code() == 0
