"""The rules see what they are there to see: each kind of damage, made by hand."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.facts import SEQ_BITS, Event, Facts, Job, Task
from tests.chaos.outside import Asked, Effect, Outside, Step
from tests.chaos.report import Cell, percentile, table
from tests.chaos.rules import Witness, judge

SESSION = 1 << SEQ_BITS
CALL = {"type": "tool_call", "id": "a.0.1.0", "name": "put", "args": {}}
RESULT = {"type": "tool_result", "call_id": "a.0.1.0", "name": "put", "content": [], "is_error": False}


def event(seq: int, role: str, *parts: dict[str, Any]) -> Event:
    """An event of the one task."""
    return Event(SESSION + seq, SESSION, f"e{seq}", role, {"message": {"role": role, "parts": list(parts)}})


def said(text: str) -> dict[str, Any]:
    """A text part."""
    return {"type": "text", "text": text}


def good() -> Witness:
    """One run that called a tool and answered, after a death behind its first model turn."""
    events = [
        event(0, "user", said("run a put say")),
        event(1, "assistant", CALL),
        event(2, "tool", RESULT),
        event(3, "assistant", said("a-0 #1")),
    ]
    task = Task(SESSION, "t", "completed", "")
    job = Job(1, "run", "t", "done", 2, 2, None, None)
    outside = Outside(
        asked=[Asked("a", 0, 1, 1.0, ()), Asked("a", 1, 1, 4.0, ())],
        effects=[Effect("put", "a.0.1.0", "x", 2.0), Effect("put", "a.0.1.0", "x", 3.5)],
    )
    facts = Facts({1: ("s", 4)}, [task], events, [job], [])
    early = Facts({1: ("s", 2)}, [replace(task, state="working")], events[:2], [replace(job, state="running")], [])
    return Witness(facts, outside, {"t"}, [(3.0, early)])


def wrong(witness: Witness) -> str:
    """Everything that is found, as one text."""
    return json.dumps(judge(witness))


@pytest.mark.proves("proof.oracle")
def test_a_clean_run_is_clean() -> None:
    assert {column: texts for column, texts in judge(good()).items() if texts} == {}


@pytest.mark.proves("proof.oracle")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"tasks": []}, "acknowledged and is gone", id="lost"),
        pytest.param({"tasks": [Task(SESSION, "t", "working", "")]}, "still working", id="stuck"),
        pytest.param({"jobs": [Job(1, "run", "t", "ready", 1, 1, None, None)]}, "although its task", id="job left"),
        pytest.param({"sessions": {1: ("s", 5)}}, "goes on with 5", id="hole"),
        pytest.param({"events": [*good().facts.events, event(3, "user")]}, "stored 2 times", id="event twice"),
        pytest.param({"events": good().facts.events[:2]}, "has no result", id="no result"),
        pytest.param(
            {"events": [*good().facts.events, event(4, "tool", RESULT)], "sessions": {1: ("s", 5)}},
            "has 2 results",
            id="two results",
        ),
        pytest.param(
            {"events": [*good().facts.events, event(4, "assistant", said("a-0 #2"))], "sessions": {1: ("s", 5)}},
            "answered 2 times",
            id="two answers",
        ),
    ],
)
def test_damage_in_the_database_is_seen(change: dict[str, Any], expected: str) -> None:
    witness = good()
    assert expected in wrong(replace(witness, facts=replace(witness.facts, **change)))


@pytest.mark.proves("proof.oracle")
@pytest.mark.parametrize(
    ("asked", "effects", "expected"),
    [
        pytest.param([Asked("a", 0, 2, 3.1, ())], [], "asked again for step 0", id="turn repeated"),
        pytest.param([Asked("a", 1, n, 4.0, ()) for n in (2, 3)], [], "asked 3 times", id="turn too often"),
        pytest.param([], [Effect("put", "b.0.1.0", "y", 2.0)], "no stored event", id="no intent"),
        pytest.param([], [Effect("put", "a.0.1.0", "y", 2.5)], "under the ids", id="another effect id"),
        pytest.param([], [Effect("put", "a.0.1.0", "x", 2.5)], "3 times after 1 deaths", id="effect too often"),
    ],
)
def test_damage_outside_is_seen(asked: list[Asked], effects: list[Effect], expected: str) -> None:
    witness = good()
    witness.outside.asked += asked
    witness.outside.effects += effects
    assert expected in wrong(witness)


@pytest.mark.proves("proof.oracle")
def test_an_effect_that_may_not_be_repeated_is_counted_strictly() -> None:
    witness = good()
    witness.outside.effects = [replace(effect, tool="pay") for effect in witness.outside.effects]
    assert "pay a.0.1.0 took effect 2 times" in wrong(witness)


def test_a_result_that_was_stored_forbids_the_effect_afterwards() -> None:
    witness = good()
    moment, facts = witness.deaths[0]
    witness.deaths = [(moment, replace(facts, events=good().facts.events[:3]))]
    assert "although its result was stored" in wrong(witness)


def test_steps_are_read_as_they_are_written() -> None:
    assert Step.parse("put*3@0.5^2") == Step("put", 3, 0.5, 0.0, 2.0)
    assert Step.parse("say*40~0.1") == Step("say", 40, 0.0, 0.1)


@pytest.mark.proves("proof.report")
def test_the_report_names_what_is_wrong() -> None:
    bad = Cell("crash:x", "sqlite", 1, runs=3, deaths=1, recovery=[0.5, 0.1, 2.0])
    bad.add({"lost": ["task t was acknowledged and is gone"], "stuck": []})
    skipped = Cell("crash:x", "sqlite", 3, skipped="one serving process per file")
    text = table([bad, skipped])
    assert "FAILED: lost: task t was acknowledged" in text
    assert "not applicable: one serving process per file" in text
    assert "1 of 1 cells FAILED" in text
    assert bad.as_json()["recovery"] == {"p50": 0.5, "p99": 2.0}
    assert percentile([], 50) is None
