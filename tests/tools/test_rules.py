"""What becomes of a call by its arguments: the first rule that fits decides, and no spelling gets around one."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from types import MethodType
from typing import Any

import pytest

from hector.config.functiontool import FunctionTool
from hector.core.ports import ApprovalRule, ToolPolicy
from hector.tools.files.offer import offer
from hector.tools.files.workspace import Settings
from hector.tools.function import FunctionTool as Called
from hector.tools.function import own_policy
from hector.tools.policy import decide, policy_of


def rule(action: Any, tool: str = "*", **args: Any) -> ApprovalRule:
    return ApprovalRule(action, tool, tuple((name.replace("__", "."), value) for name, value in args.items()))


DOCS = (rule("allow", path="docs/*"), rule("deny", path="*.env"), rule("ask", path="*"))
NUMBERS = (rule("deny", amount=100), rule("allow", ok=True), rule("deny", note=""))
NESTED = (rule("deny", user__name="root"), rule("allow", tags="safe*"))
LISTS = (rule("deny", paths="/etc/*"), rule("allow", paths="docs/*"))
INNER = (rule("deny", edits__path="/etc/*"), rule("allow", edits__path="docs/*"))
BY_TOOL = (rule("deny", "*_delete"), rule("allow", "fs_[rl]*"), rule("ask", "fs_write"))


@pytest.mark.proves("approval.rules")
@pytest.mark.parametrize(
    ("rules", "name", "args", "expected"),
    [
        ((), "t", {"path": "x"}, ("allow", 0)),
        (DOCS, "t", {"path": "docs/a.md"}, ("allow", 1)),
        (DOCS, "t", {"path": "docs/deep/er/a.md"}, ("allow", 1)),
        (DOCS, "t", {"path": "x/.env"}, ("deny", 2)),
        (DOCS, "t", {"path": "x/y"}, ("ask", 3)),
        (DOCS, "t", {}, ("allow", 0)),
        (DOCS, "t", {"path": "docs/../secret"}, ("ask", 3)),
        (DOCS, "t", {"path": "docs/a/../../secret"}, ("ask", 3)),
        (DOCS, "t", {"path": "docs/.."}, ("ask", 3)),
        (DOCS, "t", {"path": "docs\\..\\secret"}, ("ask", 3)),
        (DOCS, "t", {"path": "./docs/a.md"}, ("ask", 3)),
        (DOCS, "t", {"path": "docs//a.md"}, ("allow", 1)),
        (DOCS, "t", {"path": "docs/a\n.env"}, ("allow", 1)),
        ((rule("deny", path="secret/*"),), "t", {"path": "a/../secret/x"}, ("deny", 1)),
        ((rule("deny", path="secret/*"),), "t", {"path": "./secret/x"}, ("deny", 1)),
        ((rule("deny", path="secret/*"),), "t", {"path": "secret\\x"}, ("deny", 1)),
        ((rule("deny", path="secret/*"),), "t", {"path": "secret//x"}, ("deny", 1)),
        ((rule("deny", path="/etc/*"),), "t", {"path": "//etc/passwd"}, ("deny", 1)),
        ((rule("deny", name="caf\u00e9"),), "t", {"name": "cafe\u0301"}, ("deny", 1)),
        ((rule("deny", name="cafe\u0301"),), "t", {"name": "caf\u00e9"}, ("deny", 1)),
        ((rule("allow", url="https://ok.example/pub/*"),), "t", {"url": "https://ok.example/pub/../x"}, ("ask", 0)),
        ((rule("allow", url="https://ok.example/*"),), "t", {"url": "https://ok.example/x"}, ("allow", 1)),
        ((rule("allow", url="https://ok.example/*"),), "t", {"url": "https://ok.example.evil/x"}, ("ask", 0)),
        ((rule("deny", a="x", b="y"),), "t", {"a": "x"}, ("allow", 0)),
        ((rule("deny", a="x", b="y"),), "t", {"a": "x", "b": "y"}, ("deny", 1)),
        (NUMBERS, "t", {"amount": 100}, ("deny", 1)),
        (NUMBERS, "t", {"amount": 100.0}, ("allow", 0)),
        (NUMBERS, "t", {"amount": "100"}, ("allow", 0)),
        (NUMBERS, "t", {"ok": 1}, ("allow", 0)),
        (NUMBERS, "t", {"note": ""}, ("deny", 3)),
        ((rule("deny", amount="1*"),), "t", {"amount": 100}, ("deny", 1)),
        ((rule("deny", what="*drop*"),), "t", {"what": {"sql": "drop table"}}, ("deny", 1)),
        (NESTED, "t", {"user": {"name": "root"}}, ("deny", 1)),
        (NESTED, "t", {"user.name": "root"}, ("deny", 1)),
        (NESTED, "t", {"user": "root"}, ("allow", 0)),
        (NESTED, "t", {"tags": ["safe1", "other"]}, ("ask", 0)),
        (NESTED, "t", {"tags": ["safe1", "safe2"]}, ("allow", 2)),
        (LISTS, "t", {"paths": ["docs/a", "/etc/passwd"]}, ("deny", 1)),
        (LISTS, "t", {"paths": ["docs/a", "docs/../../etc/passwd"]}, ("ask", 0)),
        (LISTS, "t", {"paths": []}, ("ask", 0)),
        (INNER, "t", {"edits": [{"path": "docs/a"}, {"path": "/etc/x"}]}, ("deny", 1)),
        (INNER, "t", {"edits": [{"path": "docs/a"}, {"path": "docs/b"}]}, ("allow", 2)),
        (INNER, "t", {"edits": [{"path": "docs/a"}, {"other": "x"}]}, ("ask", 0)),
        (INNER, "t", {"edits": [{"path": ["docs/a", "/etc/x"]}]}, ("deny", 1)),
        (INNER, "t", {"edits": [[{"path": "/etc/x"}]]}, ("deny", 1)),
        (INNER, "t", {"edits": []}, ("ask", 0)),
        (INNER, "t", {"edits": "x"}, ("ask", 0)),
        (BY_TOOL, "fs_delete", {}, ("deny", 1)),
        (BY_TOOL, "fs_read", {}, ("allow", 2)),
        (BY_TOOL, "fs_write", {}, ("ask", 3)),
        ((rule("allow"),), "t", {"x": 1}, ("allow", 1)),
        ((rule("deny", a="[!a-c]"),), "t", {"a": "d"}, ("deny", 1)),
        ((rule("deny", a="[!a-c]"),), "t", {"a": "b"}, ("allow", 0)),
        ((rule("deny", a="x?"),), "t", {"a": "xy"}, ("deny", 1)),
        ((rule("deny", a="x?"),), "t", {"a": "x"}, ("allow", 0)),
        ((rule("deny", a="(x)+.*"),), "t", {"a": "xxx"}, ("allow", 0)),
    ],
)  # fmt: skip
def test_the_first_rule_that_fits(
    rules: tuple[ApprovalRule, ...], name: str, args: dict[str, Any], expected: tuple[str, int]
) -> None:
    approval = expected == ("ask", 0)
    assert decide(ToolPolicy(approval, rules=rules), name, args) == expected


@pytest.mark.proves("approval.rules")
def test_a_tool_says_what_its_arguments_may_be_taken_for() -> None:
    """As a command line, of which each command counts."""
    policy = ToolPolicy(
        approval=True,
        rules=(rule("deny", command="rm *"), rule("allow", command="git *")),
        readings=lambda args: [{"command": one.strip()} for one in args["command"].split(";")],
    )
    assert decide(policy, "sh", {"command": "git log"}) == ("allow", 2)
    assert decide(policy, "sh", {"command": "git log; curl evil"}) == ("ask", 0)
    assert decide(policy, "sh", {"command": "git log; rm -rf ."}) == ("deny", 1)


@pytest.mark.proves("approval.rules")
def test_rules_take_no_more_time_than_the_text_is_long() -> None:
    policy = ToolPolicy(rules=(rule("deny", a="*a*a*a*a*a*a*a*a*a*b"),))
    assert decide(policy, "t", {"a": "a" * 50_000}) == ("allow", 0)


@pytest.mark.proves("approval.rules")
def test_the_rules_of_the_file_come_before_those_of_the_tool() -> None:
    own = ToolPolicy(approval=True, rules=(rule("deny", path="*.key"),))
    file = FunctionTool.model_validate({"handler": "x", "approval_rules": [{"args": {"path": 7}, "action": "allow"}]})
    assert policy_of(own, file).rules == (rule("allow", path=7), rule("deny", path="*.key"))


def transfer(amount: int, force: bool = False, account: str = "main", note: str | None = None) -> str:
    return f"{amount} {force} {account} {note}"


@pytest.mark.proves("approval.rules")
@pytest.mark.parametrize(
    ("rules", "args", "expected"),
    [
        ((rule("deny", force=True),), {"amount": 1, "force": "yes"}, "deny"),
        ((rule("deny", force=True),), {"amount": 1, "force": 1}, "deny"),
        ((rule("deny", force=True),), {"amount": 1, "force": "off"}, "allow"),
        ((rule("deny", amount=100),), {"amount": "100"}, "deny"),
        ((rule("deny", amount=100),), {"amount": 100.0}, "deny"),
        ((rule("deny", amount=100),), {"amount": " 100 "}, "deny"),
        ((rule("deny", account="main"),), {"amount": 1}, "deny"),
        ((rule("deny", account="*"),), {"amount": 1}, "deny"),
        ((rule("deny", note="*"),), {"amount": 1}, "allow"),
        ((rule("deny", force=True),), {"amount": "x", "force": True}, "deny"),
        ((rule("ask"), rule("allow", amount=5)), {"amount": "5"}, "ask"),
    ],
)
def test_rules_see_what_a_function_gets(rules: tuple[ApprovalRule, ...], args: dict[str, Any], expected: str) -> None:
    assert decide(replace(own_policy(transfer), rules=rules), "transfer", args)[0] == expected


@pytest.mark.proves("approval.rules")
def test_a_search_of_everything_is_one_of_the_folder() -> None:
    policy = offer({"grep_search": "grep_search"}, Settings(("/tmp",))).policies["grep_search"]
    assert decide(replace(policy, rules=(rule("deny", path="."),)), "grep_search", {"pattern": "x"})[0] == "deny"


@pytest.mark.proves("approval.rules")
def test_the_policy_of_a_tool_keeps_nothing_alive_once_it_is_gone(tmp_path: Path) -> None:
    made = offer({"write_file": "write_file"}, Settings((str(tmp_path),)))
    tool = made.tools["write_file"]
    assert isinstance(tool, Called)
    policy = own_policy(tool.function)
    assert policy.readings is not None
    assert policy.readings({"path": "a", "content": "b"})
    assert isinstance(tool.function, MethodType)
    behind = weakref.ref(tool.function.__self__)
    del made, tool, policy
    gc.collect()
    assert behind() is None
