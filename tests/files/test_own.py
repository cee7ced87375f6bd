"""The server's own files, in the folder that its agents work in: whatever they are called, they are out of reach."""

import asyncio
import json
from pathlib import Path

import pytest

from hector.apps.toolkit import Around, Toolkit
from hector.cli.instance import Instance
from hector.config.environment import Environment
from hector.config.load import load_config
from hector.core.ports import Offer
from hector.tools.catalog import Catalog
from hector.tools.files.offer import CHANGING, NAMES
from tests.files.conftest import Desk
from tests.files.test_hostile import READS, WRITES, attempt


def config_for(folder: Path) -> str:
    """An assistant that may change everything in a folder without asking."""
    tool = {"require_approval": False, "working_directory": str(folder)}
    undo = {"files": {"undo": str(folder / "before")}}
    return json.dumps({
        "llms": {"default": {"provider": "scripted", "rules": [{"text": "nobody"}]}},
        "tools": {name: {"handler": name, **tool, **(undo if name in CHANGING else {})} for name in NAMES},
        "agents": {"helper": {"tools": NAMES}, "other": {"instruction_file": "manner.md"}},
    })  # fmt: skip


@pytest.mark.proves("security.files")
async def test_configuration_database_and_records_are_closed(tmp_path: Path) -> None:
    file = tmp_path / "assistant.yml"
    (tmp_path / "manner.md").write_text("nobody is impolite")
    file.write_text(config_for(tmp_path))
    (tmp_path / "alias.yml").symlink_to(file)
    before = file.read_bytes()
    catalog, environment = Catalog(), Environment()
    loaded = load_config(tmp_path / "alias.yml", environment, handlers=catalog)
    async with Instance.open(f"sqlite:///{tmp_path}/facts.sqlite", environment, catalog, loaded) as instance:
        made = Toolkit(Around("default", instance.config, catalog)).give(None, 0)
        desk = Desk(tmp_path, tmp_path, Offer(made.tools, made.policies))
        await asyncio.to_thread(_try, desk)
    assert file.read_bytes() == before
    assert (tmp_path / "alias.yml").is_symlink()


def _try(desk: Desk) -> None:
    assert desk("write_file", path="note.txt", content="nobody").startswith("created")
    kept = next((desk.root / "before").rglob("*.change")).relative_to(desk.root)
    own = ("assistant.yml", "ASSISTANT.yml", "./assistant.yml", "facts.sqlite", "facts.sqlite-wal", str(kept), "before")
    for path in (*own, "alias.yml", f"{desk.root}/assistant.yml"):
        for how in (*READS, *WRITES):
            answer = attempt(desk, how, path)
            assert answer.startswith("error: "), (path, how, answer)
    assert "closed to agents" in desk("read_file", path="assistant.yml")
    assert "impolite" in desk("read_file", path="manner.md")
    assert "do not change" in desk("write_file", path="manner.md", content="x")
    shown = desk("list_files", recursive=True) + desk("grep_search", pattern="nobody")
    assert "note.txt" in shown
    assert not [name for name in ("assistant", "facts", "before") if name in shown]
