"""The format describes itself: as JSON Schema and as the reference page, and neither forgets a key."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from hector.config import aliases, databases, planned
from hector.config.schema import ID, json_schema, schema_text
from hector.config.shape import sections
from tests.config.sample import KEYS, errors
from tests.config.test_load import SEED

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema()


def objects(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of a block, with where it stands."""
    if isinstance(node, dict):
        if "properties" in node and isinstance(node["properties"], dict):
            yield path, node
        for key, value in node.items():
            yield from objects(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from objects(value, f"{path}/{index}")


@pytest.mark.proves("cli.schema", "web.schema")
def test_it_is_a_draft_07_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert (SCHEMA["$id"], SCHEMA["$schema"]) == (ID, "http://json-schema.org/draft-07/schema#")
    assert "$ref" not in schema_text()


@pytest.mark.proves("cli.schema")
def test_blocks_are_closed_and_keys_are_described() -> None:
    blocks = dict(objects(SCHEMA))
    assert len(blocks) > 20
    for path, block in blocks.items():
        assert block["additionalProperties"] is False, path
        for key, value in block["properties"].items():
            assert value.get("description"), f"{path}/{key}"
            assert value.get("title"), f"{path}/{key}"


def test_compact_is_the_same() -> None:
    compact = schema_text(compact=True)
    assert "\n" not in compact
    assert json.loads(compact) == json.loads(schema_text()) == SCHEMA


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_examples_fit_the_schema(path: Path) -> None:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    if isinstance(data.get("server"), dict) and "port" in data["server"]:
        data["server"]["port"] = 8080  # a placeholder in the file
    assert [error.message for error in Draft7Validator(SCHEMA).iter_errors(data)] == []


def test_the_product_descriptions_yaml_fits_the_schema() -> None:
    assert list(Draft7Validator(SCHEMA).iter_errors(yaml.safe_load(SEED))) == []


@pytest.mark.parametrize(
    "data",
    [
        {"nope": 1},
        {"llms": {"x": {"provider": "ollama", "temprature": 1}}},
        {"llms": {"x": {"provider": "nope"}}},
        {"agents": {"_x": {}}},
        {"server": {"port": -1}},
        {"llms": {"x": {"provider": "ollama", "timeout": "soon"}}},
    ],
)
def test_mistakes_do_not_fit(data: dict[str, Any]) -> None:
    assert not Draft7Validator(SCHEMA).is_valid(data)


FORMAT = """
version name description llms tools agents guardrails vector_stores embedders document_stores defaults.llm
databases server storage rate_limiting observability logger
llms.*.provider llms.*.model llms.*.api_key llms.*.base_url llms.*.temperature llms.*.max_tokens
llms.*.max_tool_output_length llms.*.thinking.enabled llms.*.thinking.budget_tokens
agents.*.name agents.*.description agents.*.type agents.*.visibility agents.*.llm agents.*.instruction
agents.*.instruction_file agents.*.global_instruction agents.*.prompt.system_prompt agents.*.prompt.role
agents.*.prompt.guidance agents.*.tools agents.*.sub_agents agents.*.agent_tools agents.*.document_stores
agents.*.include_context agents.*.include_context_limit agents.*.include_context_max_length agents.*.guardrails
agents.*.disable_safety_protocols agents.*.streaming agents.*.input_modes agents.*.output_modes agents.*.skills
agents.*.reasoning.max_iterations agents.*.reasoning.enable_exit_tool agents.*.reasoning.enable_escalate_tool
agents.*.reasoning.termination_conditions agents.*.reasoning.completion_instruction agents.*.context.strategy
agents.*.context.window_size agents.*.context.budget agents.*.context.threshold agents.*.context.target
agents.*.context.preserve_recent agents.*.context.summarizer_llm agents.*.structured_output.schema
agents.*.structured_output.strict agents.*.structured_output.name agents.*.max_iterations agents.*.condition_agent
agents.*.condition_field agents.*.on_true_agent agents.*.on_false_response agents.*.url agents.*.agent_card_url
agents.*.agent_card_file agents.*.headers agents.*.timeout agents.*.trigger agents.*.notifications agents.*.search
agents.*.prompt.system agents.*.workflow
tools.*.type tools.*.enabled tools.*.description tools.*.url tools.*.transport tools.*.command tools.*.args tools.*.env
tools.*.filter tools.*.handler tools.*.parameters tools.*.allowed_commands tools.*.denied_commands
tools.*.working_directory tools.*.max_execution_time tools.*.deny_by_default tools.*.require_approval
tools.*.approval_prompt tools.*.timeout
databases.*.driver databases.*.host databases.*.port databases.*.database databases.*.username databases.*.user
databases.*.password databases.*.ssl_mode databases.*.max_conns databases.*.max_idle databases.*.max_open_conns
databases.*.max_idle_conns databases.*.conn_max_lifetime databases.*.conn_max_idle_time databases.*.dsn databases.*.path
storage.tasks.backend storage.tasks.database storage.sessions.backend storage.sessions.database storage.memory
storage.checkpoint
server.host server.port server.grpc_port server.transport server.tls server.cors server.auth server.studio
server.rate_limiting
logger.level logger.file logger.format
"""
"""Every key of the original format that belongs to the blocks of this version, and the top of the others."""


def built() -> set[str]:
    """Every key that the sections take, as a pattern."""
    return {
        f"{where}.{field.alias or name}".lstrip(".").replace("<id>", "*").replace("[]", ".*")
        for where, section in sections()
        for name, field in section.model_fields.items()
    }


@pytest.mark.proves("config.unbuilt-refused", "config.aliases")
@pytest.mark.parametrize("key", FORMAT.split())
def test_every_key_of_the_format_is_built_renamed_refused_or_warned_of(key: str) -> None:
    renamed = {row.pattern for row in aliases.KEYS} | {row.pattern for row in aliases.VALUES}
    renamed |= {".".join(map(str, old)) for old, _ in aliases.MOVES}
    refused = {row.pattern for row in planned.KEYS} | {row.pattern for row in planned.VALUES}
    idle = {f"databases.*.{name}" for name in databases.IDLE}
    assert key in built() | renamed | refused | idle


@pytest.mark.proves("config.unbuilt-refused")
def test_what_is_built_is_not_planned_any_more(tmp_path: Path) -> None:
    assert built() & {row.pattern for row in planned.KEYS} == set()
    assert errors(tmp_path, "agents: {a: {trigger: {type: schedule}}}", KEYS)[0].kind == "planned"


@pytest.mark.proves("docs.configuration")
def test_the_page_holds_every_key_and_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.reference", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "up to date", "")
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert [key for key in built() if f"`{key.rpartition('.')[2]}`" not in page] == []


def test_the_page_names_every_flag_and_variable() -> None:
    from hector.config import startup

    source = Path(startup.__file__).read_text(encoding="utf-8")
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    for name in ("host", "port", "database", "log_level", "log_format", "log_file", "watch"):
        assert f'"{name}"' in source
        assert f"HECTOR_{name.upper()}" in page
        assert f"--{name.replace('_', '-')}" in page
