"""Start-up time is a feature: what `version` and a plain `serve` may load, and what they must not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.smoke.frontdoor import Hector, answer_text
from tests.smoke.test_frontdoor import SCRIPTED, write

REPORT_AT_EXIT = """
import atexit, runpy, sys
atexit.register(lambda: open({output!r}, "w").write("\\n".join(sys.modules)))
sys.argv = ["hector", *sys.argv[1:]]
runpy.run_module("hector", run_name="__main__")
"""
HEAVY = {
    "asyncpg", "croniter", "cryptography", "jsonschema", "jwt", "mcp", "multiprocessing.pool", "numpy", "opentelemetry",
    "prometheus_client", "referencing", "rpds", "tzdata", "unittest", "uvloop", "websockets", "xllamacpp",
}  # fmt: skip
NOT_OF_STARLETTE = {  # what of it nothing uses; some parts would bring packages along
    "starlette.authentication", "starlette.config", "starlette.endpoints", "starlette.schemas", "starlette.staticfiles",
    "starlette.templating", "starlette.testclient", "jinja2", "anyio._backends._asyncio",
}  # fmt: skip
FOR_LATER = {  # what only a mistake, a missing file, another command or a plug-in of pydantic's would need
    "difflib", "importlib.metadata", "click", "watchfiles", "hector.cli.info", "hector.cli.schema",
    "hector.config.detect", "hector.config.generate", "hector.config.masking", "hector.config.schema",
    "hector.config.watch", "hector.models.llama", "urllib.request", "bz2", "email.parser", "html.entities",
    "logging.handlers", "pickle",
}  # fmt: skip
NOT_ASKED_FOR = {  # providers that the configuration does not name, and the commands that do not run
    "hector.models.anthropic", "hector.models.gemini", "hector.models.ollama", "hector.models.openai_chat",
    "hector.models.openai_responses", "hector.models.local", "hector.cli.chat", "hector.cli.init",
    "hector.cli.validate",
}  # fmt: skip

SECTIONS_OF_NOBODY = {  # blocks that the configuration has not
    "hector.config.apikeys", "hector.config.backend", "hector.config.budgets", "hector.config.cardskill",
    "hector.config.cors", "hector.config.database", "hector.config.files", "hector.config.functiontool",
    "hector.config.egress", "hector.config.flows", "hector.config.limits", "hector.config.llm_anthropic",
    "hector.config.llm_gemini", "hector.config.llm_local", "hector.config.llm_ollama", "hector.config.llm_openai",
    "hector.config.memory", "hector.config.observability", "hector.config.remote", "hector.config.structured",
    "hector.config.thinking", "hector.config.tls", "hector.config.toolbase",
}  # fmt: skip
OF_WHAT_IS_SET_UP = {  # what takes a token, a limit, a tool, another app, a request of an administrator, or a stream
    "hector.auth.checking", "hector.auth.claims", "hector.auth.provider", "hector.auth.ring",
    "hector.limits.caps", "hector.limits.meter", "hector.limits.prices", "hector.limits.rates",
    "hector.limits.repeats", "hector.limits.spending", "hector.agents.delegation", "hector.agents.structured",
    "hector.agents.recall", "hector.agents.summary", "hector.agents.views", "hector.agents.windows",
    "hector.store.artifacts", "hector.store.memories", "hector.store.terms", "hector.tasks.keeping",
    "hector.tasks.remembering", "hector.tools.artifacts", "hector.tools.memory",
    "hector.agents.together", "hector.apps.service", "hector.config.skill", "hector.config.tenancy",
    "hector.store.inspection", "hector.store.purge", "hector.store.queue", "hector.store.relay",
    "hector.tasks.decided", "hector.tasks.expiry", "hector.tasks.mirrors", "hector.tasks.relay",
    "hector.tools.wrappers", "hector.web.endpoints", "hector.web.openapi", "hector.web.streams",
}  # fmt: skip
BEHIND_READY = {"hector.apps.keeper", "hector.store.audit_chain", "hector.store.audit_keeper", "hector.store.retention"}
OF_ADMINISTRATORS = "hector.web.admin_"
"""How the modules of the Admin API's tables begin, of which a start needs only what they are handed."""
BEFORE_READY = """
import os, sys
sys.argv = ["hector", *sys.argv[1:]]
import hector.cli.lean
hector.cli.lean.hurry()
import hector.cli.serve

def greet(*_):
    print(*sys.modules, file=open({output!r}, "w"))
    sys.stdout.flush()
    os._exit(0)

hector.cli.serve.greet = greet
import runpy
runpy.run_module("hector", run_name="__main__", alter_sys=True)
"""
MOST = 544 if sys.version_info < (3, 13) else 549 if sys.version_info < (3, 14) else 553
"""Modules when the server is ready, those of Python and of all packages included: as many as were counted. Newer
versions of Python have split some of theirs."""


@pytest.mark.proves("house.lean-imports")
def test_version_loads_the_package_root_and_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); from hector.__main__ import main; main(['version']); "
    code += "print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {name for name in loaded if name.startswith("hector")} == {"hector", "hector.__main__", "hector.version"}
    assert loaded & {"argparse", "asyncio", "json", "logging", "pydantic", "ssl", "typing_extensions", "yaml"} == set()


def modules_of_a_server(folder: Path, *said: str) -> set[str]:
    """What a `hector serve` on a scripted model had loaded when it stopped after answering `said`."""
    output = folder / "modules.txt"
    script = folder / "report.py"
    script.write_text(REPORT_AT_EXIT.format(output=str(output)), encoding="utf-8")
    hector = Hector((sys.executable, str(script)), folder)
    with hector.serve("--config", write(folder, SCRIPTED)) as server:
        for text in said:
            assert answer_text(server.say("parrot", text)) == "pong"
        assert server.stop() == 0
    loaded = set(output.read_text(encoding="utf-8").split())
    assert "uvicorn" in loaded, "the report is of a server"
    return loaded


AFTER_HURRY = """
import dataclasses, inspect, re, sys, typing
import typing_extensions
before = dataclasses.dataclass, re.compile, typing.TypedDict, typing_extensions.TypedDict
from hector.cli.lean import hurry, skip_command_line
hurry()
import pydantic as p
from pydantic_core import core_schema
assert not typing_extensions.is_typeddict(core_schema.CoreConfig), "it was loaded as ever"
skip_command_line()
import email.utils, uvicorn.server
assert email.utils.formatdate is not uvicorn.server.formatdate
for moment in (0, 951827696.7, 1791590400):
    assert email.utils.formatdate(moment, usegmt=True) == uvicorn.server.formatdate(moment, usegmt=True)
assert before == (dataclasses.dataclass, re.compile, typing.TypedDict, typing_extensions.TypedDict)

import anyio, anyio.to_thread, asyncio, subprocess
from anyio.abc import TaskStatus

async def child():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(7)", stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0]

assert asyncio.run(child()) == subprocess.run([sys.executable, "-c", "print(7)"], stdout=subprocess.PIPE).stdout
assert anyio.run(anyio.to_thread.run_sync, len, "abc") == 3
assert TaskStatus.__module__ == "anyio.abc", "the class itself"

import logging, string, textwrap
for style, text in {"%": "%(message)s", "{": "{message!s:>3}", "$": "${message}"}.items():
    logging.Formatter(text, style=style)
    try:
        logging.Formatter("nothing of a record", style=style)
    except ValueError:
        pass
    else:
        raise AssertionError(style)
assert string.Template("$a and ${b}").substitute(a=1, b=2) == "1 and 2"
assert textwrap.wrap("one two-three", 6) == ["one", "two-", "three"]

class Words(typing_extensions.TypedDict, total=False):
    text: str

@dataclasses.dataclass(frozen=True)
class Value:
    number: typing.Annotated[int, p.Field(ge=3)]

class Section(p.BaseModel):
    words: Words
    value: Value
    name: typing.Annotated[str, p.StringConstraints(pattern="^a", max_length=3), p.AfterValidator(str.upper)]
    size: p.ByteSize = p.Field(0, validation_alias=p.AliasChoices("size", p.AliasPath("at", 0)))
    secret: p.SecretStr = p.SecretStr("s")

    @p.field_validator("name")
    @classmethod
    def _checked(cls, value):
        return value + "!"

found = Section.model_validate({"words": {"text": "x"}, "value": {"number": 3}, "name": "abc", "at": ["2 kB"]})
assert (found.words, found.value, found.name, found.size) == ({"text": "x"}, Value(3), "ABC!", 2000)
try:
    Section.model_validate({"words": {"text": 1}, "value": {"number": 2}, "name": "b"})
except p.ValidationError as error:
    assert [one["type"] for one in error.errors()] == ["string_type", "greater_than_equal", "string_pattern_mismatch"]
    assert Section.model_json_schema()["$defs"]["Words"]["properties"] == {"text": {"title": "Text", "type": "string"}}
    print("as ever")
"""


@pytest.mark.proves("house.lean-imports")
def test_packages_that_are_loaded_quickly_work_as_ever() -> None:
    done = subprocess.run([sys.executable, "-c", AFTER_HURRY], capture_output=True, text=True, check=False)
    assert done.stdout == "as ever\n", done.stderr


@pytest.mark.proves("house.lean-imports")
def test_a_plain_serve_loads_only_what_it_uses(tmp_path: Path) -> None:
    loaded = modules_of_a_server(tmp_path)
    assert {name for name in loaded if name in HEAVY or name.partition(".")[0] in HEAVY} == set()
    assert loaded & (NOT_ASKED_FOR | FOR_LATER | OF_WHAT_IS_SET_UP) == set()
    assert "starlette.routing" in loaded
    assert "_ssl" not in loaded, "the model is reached without TLS"
    assert loaded & NOT_OF_STARLETTE == set()


@pytest.mark.proves("house.lean-imports")
def test_a_scripted_turn_loads_no_http_client(tmp_path: Path) -> None:
    assert modules_of_a_server(tmp_path, "ping") & {"httpx", "httpcore", "jsonschema"} == set()


@pytest.mark.proves("house.lean-imports")
def test_a_plain_serve_is_ready_without_what_nobody_set_up(tmp_path: Path) -> None:
    output = tmp_path / "modules.txt"
    command = [sys.executable, "-c", BEFORE_READY.format(output=str(output))]
    flags = ["serve", "--config", str(write(tmp_path, SCRIPTED)), "--port", "0", "--database", "sqlite://:memory:"]
    subprocess.run([*command, *flags], cwd=tmp_path, capture_output=True, timeout=60, check=True)
    loaded = set(output.read_text(encoding="utf-8").split())
    assert "hector.web.app" in loaded, "the report is of a server"
    assert loaded & (OF_WHAT_IS_SET_UP | BEHIND_READY | SECTIONS_OF_NOBODY) == set()
    assert {name for name in loaded if name.startswith(OF_ADMINISTRATORS)} == {"hector.web.admin_parts"}
    assert len(loaded) <= MOST, "load it when it is needed, or raise the bound with a reason"
