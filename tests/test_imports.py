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
    "referencing", "rpds", "tzdata", "unittest", "uvloop", "websockets", "xllamacpp",
}  # fmt: skip
NOT_OF_STARLETTE = {  # what of it nothing uses; some parts would bring packages along
    "starlette.authentication", "starlette.config", "starlette.endpoints", "starlette.schemas", "starlette.staticfiles",
    "starlette.templating", "starlette.testclient", "jinja2", "anyio._backends._asyncio",
}  # fmt: skip
FOR_LATER = {  # what only a mistake, a missing file, another command or a plug-in of pydantic's would need
    "difflib", "importlib.metadata", "click", "watchfiles", "hector.cli.info", "hector.cli.schema",
    "hector.config.detect", "hector.config.generate", "hector.config.masking", "hector.config.schema",
    "hector.config.watch", "hector.models.llama", "urllib.request",
}  # fmt: skip
NOT_ASKED_FOR = {  # providers that the configuration does not name, and the commands that do not run
    "hector.models.anthropic", "hector.models.gemini", "hector.models.ollama", "hector.models.openai_chat",
    "hector.models.openai_responses", "hector.models.local", "hector.cli.chat", "hector.cli.init",
    "hector.cli.validate",
}  # fmt: skip


@pytest.mark.proves("house.lean-imports")
def test_version_loads_the_package_root_and_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); from hector.__main__ import main; main(['version']); "
    code += "print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {name for name in loaded if name.startswith("hector")} == {"hector", "hector.__main__"}
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


@pytest.mark.proves("house.lean-imports")
def test_a_plain_serve_loads_only_what_it_uses(tmp_path: Path) -> None:
    loaded = modules_of_a_server(tmp_path)
    assert {name for name in loaded if name in HEAVY or name.partition(".")[0] in HEAVY} == set()
    assert loaded & (NOT_ASKED_FOR | FOR_LATER) == set()
    assert "starlette.routing" in loaded
    assert loaded & NOT_OF_STARLETTE == set()


@pytest.mark.proves("house.lean-imports")
def test_a_scripted_turn_loads_no_http_client(tmp_path: Path) -> None:
    assert modules_of_a_server(tmp_path, "ping") & {"httpx", "httpcore", "jsonschema"} == set()
