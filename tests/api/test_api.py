"""Agents described, run and served by a program."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from hector import Agent, Answer, Hector, Piece, tool
from hector.config.findings import InvalidConfig
from hector.core.errors import AgentError, ConfigError, NotFound
from hector.core.ports import ModelReply, ModelRequest
from tests.smoke.frontdoor import ROOT, free_port

pytestmark = pytest.mark.proves("api.programmatic")
RULES: list[dict[str, Any]] = [
    {"user": "look", "turn": 0, "tool_calls": [{"name": "look", "args": {"place": "here"}}]},
    {"user": "ask", "turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "Which?"}}]},
    {"user": "send", "turn": 0, "tool_calls": [{"name": "send", "args": {}}]},
    {"user": "fail", "error": {"status": 400, "message": "no such thing"}},
    {"tool_result_matches": "(?P<all>.+)", "text": r"found: \g<all>"},
    {"user": "(?P<all>.+)", "text": r"echo \g<all>"},
]


@tool
def look(place: str) -> str:
    """Look somewhere."""
    return f"a door at {place}"


@tool(approval=True, prompt="Really send?")
def send() -> str:
    """Send it."""
    return "sent"


def made(*agents: Agent, **options: Any) -> Hector:
    return Hector(**options).llm(provider="scripted", rules=RULES, retry={"max_attempts": 1}).agent(*agents)


async def test_an_agent_with_a_function() -> None:
    async with made(Agent("a", "Help.", tools=[look])) as hector:
        answer = await hector.run("look")
        assert answer.text == "found: a door at here"
        assert not answer.waits
        again = await hector.run("hello", session=answer.session)
        assert (again.session, str(again)) == (answer.session, "echo hello")
        with pytest.raises(NotFound):
            await hector.run("x", agent="nobody")
        with pytest.raises(AgentError, match="no such thing"):
            await hector.run("fail")


async def test_pieces_and_then_the_answer() -> None:
    async with made(Agent("a", tools=[look])) as hector:
        items = [item async for item in hector.stream("look")]
    assert isinstance(items[-1], Answer)
    assert items[-1].text == "found: a door at here"
    pieces = [item for item in items if isinstance(item, Piece)]
    assert [piece.text for piece in pieces if piece.kind == "tool"] == ["look"]
    assert "".join(piece.text for piece in pieces if piece.kind == "text") == "found: a door at here"


async def test_questions_and_approvals() -> None:
    async with made(Agent("a", tools=["ask_user", send])) as hector:
        question = await hector.run("ask")
        assert (question.waits, question.question) == (True, "Which?")
        assert (await hector.run("the red one", task=question.task)).text == "found: the red one"
        approval = await hector.run("send")
        assert "Really send?" in approval.question
        assert (await hector.run("approve", task=approval.task)).text == "found: sent"


def test_without_an_event_loop() -> None:
    with made(Agent("a", tools=[look])) as hector:
        assert hector.run_sync("one").text == "echo one"
        items = list(hector.stream_sync("two"))
        assert isinstance(items[-1], Answer)
    assert made(Agent("a")).config.agents["a"].type == "llm"


async def test_callbacks_see_and_change_everything() -> None:
    seen: list[str] = []

    async def before_model(context: Any, request: ModelRequest) -> Any:
        seen.append(f"model {request.messages[-1].text}")
        return "from the cache" if "cached" in request.messages[-1].text else None

    def after_model(context: Any, reply: ModelReply) -> Any:
        return f"{reply.message.text}!" if reply.message.text.startswith("echo") else None

    def before_tool(context: Any, name: str, args: dict[str, Any]) -> Any:
        seen.append(f"{name} {args} for {context.user}")
        return "nothing" if context.user == "eve" else None

    agent = Agent("a", tools=[look])
    agent.before_agent(lambda context: "closed" if context.caller.user == "bob" else None)
    agent.after_agent(lambda context, text: text.upper() if "door" in text else None)
    agent.before_model(before_model).after_model(after_model).before_tool(before_tool)
    agent.after_tool(lambda context, name, args, output: f"<{output.content[0].text}>")
    async with made(agent) as hector:
        assert (await hector.run("hi", user="bob")).text == "closed"
        assert seen == []
        assert (await hector.run("look", user="ana")).text == "FOUND: <A DOOR AT HERE>"
        assert (await hector.run("look", user="eve")).text == "found: <nothing>"
        assert (await hector.run("cached")).text == "from the cache"
        items = [item async for item in hector.stream("hello")]
        assert isinstance(items[-1], Answer)
        assert items[-1].text == "echo hello!"
        assert "".join(item.text for item in items[:-1]) == "echo hello!"
    assert "look {'place': 'here'} for ana" in seen


async def test_a_run_that_goes_on_asks_no_callback_again_about_what_is_done() -> None:
    """A pause ends a run like a crash does: the next one begins from the events."""
    seen: list[str] = []
    agent = Agent("a", tools=["ask_user", look]).before_agent(lambda context: seen.append("agent"))
    agent.before_tool(lambda context, name, args: seen.append(name))
    async with made(agent) as hector:
        question = await hector.run("ask")
        assert (await hector.run("red", task=question.task)).text == "found: red"
        assert seen == ["agent", "ask_user"]


async def test_a_callback_that_fails_ends_the_run() -> None:
    def broken(context: Any) -> None:
        raise ValueError("oh")

    async with made(Agent("a").before_agent(broken)) as hector:
        with pytest.raises(AgentError, match="callback broken failed: ValueError: oh"):
            await hector.run("hi")


async def test_agents_that_work_together() -> None:
    one, two = Agent("one", output_key="first"), Agent("two", "After {first}.")
    async with made(Agent.sequential("both", one, two)) as hector:
        assert (await hector.run("hi")).text.startswith("echo")
        assert list(hector.config.agents) == ["both", "one", "two"]


FILE = """
llms: {default: {provider: scripted, rules: [{user: look, turn: 0, tool_calls: [{name: look, args: {place: x}}]},
  {tool_result_matches: "(?P<all>.+)", text: 'found: \\g<all>'}, {text: "$$5 ${WHO:-me}"}]}}
agents: {clerk: {tools: [look]}}
tools: {look: {handler: look}}
"""


async def test_a_file_and_a_program(tmp_path: Path) -> None:
    path = tmp_path / "hector.yaml"
    path.write_text(FILE, encoding="utf-8")
    async with Hector(path).tools(look) as plain:
        assert (await plain.run("look")).text == "found: a door at x"
    calls: list[str] = []
    mixed = Hector(path).tools(look).agent(Agent("boss", "Costs $5.", agent_tools=["clerk"], tools=[]))
    mixed.callbacks("clerk", after_tool=lambda context, name, args, output: calls.append(name))
    async with mixed:
        assert (await mixed.run("look", agent="clerk")).text == "found: a door at x"
        assert (await mixed.run("hi", agent="boss")).text == "$5 me"
    assert calls == ["look"]
    assert mixed.config.agents["boss"].instruction == "Costs $5."  # type: ignore[attr-defined]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    path = tmp_path / "hector.yaml"
    path.write_text(FILE, encoding="utf-8")
    with pytest.raises(InvalidConfig, match="no model 'x'"):
        _ = made(Agent("a", llm="x")).config
    with pytest.raises(ConfigError, match=r"agents\.clerk is in the file and in the program"):
        _ = Hector(path).tools(look).agent(Agent("clerk")).config
    with pytest.raises(ConfigError, match="two agents are called 'a'"):
        _ = made(Agent("a"), Agent("a")).config
    with pytest.raises(ConfigError, match="does not exist"):
        _ = made(Agent("a")).callbacks("b", before_agent=print).config
    with pytest.raises(TypeError, match="no kind of callback"):
        Hector().callbacks("a", before_lunch=print)
    with pytest.raises(ConfigError, match="of type sequential"):
        _ = made(Agent.sequential("s", Agent("a")).before_agent(print)).config


async def test_conversations_survive_in_a_database(tmp_path: Path) -> None:
    dsn = f"sqlite://{tmp_path}/talk.db"
    async with made(Agent("a"), database=dsn) as hector:
        session = (await hector.run("one")).session
    async with made(Agent("a"), database=dsn) as hector:
        assert (await hector.run("two", session=session)).session == session


def test_serve(tmp_path: Path) -> None:
    port = free_port()
    program = (
        "from hector import Agent, Hector\n"
        f"app = Hector(database='sqlite://{tmp_path}/s.db').llm(provider='scripted', rules=[{{'text': 'served'}}])\n"
        f"app.agent(Agent('a').after_agent(lambda context, text: text + '!')).serve('--port', '{port}')\n"
    )
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    server = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": "/bin"},
    )
    try:
        body = {"model": "a", "messages": [{"role": "user", "content": "hi"}]}
        transport = httpx.HTTPTransport(retries=8)  # waits 0.5 s, 1 s, 2 s ... until somebody listens
        with httpx.Client(trust_env=False, timeout=30, transport=transport) as client:
            answer = client.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body)
        assert answer.json()["choices"][0]["message"]["content"] == "served!"
    finally:
        server.terminate()
        server.wait(60)


def test_the_example_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "python" / "shop.py")],
        capture_output=True, text=True, timeout=60, check=True, env={"PYTHONPATH": str(ROOT), "PATH": "/bin"},
    )  # fmt: skip
    assert "ana has order_status called with {'number': '7'}" in done.stdout
    assert done.stdout.endswith("Your order is on its way.\n-- your shop\n")


def test_importing_it_loads_nothing() -> None:
    code = "import sys, hector; before = set(sys.modules); print([m for m in before if m.startswith('hector.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30, cwd=ROOT
    )
    assert done.stdout.strip() == "['hector.version']"
    with pytest.raises(AttributeError):
        __import__("hector").nothing  # noqa: B018 - it is the access that fails
