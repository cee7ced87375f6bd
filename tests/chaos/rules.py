"""What must be true afterwards, whatever happened. Each rule gives what is wrong, in words; nothing is good."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.facts import SEQ_BITS, Facts
from tests.chaos.outside import Outside


@dataclass(slots=True)
class Witness:
    """What was seen: the database at the end, the world outside, and what was known at each death of a process."""

    facts: Facts
    outside: Outside
    acknowledged: Collection[str] = ()
    """Ids of the tasks that a client was given."""
    deaths: list[tuple[float, Facts]] = field(default_factory=list)
    """When a process died, and what the database held right after."""


Rule = Callable[[Witness], Iterator[str]]


def lost(seen: Witness) -> Iterator[str]:
    """P1: a task that a client was told of is there."""
    known = {task.id for task in seen.facts.tasks}
    return (f"task {name} was acknowledged and is gone" for name in seen.acknowledged if name not in known)


def stuck(seen: Witness) -> Iterator[str]:
    """P1: every stored task ends or waits for somebody, and its job is done."""
    for task in seen.facts.tasks:
        if not task.settled:
            yield f"task {task.id} is still {task.state}"
    settled = {task.id for task in seen.facts.tasks if task.settled}
    for job in seen.facts.jobs:
        if job.live and job.kind == "run" and job.subject in settled:
            yield f"job {job.key} is {job.state} although its task {job.subject} has settled"
        elif job.kind == "run" and job.live:
            yield f"job {job.key} is still {job.state} (attempt {job.attempts})"


def doubled(seen: Witness) -> Iterator[str]:
    """P2: no event twice, no hole in a session's sequence, one result for each call."""
    for name, count in Counter(event.id for event in seen.facts.events).items():
        if count > 1:
            yield f"event {name} is stored {count} times"
    for session, (name, following) in seen.facts.sessions.items():
        found = [event.key & (1 << SEQ_BITS) - 1 for event in seen.facts.events if event.key >> SEQ_BITS == session]
        if found != list(range(following)):
            yield f"session {name} has the events {found} and goes on with {following}"
    for call, count in Counter(seen.facts.results).items():
        if count > 1:
            yield f"call {call} has {count} results"
    repeated = Counter(run for run in _final_answers(seen.facts))
    yield from (f"run {run} was answered {count} times" for run, count in repeated.items() if count > 1)


def _final_answers(facts: Facts) -> Iterator[str]:
    names = {task.key: name for name, task in facts.runs.items()}
    for event in facts.events:
        if (
            event.role == "assistant"
            and event.text
            and not any(event.parts("tool_call"))
            and event.task in names
            and not event.aside
        ):
            yield names[event.task]


def unanswered(seen: Witness) -> Iterator[str]:
    """Every call of a run that has ended has its result, and every result its call."""
    ended = {task.key for task in seen.facts.tasks if task.state == "completed"}
    results = set(seen.facts.results)
    for call, event in seen.facts.calls.items():
        if event.task in ended and call not in results:
            yield f"call {call} of a completed task has no result"
    yield from (f"the result of {call} belongs to no call" for call in results if call not in seen.facts.calls)


def repeated(seen: Witness) -> Iterator[str]:
    """P3: what was stored when a process died is not done again: no model turn, no tool."""
    for moment, facts in seen.deaths:
        for asked in seen.outside.asked:
            if asked.at > moment and (asked.run, asked.step) in facts.turns:
                yield f"the model was asked again for step {asked.step} of {asked.run}, which was stored"
        done = set(facts.results)
        for effect in seen.outside.effects:
            if effect.at > moment and effect.key in done:
                yield f"{effect.tool} {effect.key} ran again although its result was stored"


def unrecorded(seen: Witness) -> Iterator[str]:
    """P4: whatever took effect stands in the log as a call: its intent was stored first."""
    for key in {effect.key for effect in seen.outside.effects}:
        if key not in seen.facts.calls:
            yield f"{key} took effect and no stored event knows of it"


def twice(seen: Witness) -> Iterator[str]:
    """P4: only the tool that is safe to repeat is ever repeated, under the same id, and only after a death."""
    for key, count in Counter(effect.key for effect in seen.outside.effects).items():
        effects = [effect for effect in seen.outside.effects if effect.key == key]
        if count > 1 and effects[0].tool != "put":
            yield f"{effects[0].tool} {key} took effect {count} times"
        if count > 1 + len(seen.deaths):
            yield f"{key} took effect {count} times after {len(seen.deaths)} deaths"
        if len({effect.effect_id for effect in effects}) > 1 or not effects[0].effect_id:
            yield f"{key} was tried under the ids {sorted({effect.effect_id for effect in effects})}"


def asked_twice(seen: Witness) -> Iterator[str]:
    """P3: a step is asked for once, and once more at most for each death."""
    for (run, step), count in Counter((asked.run, asked.step) for asked in seen.outside.asked).items():
        if count > 1 + len(seen.deaths):
            yield f"the model was asked {count} times for step {step} of {run} ({len(seen.deaths)} deaths)"


COLUMNS: Final[dict[str, tuple[Rule, ...]]] = {
    "lost": (lost,),
    "stuck": (stuck, unanswered),
    "doubled": (doubled, twice, unrecorded),
    "repeated": (repeated, asked_twice),
}
"""The columns of the report and the rules that fill them."""


def judge(seen: Witness) -> dict[str, list[str]]:
    """Everything that is wrong, by column."""
    return {column: [text for rule in rules for text in rule(seen)] for column, rules in COLUMNS.items()}
