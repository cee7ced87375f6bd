"""How command and web tools are written: spellings, what does not fit together, and what is not for apps."""

from pathlib import Path

import pytest

from hector.config.command import CommandTool
from hector.config.environment import Environment
from hector.config.findings import InvalidConfig
from hector.config.load import Loaded
from hector.config.tenancy import Policy, parse_app
from hector.config.tenants import Tenants
from hector.config.webtools import WebTool
from tests.config.sample import config, errors

SEED = """
tools:
  shell:
    type: command
    allowed_commands: [ls, cat, grep, find]
    denied_commands: [rm, sudo]
    working_directory: /app/workspace
    max_execution_time: 30s
    require_approval: true
    approval_prompt: "Allow command execution?"
"""


@pytest.mark.proves("tools.commandtool", "command.allowed", "command.denied", "command.max-time")
def test_the_product_descriptions_own_words(tmp_path: Path) -> None:
    tool = config(tmp_path, SEED).tools["shell"]
    assert isinstance(tool, CommandTool)
    assert (tool.allowed_commands, tool.denied_commands) == (("ls", "cat", "grep", "find"), ("rm", "sudo"))
    assert (tool.working_directory, tool.timeout, tool.require_approval) == ("/app/workspace", 30.0, True)
    assert tool.listed


@pytest.mark.proves("tools.commandtool")
@pytest.mark.parametrize(
    "block",
    ["{handler: bash}", "{type: function, handler: execute_command}", "{handler: commandtool}",
     "{deny_by_default: true}", "{allowed_commands: [ls]}"],
)  # fmt: skip
def test_other_spellings_of_commands(tmp_path: Path, block: str) -> None:
    assert isinstance(config(tmp_path, f"tools: {{x: {block}}}\n").tools["x"], CommandTool)


@pytest.mark.proves("tools.webtool")
@pytest.mark.parametrize(
    ("block", "tools"),
    [
        ("{handler: web_fetch}", ("web_fetch",)), ("{handler: webtool}", ("web_fetch", "web_request", "web_search")),
        ("{type: function, handler: web_search}", ("web_search",)),
        ("{type: web, tools: [web_request]}", ("web_request",)),
    ],
)  # fmt: skip
def test_other_spellings_of_the_web(tmp_path: Path, block: str, tools: tuple[str, ...]) -> None:
    found = config(tmp_path, f"tools: {{x: {block}}}\n").tools["x"]
    assert isinstance(found, WebTool)
    assert found.tools == tools


@pytest.mark.proves("tools.commandtool", "tools.webtool")
def test_what_an_agent_names_is_declared(tmp_path: Path) -> None:
    found = config(tmp_path, "agents: {a: {tools: [bash, web_fetch, web_search]}}\n").tools
    assert {name: tool.type for name, tool in found.items()} == {
        "bash": "command",
        "web_fetch": "web",
        "web_search": "web",
    }
    found = config(tmp_path, "tools: {w: {type: web}}\nagents: {a: {tools: [web_fetch]}}\n").tools
    assert list(found) == ["w"]


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("{type: command, shell: true, allowed_commands: [ls]}", "cannot be held through a shell"),
        ("{type: command, shell: true, deny_by_default: true}", "cannot be held through a shell"),
        ("{type: command, allowed_commands: [ls], denied_commands: [ls]}", "ls is allowed and denied"),
        ("{type: command, sandbox: {require: prison}}", "prison"),
        ("{type: web, search: {provider: searxng}}", "SearXNG has no address"),
        ("{type: web, tools: [web_surf]}", "web_surf"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, block: str, reason: str) -> None:
    assert any(reason in str(finding) for finding in errors(tmp_path, f"tools: {{x: {block}}}\n"))


@pytest.mark.proves("tenant.policy")
@pytest.mark.parametrize(
    "block",
    ["{type: command}", "{handler: bash}", "{handler: commandtool}", "{allowed_commands: [ls]}",
     "{deny_by_default: true}", "{type: web, private_hosts: [10.0.0.1]}",
     "{type: web, search: {provider: searxng, base_url: 'http://10.0.0.1'}}"],
)  # fmt: skip
def test_apps_have_no_commands_and_no_private_places(block: str) -> None:
    text = f"llms: {{m: {{provider: scripted, rules: [{{text: hi}}]}}}}\ntools: {{x: {block}}}\n"
    with pytest.raises(InvalidConfig) as refused:
        loaded(text)
    assert {finding.kind for finding in refused.value.errors} == {"policy"}


@pytest.mark.proves("tenant.policy")
def test_an_app_that_names_a_shell_gets_none() -> None:
    with pytest.raises(InvalidConfig):
        loaded("llms: {m: {provider: scripted, rules: [{text: hi}]}}\nagents: {a: {tools: [bash]}}\n")


def loaded(text: str) -> Loaded:
    """The configuration of an app, under the strictest policy."""
    return parse_app(text, "yaml", Policy("acme", Tenants(), Environment({}), ()))
