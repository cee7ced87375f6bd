"""Agents as a program describes them: the same keys as in the file, with functions and agents in place of names."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

from hector.core.hooks import KINDS, Hook, Hooks

Function = Callable[..., Any]


class Agent:
    """One agent. Every further key of `agents.<id>` in the configuration is taken by its name.

    `llm` is the id of a model, or of several in order. `tools` are functions, and names of tools of the file or of
    built-in ones; None gives it all that are declared. Agents in `sub_agents` and `agent_tools` come along.
    """

    def __init__(
        self,
        id: str,
        instruction: str = "",
        *,
        llm: str | Sequence[str] = "",
        tools: Iterable[Function | str] | None = (),
        sub_agents: Iterable["Agent | str"] = (),
        agent_tools: Iterable["Agent | str"] = (),
        type: str = "llm",
        **settings: Any,
    ) -> None:
        self.id = id
        self.type = type
        self.hooks = Hooks()
        self._instruction = instruction
        self._llm = llm
        self._tools = None if tools is None else list(tools)
        self._sub_agents = list(sub_agents)
        self._agent_tools = list(agent_tools)
        self._settings = settings

    @classmethod
    def sequential(cls, id: str, *agents: "Agent | str", **settings: Any) -> Self:
        """Agents one after the other."""
        return cls(id, sub_agents=agents, type="sequential", **settings)

    @classmethod
    def parallel(cls, id: str, *agents: "Agent | str", **settings: Any) -> Self:
        """Agents side by side."""
        return cls(id, sub_agents=agents, type="parallel", **settings)

    @classmethod
    def loop(cls, id: str, *agents: "Agent | str", **settings: Any) -> Self:
        """Agents in rounds; `max_iterations` bounds them."""
        return cls(id, sub_agents=agents, type="loop", **settings)

    def use(self, *tools: Function | str) -> Self:
        """Give it more tools."""
        self._tools = [*(self._tools or ()), *tools]
        return self

    def set(self, **settings: Any) -> Self:
        """Set further keys, as the file has them: `reasoning={"max_iterations": 5}`."""
        self._settings |= settings
        return self

    def before_agent(self, hook: Hook) -> Self:
        """`hook(context)`: a text in place of the whole run."""
        return self._add("before_agent", hook)

    def after_agent(self, hook: Hook) -> Self:
        """`hook(context, text)`: a text in place of the answer."""
        return self._add("after_agent", hook)

    def before_model(self, hook: Hook) -> Self:
        """`hook(context, request)`: another ModelRequest, or a text or ModelReply in place of the call."""
        return self._add("before_model", hook)

    def after_model(self, hook: Hook) -> Self:
        """`hook(context, reply)`: a text or ModelReply in place of the model's."""
        return self._add("after_model", hook)

    def before_tool(self, hook: Hook) -> Self:
        """`hook(context, name, args)`: a result in place of the call."""
        return self._add("before_tool", hook)

    def after_tool(self, hook: Hook) -> Self:
        """`hook(context, name, args, output)`: a result in place of the tool's."""
        return self._add("after_tool", hook)

    @property
    def functions(self) -> list[Function]:
        """The functions among its tools."""
        return [one for one in self._tools or () if not isinstance(one, str)]

    @property
    def others(self) -> Iterator["Agent"]:
        """The agents that come along with it."""
        return (one for one in (*self._sub_agents, *self._agent_tools) if isinstance(one, Agent))

    @property
    def section(self) -> dict[str, Any]:
        """What the file would say."""
        found: dict[str, Any] = {"type": self.type, **self._settings}
        if self._sub_agents:
            found["sub_agents"] = [_id(one) for one in self._sub_agents]
        if self.type != "llm":
            return found
        found["instruction"] = self._instruction
        if self._tools is not None:
            found["tools"] = [one if isinstance(one, str) else one.__name__ for one in self._tools]
        if self._agent_tools:
            found["agent_tools"] = [_id(one) for one in self._agent_tools]
        if self._llm:
            found["llm"] = self._llm if isinstance(self._llm, str) else list(self._llm)
        return found

    def _add(self, kind: str, hook: Hook) -> Self:
        self.hooks = with_hook(self.hooks, kind, hook)
        return self


def with_hook(hooks: Hooks, kind: str, hook: Hook) -> Hooks:
    """The same with one more."""
    given = {one: getattr(hooks, one) for one in KINDS}
    return Hooks(**{**given, kind: (*given[kind], hook)})


def _id(agent: Agent | str) -> str:
    return agent if isinstance(agent, str) else agent.id
