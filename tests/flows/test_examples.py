"""Every example of a type of agent runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.load import load_config
from hector.core.clock import SystemClock
from hector.core.task import TaskState
from hector.store import open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from tests.config.sample import surroundings
from tests.flows.conftest import answer
from tests.tasks.conftest import QUICK
from tests.together.conftest import Company, question, wanted

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def example(name: str, folder: Path) -> AsyncIterator[Company]:
    config = load_config(ROOT / "examples" / f"{name}.yaml", surroundings(folder, {})).config
    store = await open_store(f"sqlite://{folder / 'hector.db'}")
    apps = Apps(build(config, Catalog(())))
    try:
        async with TaskService(apps, store, SystemClock(), QUICK) as service:
            yield Company(service, store)
    finally:
        await apps.aclose()
        await store.aclose()


@pytest.mark.proves("agents.examples")
@pytest.mark.parametrize(
    ("name", "agent", "said", "expected"),
    [
        ("sequential", "article", "owls", "A text made of: Three facts about owls. It is short, too."),
        ("loop", "polish", "an owl", "A short draft."),
        ("parallel", "trip", "a day in Oslo", "Take an umbrella to the harbour, then have soup."),
        ("conditional", "router", "I want to buy a boat", "Sales here. Which size?"),
        ("conditional", "router", "my boat leaks", "Redirecting to support..."),
        ("conditional", "desk", "the invoice", "Billing here. Which number?"),
        ("conditional", "desk", "my boat leaks", "Nobody is in charge of that."),
    ],
)
async def test_it_answers(tmp_path: Path, name: str, agent: str, said: str, expected: str) -> None:
    async with example(name, tmp_path) as it:
        task = await it.say(said, to=agent)
        assert (task.status.state, answer(task)) == (TaskState.COMPLETED, expected)


@pytest.mark.proves("agents.examples", "agents.runner")
async def test_the_chain_of_tools(tmp_path: Path) -> None:
    async with example("runner", tmp_path) as it:
        task = await it.say("What shall we do?", to="intake")
        assert question(task) == "What shall we do?"
        task = await it.say("sell the boat", to="intake", task=task)
        (call,) = wanted(task)
        assert call["arguments"] == {"action": "sell the boat"}
        task = await it.say("approve", to="intake", task=task)
        assert answer(task) == "approved: sell the boat"
