"""Artifacts as agents use them: saved by a tool, read by another, named in instructions."""

import asyncio
from typing import Any

import pytest

from hector.core.content import Text
from hector.core.event import Artifact
from hector.core.ports import ToolOutput
from tests.memory.world import ANA, BO, scripted, world

SAVE: dict[str, Any] = {
    "user": "save (.*)",
    "turn": 0,
    "tool_calls": [{"name": "save_artifact", "args": {"name": "plan.md", "text": r"\1"}}],
}
TOOLS = ["save_artifact", "list_artifacts", "load_artifact"]


@pytest.mark.proves("artifacts.tools")
async def test_what_was_saved_is_listed_and_read_again(dsn: str) -> None:
    rules: list[dict[str, Any]] = [
        SAVE,
        {"user": "keep (.*)", "turn": 0,
         "tool_calls": [{"name": "save_artifact", "args": {"name": "user:me.md", "text": r"\1"}}]},
        {"user": "list", "turn": 0, "tool_calls": [{"name": "list_artifacts"}]},
        {"user": "read (\\S+) (\\d)", "turn": 0,
         "tool_calls": [{"name": "load_artifact", "args": {"name": r"\1", "version": r"\2"}}]},
        {"user": "read (\\S+)", "turn": 0, "tool_calls": [{"name": "load_artifact", "args": {"name": r"\1"}}]},
        {"tool_result_matches": "(?s)(.*)", "text": r"\1"},
    ]  # fmt: skip
    async with world(dsn, scripted(*rules, tools=TOOLS)) as server:
        await server.ask("save one")
        await server.ask("save two")
        await server.ask("keep Ana")
        assert "plan.md (version 2, text/plain, 3 bytes" in await server.ask("list")
        assert await server.ask("read plan.md") == "two"
        assert await server.ask("read plan.md 1") == "one"
        assert await server.ask("read user:me.md", context="d") == "Ana"
        assert "nothing is kept under the name 'plan.md'" in await server.ask("read plan.md", context="d")
        assert "nothing is kept" in await server.ask("list", BO)


@pytest.mark.proves("instruction.artifact", "artifacts.templates")
async def test_instructions_name_those_of_the_session_and_of_the_user(dsn: str) -> None:
    rules: list[dict[str, Any]] = [SAVE, {"system": "(?s)(.*)", "turn": 0, "text": r"\1"}, {"text": "saved"}]
    agent = {"instruction": "Plan: {artifact.plan.md?} For: {artifact.user:me.md?}", "tools": TOOLS}
    async with world(dsn, scripted(*rules, **agent, disable_safety_protocols=True)) as server:
        assert await server.ask("show") == "Plan:  For:"
        await server.ask("save first")
        await server.ask("save second")
        assert await server.ask("show") == "Plan: second For:"
        assert await server.ask("show", context="d") == "Plan:  For:"


@pytest.mark.proves("artifacts.templates")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ({}, "the instruction needs {artifact.plan.md}, which has no value in this session"),
        ({"bytes": "AAAA", "media_type": "image/png"}, "which is image/png and cannot stand in a text"),
    ],
    ids=["missing", "binary"],
)
async def test_what_cannot_stand_in_an_instruction_is_said(dsn: str, kind: dict[str, str], said: str) -> None:
    save = {"user": "save", "turn": 0, "tool_calls": [{"name": "save_artifact", "args": {"name": "plan.md", **kind}}]}
    config = scripted(save, {"text": "saved"}, tools=TOOLS)
    config["agents"]["reader"] = {"instruction": "{artifact.plan.md}"}
    async with world(dsn, config) as server:
        if kind:
            await server.ask("save")
        assert said in await server.ask("read", agent="reader")


@pytest.mark.proves("artifacts.bounds")
async def test_any_tool_is_told_what_is_too_large_and_nothing_is_kept(dsn: str) -> None:
    async def draw() -> ToolOutput:
        """Draw."""
        return ToolOutput((Text("drawn"),), artifacts=(Artifact("a", (Text("x" * 50),), "big.txt"),))

    rules: list[dict[str, Any]] = [
        {"turn": 0, "tool_calls": [{"name": "draw"}]},
        {"tool_result_matches": "(.*)", "text": r"\1"},
    ]
    config = scripted(*rules) | {"tools": {"draw": {"handler": "draw"}}, "storage": {"artifacts": {"max_size": 40}}}
    async with world(dsn, config, draw) as server:
        answer = await server.ask("draw")
        assert "artifact 'big.txt' has 50 bytes, more than storage.artifacts.max_size (40)" in answer
        assert await server.store.artifacts.total(ANA) == 0


@pytest.mark.proves("artifacts.templates")
async def test_what_was_deleted_comes_back_into_no_instruction(dsn: str) -> None:
    rules: list[dict[str, Any]] = [SAVE, {"system": "(?s)(.*)", "turn": 0, "text": r"\1"}, {"text": "saved"}]
    agent = {"instruction": "Plan: {artifact.plan.md?}", "tools": TOOLS}
    async with world(dsn, scripted(*rules, **agent, disable_safety_protocols=True)) as server:
        await server.ask("save secret")
        assert await server.ask("show") == "Plan: secret"
        assert await server.store.artifacts.delete(ANA, "c", "plan.md") == 1
        assert await server.ask("show") == "Plan:"


@pytest.mark.proves("artifacts.bounds")
async def test_whose_artifact_found_no_place_at_the_last_moment_is_told_and_goes_on(dsn: str) -> None:
    both, waiting = asyncio.Event(), [0]

    async def draw() -> ToolOutput:
        """Draw, at the same time as somebody else."""
        waiting[0] += 1
        if waiting[0] == 2:
            both.set()
        async with asyncio.timeout(60):
            await both.wait()
        return ToolOutput((Text("drawn"),), artifacts=(Artifact("a", (Text("x" * 30),), "user:big.txt"),))

    rules: list[dict[str, Any]] = [
        {"turn": 0, "tool_calls": [{"name": "draw"}]},
        {"tool_result_matches": "max_total", "text": "no room"},
        {"text": "done"},
    ]
    config = scripted(*rules) | {"tools": {"draw": {"handler": "draw"}}, "storage": {"artifacts": {"max_total": 40}}}
    async with world(dsn, config, draw) as server:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(server.ask("draw", context=context)) for context in "cd"]
        assert sorted(task.result() for task in asked) == ["done", "no room"]
        assert await server.store.artifacts.total(ANA) == 30
