"""validate, schema, info and init as a user runs them: as a process, with exit codes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hector.tools.sandbox import trouble
from tests.config.sample import KEYS, write

ROOT = Path(__file__).parents[2]
SECRET = "sk-very-secret-1234"


def hector(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the command in a folder with nothing but these variables."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder / "nobody"), "PYTHONPATH": str(ROOT), **(env or {})}
    return subprocess.run(
        [sys.executable, "-m", "hector", *arguments], cwd=folder, env=variables, capture_output=True, text=True
    )


GOOD = f"""
    llms:
      claude: {{provider: anthropic, api_key: {SECRET}, headers: {{Authorization: Bearer {SECRET}}}}}
      local: {{provider: ollama, proxy: "http://u:{SECRET}@p:1"}}
    tools:
      ask: {{handler: ask_user}}
      off: {{handler: save_artifact, enabled: false}}
    agents:
      helper:
        llm: local
        instruction: |
          Two
          lines.
"""
BAD = "server:\n  prot: 1\nagents:\n  a: {llm: nope}\n"


@pytest.mark.proves("cli.validate")
def test_what_this_machine_lacks_is_a_warning(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        llms: {main: {provider: scripted}}
        tools:
          gone: {type: mcp, command: no-such-program}
          away: {type: mcp, command: python3, cwd: no/such/folder}
          off: {type: mcp, command: no-such-program, enabled: false}
          shell: {type: command, sandbox: {require: landlock}}
          plain: {type: command}
        document_stores:
          gone: {source: {path: no/such/docs}}
          text: {source: hector.yaml}
          here: {source: {path: .}}
          copy: {source: {git: {url: "file:///no/such.git"}}}
        """,
    )
    done = hector(tmp_path, "validate", "hector.yaml", "--format", "json", env={"PATH": "/nowhere"})
    assert done.returncode == 0
    warnings = {one["path"]: one["message"] for one in json.loads(done.stdout)["warnings"]}
    assert warnings.pop("tools.gone.command") == "the program is not on the PATH of this machine, or may not be run"
    assert warnings.pop("tools.away.cwd") == "there is no such folder on this machine"
    stores = [warnings.pop(f"document_stores.{one}.source.{key}")
              for one, key in (("gone", "path"), ("text", "path"), ("copy", "git.url"))]  # fmt: skip
    assert stores == [
        "there is no folder 'no/such/docs' on this machine", "'hector.yaml' is no folder",
        "there is no folder '/no/such.git' on this machine",
    ]  # fmt: skip
    said = hector(tmp_path, "validate", env={"PATH": "/nowhere"}).stderr
    assert re.search(r"hector\.yaml:9:\d+: warning: document_stores\.gone\.source\.path: there is no folder", said)
    assert warnings.keys() <= {"tools.shell.sandbox.require"}
    assert bool(warnings) == bool(trouble("landlock") and trouble("namespaces"))


@pytest.mark.proves("cli.validate", "config.reviewable")
def test_a_right_file(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    for arguments in (["hector.yaml"], ["-c", "hector.yaml"], ["--config", "hector.yaml"]):
        done = hector(tmp_path, "validate", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "hector.yaml: valid (2 models, 1 agent, 2 tools)\n"


@pytest.mark.proves("cli.validate", "cli.validate.formats", "serve.bad-input")
def test_a_wrong_file(tmp_path: Path) -> None:
    write(tmp_path, BAD)
    done = hector(tmp_path, "validate", "hector.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    first, second, last = done.stderr.splitlines()
    assert first.startswith("hector.yaml:2:3: error: server.prot: unknown key 'prot'")
    assert second.startswith("hector.yaml:4:12: error: agents.a.llm: there is no model 'nope'")
    assert last == "invalid: 2 errors"


@pytest.mark.proves("cli.validate.formats")
def test_verbose(tmp_path: Path) -> None:
    write(tmp_path, BAD)
    done = hector(tmp_path, "validate", "hector.yaml", "--format", "verbose")
    assert done.returncode == 2
    assert "    2 |   prot: 1\n      |   ^\n" in done.stderr


@pytest.mark.proves("cli.validate.formats")
def test_json(tmp_path: Path) -> None:
    write(tmp_path, BAD)
    done = hector(tmp_path, "validate", "hector.yaml", "--format", "json")
    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr, answer["valid"], answer["file"]) == (2, "", False, "hector.yaml")
    assert [(error["type"], error["path"], error["line"], error["column"]) for error in answer["errors"]] == [
        ("unknown", "server.prot", 2, 3),
        ("reference", "agents.a.llm", 4, 12),
    ]
    write(tmp_path, GOOD)
    answer = json.loads(hector(tmp_path, "validate", "hector.yaml", "--format", "json").stdout)
    assert (answer["valid"], answer["errors"], answer["counts"]) == (True, [], {"llms": 2, "agents": 1, "tools": 2})


def test_warnings_do_not_fail(tmp_path: Path) -> None:
    write(tmp_path, "llms: {d: {provider: ollama}}\nserver: {public_url: $NOT_SET}\n")
    done = hector(tmp_path, "validate", "hector.yaml")
    assert done.returncode == 0
    assert "hector.yaml:2:22: warning: server.public_url: the variable NOT_SET is not set" in done.stderr


@pytest.mark.proves("cli.validate.print-config")
def test_print_config(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    done = hector(tmp_path, "validate", "hector.yaml", "-p")
    assert done.returncode == 0
    assert SECRET not in done.stdout
    shown = yaml.safe_load(done.stdout)
    assert shown["llms"]["claude"]["api_key"] == "***"
    assert shown["llms"]["claude"]["timeout"] == 120
    assert shown["llms"]["local"]["proxy"] == "http://***@p:1"
    assert shown["agents"]["helper"]["instruction"] == "Two\nlines.\n"
    assert "instruction: |\n" in done.stdout
    as_json = hector(tmp_path, "validate", "hector.yaml", "-p", "--format", "json").stdout
    assert json.loads(as_json) == shown


@pytest.mark.proves("cli.validate.print-config", "sovereign.keys-stay")
def test_credentials_in_headers_and_addresses_are_masked(tmp_path: Path) -> None:
    headers = "{X-Gateway-Key: s3cret1, Ocp-Apim-Subscription-Key: s3cret2, X-Signature: s3cret3, X-Team: blue}"
    llm = f"{{provider: openai, base_url: 'http://bob:s3cret4@h:1/v1', api_key: k, headers: {headers}}}"
    write(tmp_path, f"llms: {{gate: {llm}}}\n")
    printed = hector(tmp_path, "validate", "hector.yaml", "-p").stdout
    assert "X-Team: blue" in printed
    assert "s3cret" not in printed
    for form in ((), ("--json",)):
        shown = hector(tmp_path, "info", "-c", "hector.yaml", *form).stdout
        assert "***@h:1" in shown
        assert "s3cret" not in shown


@pytest.mark.proves("serve.bad-input")
def test_no_file_at_all(tmp_path: Path) -> None:
    for command in ("validate", "info"):
        done = hector(tmp_path, command)
        assert (done.returncode, done.stdout) == (2, "")
        assert "there is no configuration" in done.stderr
        assert "hector init" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_variable_and_the_default_file(tmp_path: Path) -> None:
    write(tmp_path, "name: one\nllms: {d: {provider: ollama}}\n", ".hector/config.yaml")
    write(tmp_path, "name: three\nllms: {d: {provider: ollama}}\n", "hector.yaml")
    assert hector(tmp_path, "validate").stdout.startswith(".hector/config.yaml: valid")
    said = hector(tmp_path, "index").stderr
    assert ".hector/config.yaml declares none under document_stores" in said
    assert "--config hector.yaml names it" in said
    (tmp_path / ".hector/config.yaml").unlink()
    assert hector(tmp_path, "validate").stdout.startswith("hector.yaml: valid")
    assert "hector.yaml declares none" in hector(tmp_path, "search", "x").stderr
    write(tmp_path, "name: two\nllms: {d: {provider: ollama}}\n", "two.yaml")
    assert hector(tmp_path, "validate", env={"HECTOR_CONFIG": "two.yaml"}).stdout.startswith("two.yaml: valid")


@pytest.mark.proves("config.dotenv")
def test_the_dotenv_beside_the_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "llms: {c: {provider: anthropic, api_key: $MY_KEY}}\n", "app/hector.yaml")
    assert hector(tmp_path, "validate", str(path)).returncode == 2
    write(tmp_path, "MY_KEY=x\n", "app/.env")
    assert hector(tmp_path, "validate", str(path)).returncode == 0


@pytest.mark.proves("cli.schema")
def test_schema(tmp_path: Path) -> None:
    full, compact = hector(tmp_path, "schema"), hector(tmp_path, "schema", "--compact")
    assert json.loads(full.stdout) == json.loads(compact.stdout)
    assert (compact.stdout.count("\n"), full.returncode, compact.returncode) == (1, 0, 0)


@pytest.mark.proves("cli.info")
def test_info(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    done = hector(tmp_path, "info", "-c", "hector.yaml")
    assert done.returncode == 0
    for text in ("anthropic", "claude-sonnet-5-5", "helper", "tools: ask", "(disabled)", "sqlite://.hector/hector.db"):
        assert text in done.stdout
    assert SECRET not in done.stdout
    facts = json.loads(hector(tmp_path, "info", "-c", "hector.yaml", "--json").stdout)
    assert facts["agents"][0]["tools"] == ["ask"]
    assert facts["llms"][1]["provider"] == "ollama"
    lines = done.stdout.partition("Models:\n")[2].splitlines()[:2]
    assert lines[0].index("anthropic") == lines[1].index("ollama") > 0
    assert lines[0].index(facts["llms"][0]["address"]) == lines[1].index(facts["llms"][1]["address"])


@pytest.mark.proves("cli.info")
def test_info_on_one_agent(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    facts = json.loads(hector(tmp_path, "info", "helper", "-c", "hector.yaml", "--json").stdout)
    assert (facts["id"], facts["instruction"], facts["tools"]) == ("helper", "Two\nlines.\n", ["ask"])
    assert "Two" in hector(tmp_path, "info", "helper", "-c", "hector.yaml").stdout
    done = hector(tmp_path, "info", "helpr", "-c", "hector.yaml")
    assert done.returncode == 2
    assert "did you mean 'helper'?" in done.stderr


OFFLINE = {"OLLAMA_HOST": "127.0.0.1:9"}


@pytest.mark.proves("cli.init")
def test_init(tmp_path: Path) -> None:
    done = hector(tmp_path, "init", env={**OFFLINE, **KEYS})
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote .hector/config.yaml" in done.stdout
    assert done.stdout.splitlines()[-1] == "next: hector serve"
    assert "ANTHROPIC_API_KEY=" in (tmp_path / ".env.example").read_text(encoding="utf-8")
    text = (tmp_path / ".hector/config.yaml").read_text(encoding="utf-8")
    assert "a-key" not in text
    assert hector(tmp_path, "validate", env=dict(KEYS)).returncode == 0


@pytest.mark.proves("cli.init")
def test_init_with_wishes(tmp_path: Path) -> None:
    arguments = ["--provider", "openai", "--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--api-key", SECRET]
    arguments += ["-i", "Be kind.", "--tools", "ask_user", "--name", "mine", "-o", "my.yaml"]
    done = hector(tmp_path, "init", *arguments, env=OFFLINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "next: hector serve --config my.yaml"
    data = yaml.safe_load((tmp_path / "my.yaml").read_text(encoding="utf-8"))
    assert data["llms"]["default"] == {
        "provider": "openai",
        "model": "m",
        "base_url": "http://127.0.0.1:9/v1",
        "api_key": "${OPENAI_API_KEY}",
    }
    assert data["agents"]["assistant"]["instruction"] == "Be kind."
    assert data["agents"]["assistant"]["tools"] == ["ask_user"]
    assert data["name"] == "mine"


@pytest.mark.proves("cli.init")
def test_init_never_overwrites(tmp_path: Path) -> None:
    path = write(tmp_path, "name: mine\n")
    done = hector(tmp_path, "init", "-o", "hector.yaml", env=OFFLINE)
    assert done.returncode == 2
    assert "not overwritten" in done.stderr
    assert path.read_text(encoding="utf-8") == "name: mine\n"


def test_all_tools_by_the_bare_flag(tmp_path: Path) -> None:
    hector(tmp_path, "init", "-o", "a.yaml", "--tools", env=OFFLINE)
    data = yaml.safe_load((tmp_path / "a.yaml").read_text(encoding="utf-8"))
    tools = data["agents"]["assistant"]["tools"]
    assert {"ask_user", "filetool", "bash", "web_fetch", "web_request", "todo_write"} <= set(tools)
    assert {"exit_loop", "web_search", "memory_search"}.isdisjoint(tools), "these need a loop, a key, a memory"
    assert hector(tmp_path, "validate", "--config", "a.yaml", env=OFFLINE).stderr == ""
    done = hector(tmp_path, "init", "-o", "c.yaml", "--tools", "all", env={**OFFLINE, "TAVILY_API_KEY": "k"})
    assert "web_search" in (tmp_path / "c.yaml").read_text(encoding="utf-8")
    asked = "you are asked before each bash and web_request and before filetool changes a file"
    assert asked in done.stdout + done.stderr
    done = hector(tmp_path, "init", "-o", "b.yaml", "--tools", "search", env=OFFLINE)
    assert done.returncode == 2
    assert "document_stores" in done.stderr


def test_init_where_nothing_can_be_written(tmp_path: Path) -> None:
    write(tmp_path, "", "blocked")
    done = hector(tmp_path, "init", "-o", "blocked/hector.yaml", env=OFFLINE)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_functions_from_python(tmp_path: Path) -> None:
    """A program with its own functions validates the handlers it registers; others stay unknown."""
    write(tmp_path, "tools: {w: {handler: weather}}\nllms: {d: {provider: ollama}}\n")
    program = "import sys; from hector.__main__ import main\ndef weather(city: str) -> str: ...\n"
    program += "sys.exit(main(['validate', 'hector.yaml'], tools=[weather]))"
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert hector(tmp_path, "validate", "hector.yaml").returncode == 2


def test_looking_at_a_configuration_loads_little() -> None:
    """`validate` starts no event loop and brings no server, client or database."""
    program = "import sys; from hector.__main__ import main\n"
    program += "main(['validate', 'examples/ollama.yaml'])\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"asyncio", "httpx", "uvicorn", "starlette", "sqlite3", "jsonschema", "email", "importlib.metadata", "_ssl"}
    assert heavy & set(done.stdout.split()) == set()
