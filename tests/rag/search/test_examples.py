"""The example of searches that a model helps with does what it says."""

import shutil
from pathlib import Path

import pytest

from hector.agents.history import CONTEXT
from hector.config.load import load_config
from tests.config.sample import surroundings
from tests.memory.world import ANA, serving

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.proves("rag.hyde", "rag.multi-query", "rag.rerank", "agent.include-context")
async def test_a_search_that_a_model_helps_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_config(EXAMPLES / "rag-advanced.yaml", surroundings(tmp_path))
    shutil.copytree(EXAMPLES / "rag", tmp_path / "examples" / "rag")
    monkeypatch.chdir(tmp_path)
    words = loaded.config.document_stores["handbook"].with_changes(embedder="none")
    config = loaded.config.with_changes(document_stores={"handbook": words})
    async with serving("sqlite://:memory:", config) as server:
        await (await server.app.knowledge.store("handbook").keeper()).once()
        answer = await server.ask("The printer eats my sheets", agent="assistant")
        assert answer == "I have read what was found before I answered."
        session = await server.store.sessions.load(ANA, "c")
        (note,) = [event for event in session.events if CONTEXT in (event.metadata or {})]
        assert note.metadata is not None
        assert note.metadata[CONTEXT]["citations"][0]["document"] == "printers.md"
        assert note.metadata[CONTEXT]["notes"] == []
