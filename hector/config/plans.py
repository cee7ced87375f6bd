"""What agents may say that run others by a plan, or are not run by a model: keys by type, references, circles."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from hector.config.document import Document
from hector.config.findings import Where
from hector.core.record import dataclass

STEPS: Final = frozenset(("sequential", "parallel", "loop"))
"""Types whose `sub_agents` are steps."""
SIDES: Final = ("condition_agent", "on_true_agent", "on_false_agent")


@dataclass(frozen=True, slots=True)
class Reference:
    """An agent names another one."""

    by: str
    to: str
    where: Where


def references(agents: Mapping[str, Mapping[str, Any]], key: str) -> Iterator[Reference]:
    """What the agents say under a key that holds a list of names, as far as it can be read."""
    for by, agent in agents.items():
        value = agent.get(key)
        names = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
        for index, name in enumerate(names):
            where: Where = ("agents", by, key, index) if isinstance(value, list) else ("agents", by, key)
            if isinstance(name, str) and name.strip():
                yield Reference(by, name.strip(), where)


def type_of(agent: Mapping[str, Any]) -> str:
    """The type of an agent, as it is written."""
    return str(agent.get("type", "llm"))


def settle(document: Document, agents: Mapping[str, dict[str, Any]]) -> None:
    """Refuse keys that agents of another type have, saying which; what no agent has is complained about elsewhere."""
    from hector.config.agents import TYPES  # noqa: PLC0415 - the classes are of use where a plan is
    from hector.config.shape import keys_of  # noqa: PLC0415

    if all(type_of(agent) == "llm" for agent in agents.values()) and not _foreign(agents):
        return
    keys = {name: frozenset(keys_of(load())) for name, load in TYPES.items()}
    for name, agent in agents.items():
        kind = type_of(agent)
        for key in [key for key in agent if kind in keys and key not in keys[kind]]:
            homes = [other for other, theirs in keys.items() if key in theirs]
            if homes:
                del agent[key]
                _misplaced(document, ("agents", name, key), kind, homes)


_KEYS: Final = frozenset(
    (*SIDES, "condition_field", "condition_value", "condition_operator", "on_true_response", "on_false_response",
     "cases", "url", "agent_card_url", "agent_card_file", "headers", "credentials", "timeout", "max_iterations",
     "on_error", "on_unknown", "proxy", "ca_bundle")
)  # fmt: skip
"""What agents of type llm do not have."""


def _foreign(agents: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(not _KEYS.isdisjoint(agent) for agent in agents.values())


def _misplaced(document: Document, where: Where, kind: str, homes: Sequence[str]) -> None:
    key = where[-1]
    hint = f"set type: {homes[0]}, or remove the key" if len(homes) == 1 else "set another type, or remove the key"
    if key == "max_iterations" and kind == "llm":
        hint = "the limit of an llm agent is reasoning.max_iterations"
    document.report(
        "unknown", where, f"{key!r} is a key of agents of type {', '.join(homes)}; this one is of type {kind}",
        key=True, hint=hint,
    )  # fmt: skip


def check(
    document: Document,
    agents: Mapping[str, Mapping[str, Any]],
    known: Iterable[str],
    dangling: Callable[[Where, str], None],
) -> list[Reference]:
    """Report what is wrong with plans. Gives back which agent runs which in a plan."""
    ids = set(known)
    found = [*_steps(document, agents), *_sides(document, agents)]
    for one in found:
        if one.to not in ids:
            dangling(one.where, one.to)
    for name, agent in agents.items():
        if type_of(agent) == "conditional":
            _decides(document, name, agent)
        elif type_of(agent) == "remote":
            _reachable(document, name, agent)
    return found


def _steps(document: Document, agents: Mapping[str, Mapping[str, Any]]) -> Iterator[Reference]:
    plans = {name: agent for name, agent in agents.items() if type_of(agent) in STEPS}
    seen: set[tuple[str, str]] = set()
    for one in references(plans, "sub_agents"):
        if (one.by, one.to) in seen and type_of(plans[one.by]) == "parallel":
            message = f"{one.to!r} stands twice in this list, and an agent works only once at a time"
            document.report("duplicate", one.where, message, hint="keep one")
        seen.add((one.by, one.to))
        yield one


def _sides(document: Document, agents: Mapping[str, Mapping[str, Any]]) -> Iterator[Reference]:
    for name, agent in agents.items():
        if type_of(agent) != "conditional":
            continue
        for key in SIDES:
            if isinstance(agent.get(key), str) and agent[key]:
                yield Reference(name, agent[key], ("agents", name, key))
        cases = agent.get("cases")
        for value, case in cases.items() if isinstance(cases, dict) else ():
            if isinstance(case, str):
                yield Reference(name, case, ("agents", name, "cases", value))
            elif isinstance(case, dict) and isinstance(case.get("agent"), str):
                yield Reference(name, case["agent"], ("agents", name, "cases", value, "agent"))


def _decides(document: Document, name: str, agent: Mapping[str, Any]) -> None:
    """Each side is one thing, and there is something to decide."""
    for side in ("on_true", "on_false"):
        if agent.get(f"{side}_agent") and agent.get(f"{side}_response"):
            message = f"{side}_agent and {side}_response cannot both be what follows"
            document.report("duplicate", ("agents", name, f"{side}_response"), message, key=True, hint="keep one")
    cases = agent.get("cases") or {}
    if not (agent.get("on_true_agent") or agent.get("on_true_response") or cases):
        message = "nothing is said to follow if the condition is true"
        hint = "add on_true_agent, on_true_response or cases"
        document.report("missing", ("agents", name), message, key=True, hint=hint)
    if cases and (agent.get("on_true_agent") or agent.get("on_true_response") or agent.get("condition_value")):
        message = "with cases there is no true side: cases say what follows, on_false_... what follows otherwise"
        document.report("duplicate", ("agents", name, "cases"), message, key=True, hint="keep one of the two")
    for value, case in cases.items() if isinstance(cases, dict) else ():
        if isinstance(case, dict) and bool(case.get("agent")) == bool(case.get("response")):
            where: Where = ("agents", name, "cases", value)
            document.report("missing", where, "a case needs an agent or a response, and not both")


def _reachable(document: Document, name: str, agent: Mapping[str, Any]) -> None:
    if not any(agent.get(key) for key in ("url", "agent_card_url", "agent_card_file")):
        document.report(
            "missing", ("agents", name), "nothing says where this agent is", key=True,
            hint="add url, agent_card_url or agent_card_file",
        )  # fmt: skip


def circles(document: Document, steps: Sequence[Reference], others: Sequence[Reference]) -> None:
    """A plan that would come to run itself, by whatever way, is reported with the way around."""
    nexts: dict[str, list[str]] = {}
    for one in (*steps, *others):
        nexts.setdefault(one.by, []).append(one.to)
    told: set[frozenset[str]] = set()
    for one in steps:
        way = _way(nexts, one.to, one.by)
        if way and frozenset(way) not in told:
            told.add(frozenset(way))
            path = " -> ".join((one.by, *way))
            message = f"these agents would run each other in a circle: {path}"
            document.report("cycle", one.where, message, hint="take one of them out of the plan")


def _way(nexts: Mapping[str, Sequence[str]], start: str, goal: str) -> list[str]:
    """The shortest way from one agent to another; empty where there is none."""
    ways: dict[str, list[str]] = {start: [start]}
    queue = [start]
    for agent in queue:
        if agent == goal:
            return ways[agent]
        for other in nexts.get(agent, ()):
            if other not in ways:
                ways[other] = [*ways[agent], other]
                queue.append(other)
    return []
