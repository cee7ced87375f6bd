"""The example, as its users meet it: rules, undo after a restart, a plan that is kept, and what streams show."""

import json
import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from hector.apps.build import build
from hector.core.task import TaskState
from hector.store.codec import loads
from hector.tools.catalog import Catalog
from tests.audit.test_runs import entries
from tests.smoke.frontdoor import Hector, Server, answer_text
from tests.tasks.conftest import Start
from tests.tasks.conftest import start as start
from tests.tasks.test_approvals import asked, decision, say

MEMORY = "sqlite://:memory:"
EXAMPLE = Path(__file__).parents[2] / "examples" / "files.yaml"


def stream(server: Server, text: str) -> str:
    """Every byte of a message that is streamed."""
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}
    headers = {"Content-Type": "application/json", "A2A-Version": "1.0"}
    body = json.dumps({"message": message}).encode()
    asked_for = urllib.request.Request(f"{server.url}/agents/clerk/message:stream", body, headers)
    with urllib.request.urlopen(asked_for, timeout=60) as answer:
        found: str = answer.read().decode()
    return found


@pytest.mark.proves("tools.filetool", "tools.todotool", "approval.rules")
def test_the_example(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path / "files.yaml")
    hector = Hector([sys.executable, "-m", "hector"], tmp_path)
    with hector.serve("--config", "files.yaml", "--database", "sqlite://hector.db") as server:
        task = server.say("clerk", "write ideas")
        context = task["contextId"]
        assert answer_text(task) == "created notes/ideas.md (15 bytes)"
        assert (tmp_path / "notes/ideas.md").read_text() == "An idea: ideas\n"
        assert "notes/ideas.md:1:An idea" in answer_text(server.say("clerk", "find idea", context))
        denied = answer_text(server.say("clerk", "overwrite files.yaml", context))
        assert "NOT ALLOWED: the configuration forbids text_editor with these arguments" in denied
        waits = server.say("clerk", "overwrite other.md", context)
        assert waits["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        planned = server.say("clerk", "plan", context)
        assert "[>] think: Think of something" in answer_text(planned)
    with hector.serve("--config", "files.yaml", "--database", "sqlite://hector.db") as server:
        undone = answer_text(server.say("clerk", "undo ideas", context))
        assert undone.startswith("took back the last change of notes/ideas.md")
        assert not (tmp_path / "notes/ideas.md").exists()
        assert "2 rows" in answer_text(server.say("clerk", "plan", context)), "the list is still there, and not doubled"


@pytest.mark.proves("tools.filetool", "admin.sessions.delete")
def test_deleting_a_session_deletes_what_files_were(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8") + f"\nserver: {{auth: {{secret: {SECRET}, require_auth: false}}}}\n"
    (tmp_path / "files.yaml").write_text(text, encoding="utf-8")
    hector = Hector([sys.executable, "-m", "hector"], tmp_path)
    with hector.serve("--config", "files.yaml", "--database", "sqlite://hector.db") as server:
        gone, stays = (server.say("clerk", f"write {name}")["contextId"] for name in ("ideas", "plans"))
        folder = tmp_path / ".hector/undo"
        assert len(list(folder.glob("*/*/*.change"))) == 2
        place = f"{server.url}/admin/sessions/{gone}"
        deleting = urllib.request.Request(place, method="DELETE", headers={"Authorization": f"Bearer {SECRET}"})
        with urllib.request.urlopen(deleting, timeout=60) as answer:
            assert answer.status == 204
        assert len(list(folder.glob("*/*/*.change"))) == 1
        assert "took back" in answer_text(server.say("clerk", "undo plans", stays))


SECRET = "nine-herons-count-the-quiet-boats"
RULES: list[dict[str, Any]] = [
    {"turn": 0, "tool_calls": [{"name": "send", "args": {"to": to}} for to in ("eve", "ana", "bob")]},
    {"tool_result": "send", "text": "Done"},
]


@pytest.mark.proves("approval.rules")
async def test_what_a_rule_forbids_is_in_the_audit_log(start: Start, tmp_path: Path) -> None:
    async def send(to: str) -> str:
        """Send."""
        return f"sent to {to}"

    rules = [{"args": {"to": "eve"}, "action": "deny"}, {"args": {"to": "a*"}, "action": "allow"}]
    declared = {"send": {"handler": "send", "require_approval": True, "approval_rules": rules}}
    async with start(RULES, functions=(send,), declared=declared) as service:
        task = await say(service, "go")
        (call,) = asked(task)
        assert call["arguments"] == {"to": "bob"}
        task = await say(service, decision(call, "approve"), task=task)
        assert task.status.state is TaskState.COMPLETED
    found = [one for one in await entries(tmp_path) if one.action in {"tool.deny", "tool.result"}]
    assert [(one.action, one.outcome) for one in found] == [
        ("tool.deny", "refused"), ("tool.result", "ok"), ("tool.result", "ok"),
    ]  # fmt: skip
    assert loads(found[0].detail)["rule"] == "1"


@pytest.mark.proves("tools.progress")
def test_a_stream_shows_what_a_tool_says_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "from hector.__main__ import main\n"
        "from hector.core.ports import ToolContext\n"
        "def work(context: ToolContext) -> str:\n"
        '    """Work."""\n'
        "    context.progress('half of it')\n"
        "    return 'all of it'\n"
        "raise SystemExit(main(tools=[work]))\n"
    )
    (tmp_path / "slow.yaml").write_text(
        "llms: {r: {provider: scripted, rules: [{tool_result: work, text: Done},"
        " {tool_calls: [{name: work}]}]}}\nagents: {clerk: {tools: [work]}}\ntools: {work: {}}\n"
    )
    with Hector([sys.executable, "slow.py"], tmp_path).serve("--config", "slow.yaml", "--database", MEMORY) as server:
        shown = stream(server, "go")
    assert '"toolProgress"' in shown
    assert "half of it" in shown
    assert shown.index("half of it") < shown.index("all of it")


def test_the_example_is_built_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hector.config.load import load_config

    monkeypatch.chdir(tmp_path)
    app = build(load_config(EXAMPLE).config, Catalog())
    assert list(app.agents) == ["clerk"]
