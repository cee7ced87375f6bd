"""The examples of this feature do what they say."""

from pathlib import Path

import pytest

from hector.agents.history import SUMMARY
from hector.config.load import load_config
from tests.config.sample import surroundings
from tests.memory.world import ANA, serving

EXAMPLES = Path(__file__).parents[2] / "examples"
AGENT = "assistant"


@pytest.mark.proves("memory.tools")
async def test_memory(tmp_path: Path) -> None:
    loaded = load_config(EXAMPLES / "memory.yaml", surroundings(tmp_path))
    async with serving("sqlite://:memory:", loaded.config) as server:
        assert await server.ask("remember that I take my tea without sugar", agent=AGENT) == "I will remember that."
        known = await server.ask("what do you know about tea?", agent=AGENT, context="later")
        assert known.startswith("I know this: ")
        assert "tea" in known


@pytest.mark.proves("artifacts.templates", "artifacts.tools")
async def test_artifacts(tmp_path: Path) -> None:
    loaded = load_config(EXAMPLES / "artifacts.yaml", surroundings(tmp_path))
    async with serving("sqlite://:memory:", loaded.config) as server:
        assert await server.ask("show", agent=AGENT) == "The plan so far: "
        for text in ("note: the launch is in May", "note: the launch is in June"):
            assert await server.ask(text, agent=AGENT) == "Noted."
        assert await server.ask("show", agent=AGENT) == "The plan so far: the launch is in June"
        assert (await server.ask("list", agent=AGENT)).startswith("plan.md (version 2, text/plain, 21 bytes")


@pytest.mark.proves("context.summary")
async def test_long_conversation(tmp_path: Path) -> None:
    loaded = load_config(EXAMPLES / "long-conversation.yaml", surroundings(tmp_path))
    async with serving("sqlite://:memory:", loaded.config) as server:
        for at in range(12):
            text = f"this is part {at} of a story that goes on and on"
            assert text in await server.ask(text, agent=AGENT)
        session = await server.store.sessions.load(ANA, "c")
        notes = [event for event in session.events if SUMMARY in (event.metadata or {})]
        assert 1 <= len(notes) < 12
        assert notes[-1].message.text == "The user has told a story, and the agent has repeated it."
        assert len(session.events) == 24 + len(notes)
