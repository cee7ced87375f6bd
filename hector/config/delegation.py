"""Which agents work with which: references lead somewhere, calls lead in no circle, no two tools share a name."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from hector.config import plans
from hector.config.document import Document
from hector.config.findings import Where
from hector.config.plans import Reference, references

KEYS: Final = ("agent_tools", "sub_agents")
FAMILIES: Final[Mapping[str, str]] = {"agenttool": "agent_tools", "transfer_to_agent": "sub_agents"}
"""Names that a list of tools may hold for what another key offers anyway."""
HANDOVER: Final = "transfer_to_"
LONGEST: Final = 64
"""Characters that providers take in the name of a tool."""


def check(
    document: Document,
    agents: Mapping[str, Mapping[str, Any]],
    known: Iterable[str],
    dangling: Callable[[Where, str], None],
) -> None:
    """Report what is wrong. `known` may be named; `dangling` reports a reference that leads nowhere."""
    ids = set(known)
    models = {name: agent for name, agent in agents.items() if plans.type_of(agent) == "llm"}
    found = {key: list(references(models, key)) for key in KEYS}
    for one in (*found["agent_tools"], *found["sub_agents"]):
        if one.to not in ids:
            dangling(one.where, one.to)
    steps = plans.check(document, agents, ids, dangling)
    _families(document, models)
    _itself(document, found["sub_agents"])
    for key in KEYS:
        _twice(document, found[key])
    _circles(document, found["agent_tools"])
    plans.circles(document, steps, [*found["agent_tools"], *found["sub_agents"]])
    _names(document, models, found)
    _silent(document, agents, found)


def _families(document: Document, agents: Mapping[str, Mapping[str, Any]]) -> None:
    """A family in a list of tools has members only where the other key names them."""
    for one in references(agents, "tools"):
        key = FAMILIES.get(one.to)
        if key is not None and not agents[one.by].get(key):
            message = f"{one.to!r} offers the agents under {key!r}, and agents.{one.by} names none there"
            document.report("reference", one.where, message, hint=f"add {key}, or remove {one.to!r}")


def _itself(document: Document, subs: Iterable[Reference]) -> None:
    for one in subs:
        if one.by == one.to:
            document.report("reference", one.where, f"{one.by!r} is its own sub-agent", hint="remove it from the list")


def _twice(document: Document, named: Iterable[Reference]) -> None:
    seen: set[tuple[str, str]] = set()
    for one in named:
        if (one.by, one.to) in seen:
            document.report("duplicate", one.where, f"{one.to!r} stands twice in this list", hint="keep one")
        seen.add((one.by, one.to))


def _circles(document: Document, tools: list[Reference]) -> None:
    """Each reference that closes a circle is reported with the way around."""
    calls: dict[str, list[Reference]] = {}
    for one in tools:
        calls.setdefault(one.by, []).append(one)
    done: set[str] = set()

    def walk(agent: str, way: tuple[str, ...]) -> None:
        for one in calls.get(agent, ()):
            if one.to in way:
                path = " -> ".join((*way[way.index(one.to) :], one.to))
                document.report(
                    "cycle",
                    one.where,
                    f"agents call each other in a circle: {path}",
                    hint="remove one of them from agent_tools; sub_agents may point back",
                )
            elif one.to not in done:
                walk(one.to, (*way, one.to))
        done.add(agent)

    for agent in calls:
        if agent not in done:
            walk(agent, (agent,))


def _names(document: Document, agents: Mapping[str, Mapping[str, Any]], found: Mapping[str, list[Reference]]) -> None:
    """A model tells its tools apart by name alone: tools, called agents and changes of hands share one space."""
    taken = {agent: _tools(document, agents[agent]) for agent in agents}
    for one in found["agent_tools"]:
        if one.to in taken[one.by]:
            message = f"the agent {one.to!r} and a tool of that name would be the same to the model"
            document.report("duplicate", one.where, message, hint=f"rename one of them, or limit agents.{one.by}.tools")
    for one in found["agent_tools"]:
        taken[one.by].add(one.to)
    for agent, to, where in dict.fromkeys(_handovers(agents, found["sub_agents"])):
        name = HANDOVER + to
        if len(name) > LONGEST:
            message = f"the tool {name} has more than {LONGEST} characters, which providers refuse"
            document.report("range", where, message, hint=f"rename the agent {to!r}")
        if name in taken.get(agent, ()):
            message = f"agents.{agent} has a tool {name}, too, which would be the same to the model"
            document.report("duplicate", where, message, hint="rename one of them")


def _handovers(agents: Mapping[str, Mapping[str, Any]], subs: Sequence[Reference]) -> Iterator[tuple[str, str, Where]]:
    """Who can hand over to whom, and where that is said: down, and by rule to the agent above and to its others."""
    for one in subs:
        yield one.by, one.to, one.where
        agent = agents.get(one.to, {})
        if agent.get("disallow_transfer_to_parent") is not True:
            yield one.to, one.by, one.where
        if agent.get("disallow_transfer_to_peers") is not True:
            yield from ((one.to, peer.to, one.where) for peer in subs if peer.by == one.by and peer.to != one.to)


def _tools(document: Document, agent: Mapping[str, Any]) -> set[str]:
    value = agent.get("tools")
    if isinstance(value, str):
        return {name.strip() for name in value.split(",")}
    if isinstance(value, list):
        return {name for name in value if isinstance(name, str)}
    declared = document.value.get("tools")
    blocks = declared.items() if isinstance(declared, dict) else ()
    return {name for name, tool in blocks if not (isinstance(tool, dict) and tool.get("enabled") is False)}


def _silent(document: Document, agents: Mapping[str, Mapping[str, Any]], found: Mapping[str, list[Reference]]) -> None:
    """Whom to call is decided by the description."""
    named = {one.to for key in KEYS for one in found[key]}
    for agent in agents:
        if agent in named and not agents[agent].get("description"):
            message = f"other agents work with {agent!r}, but are not told what it is for"
            document.report(
                "missing", ("agents", agent), message, key=True, severity="warning", hint="give it a description"
            )
