"""The agents of an app as they work together: who may hand over to whom, and who has a conversation now."""

from collections.abc import AsyncGenerator, Callable, Container, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace

from hector.agents.approval import Waiting
from hector.agents.context import RunContext
from hector.agents.flow import Worker, working
from hector.agents.history import begin_of
from hector.agents.kit import Handover, Kit, handover
from hector.agents.marks import OVER, WITHIN, mark_of
from hector.core.errors import AgentError
from hector.core.event import Event, Output, Transfer


class Team:
    """All agents by id; filled once, before the first run."""

    def __init__(self) -> None:
        self.agents: dict[str, Worker] = {}
        self._trees: dict[str, frozenset[str]] = {}
        self._kits: dict[tuple[str, str], Kit] = {}
        self._artifacts: dict[str, bool] = {}

    def run(self, agent: str, context: RunContext) -> AsyncGenerator[Output | Waiting]:
        """Let an agent, or whoever it has handed over to, go on with its conversation in the context's branch."""
        if len(self.tree(agent)) == 1:
            return working(self.agents[agent], context)
        return self._hand_on(agent, context)

    def want_artifacts(self, agent: str) -> bool:
        """Whether the instruction of an agent, or of any that it may involve, names an artifact."""
        if agent not in self._artifacts:
            found = _reachable(agent, lambda name: self.agents[name].involves)
            self._artifacts[agent] = any(self.agents[name].prompt.wants_artifacts for name in found)
        return self._artifacts[agent]

    def tree(self, root: str) -> frozenset[str]:
        """An agent and all that can come to have its conversation."""
        if root not in self._trees:
            self._trees[root] = _reachable(root, lambda name: self.agents[name].sub_agents)
        return self._trees[root]

    def targets(self, root: str, agent: str) -> list[str]:
        """Whom an agent may hand over to in a conversation of `root`: its own, then, by rule, parents and peers."""
        one = self.agents[agent]
        parents = [name for name in self.agents if name in self.tree(root) and agent in self.agents[name].sub_agents]
        peers = [name for parent in parents for name in self.agents[parent].sub_agents]
        chosen = [*one.sub_agents, *(parents if one.to_parent else ()), *(peers if one.to_peers else ())]
        return [name for name in dict.fromkeys(chosen) if name != agent]

    def kit(self, root: str, agent: str) -> Kit:
        """What an agent can do in a conversation of `root`."""
        if (root, agent) not in self._kits:
            tools: dict[str, Handover] = {}
            for name in self.targets(root, agent):
                tool = handover(name, self.agents[name].description)
                tools[tool.spec.name] = tool
            self._kits[root, agent] = self.agents[agent].kit.with_handovers(tools)
        return self._kits[root, agent]

    def active(self, root: str, events: Sequence[Event], branch: str, start: int = 0) -> str:
        """Who has a conversation: the last of this tree who spoke in it, or was handed it.

        A plan has it until it has ended, and only in the run, from `start` on, that it is part of; then `root` does.
        """
        tree = self.tree(root)
        for at in range(len(events) - 1, -1, -1):
            event = events[at]
            if event.branch == branch and event.author != "user" and (name := _holder(event, tree)) in tree:
                ended = at < start or OVER in (mark_of(event) or ())
                return root if self.agents[name].is_plan and ended else name
        return root

    async def _hand_on(self, root: str, context: RunContext) -> AsyncGenerator[Output | Waiting]:
        events, branch = list(context.events), context.branch
        start = context.start if context.start >= 0 else begin_of(events, context.invocation_id, branch)
        given = max(context.start, 0)
        current = self.active(root, events[given:], branch, start - given)
        hands = _hands(events[start:], branch)
        while True:
            _check(hands, context.limits.transfers)
            above = context.above if current == root else self.agents[root].announce(context)
            last: Event | None = None
            inner = replace(context, events=events, above=above)
            async with aclosing(self._turn(root, current, inner, start)) as outputs:
                async for output in outputs:
                    if isinstance(output, Event):
                        events.append(output)
                        last = output if output.branch == branch else last
                    yield output
            if last is None or not isinstance(last.control, Transfer):
                return
            hands += _hands([last], branch)
            current = last.control.agent

    def _turn(self, root: str, agent: str, context: RunContext, start: int) -> AsyncGenerator[Output | Waiting]:
        """What one of the tree of `root` does. A plan begins where it was handed the conversation."""
        one = self.agents[agent]
        if not one.is_plan:
            return working(one, context, self.kit(root, agent))
        handed = (at for at in range(len(context.events) - 1, start - 1, -1) if _handed(context, at, agent))
        return working(one, replace(context, start=next(handed, start - 1) + 1))


def _holder(event: Event, tree: Container[str]) -> str:
    """Whom an event shows to have the conversation: what happens in the course of a plan of the tree is that plan's."""
    for plan in (event.metadata or {}).get(WITHIN, ()):
        if plan in tree:
            return str(plan)
    return event.control.agent if isinstance(event.control, Transfer) else event.author


def _handed(context: RunContext, at: int, agent: str) -> bool:
    event = context.events[at]
    return event.branch == context.branch and isinstance(event.control, Transfer) and event.control.agent == agent


def _reachable(root: str, next_of: Callable[[str], Iterable[str]]) -> frozenset[str]:
    found, left = {root}, [root]
    while left:
        fresh = set(next_of(left.pop())) - found
        found |= fresh
        left += fresh
    return frozenset(found)


def _hands(events: Iterable[Event], branch: str) -> list[str]:
    """The changes of hands, each as "from -> to"."""
    found = [event for event in events if event.branch == branch]
    return [f"{event.author} -> {event.control.agent}" for event in found if isinstance(event.control, Transfer)]


def _check(hands: Sequence[str], limit: int) -> None:
    if len(hands) > limit:
        raise AgentError(
            f"the agents handed this conversation on more than {limit} times without an answer "
            f"(delegation.max_transfers): {', '.join(hands)}"
        )
