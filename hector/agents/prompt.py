"""The system text of an agent: its parts in a fixed order, templates filled from the session's state."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from hector.agents.template import Template, parse
from hector.config.agents import LlmAgent
from hector.core.record import dataclass

TOOL_RELIABILITY: Final = (
    "When you call a tool, wait for its result and build on what it really returned; "
    "never make up a result or claim an action that no tool has confirmed."
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Parsed once, rendered for each run: once for all where no part holds a placeholder."""

    parts: tuple[Template, ...]
    wants_artifacts: bool = field(init=False)
    """Whether any part names an artifact."""
    _fixed: str | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wants_artifacts", any(part.wants_artifacts for part in self.parts))
        is_fixed = all(part.is_fixed for part in self.parts)
        object.__setattr__(self, "_fixed", self._filled({}) if is_fixed else None)

    @property
    def artifacts(self) -> frozenset[str]:
        """The names of the artifacts that it names."""
        return frozenset(name for part in self.parts for name in part.artifacts)

    def render(self, state: Mapping[str, Any]) -> str:
        """The non-empty parts, a blank line between them. Raises AgentError for a missing required value."""
        return self._filled(state) if self._fixed is None else self._fixed

    def _filled(self, state: Mapping[str, Any]) -> str:
        texts = (part.render(state).strip() for part in self.parts)
        return "\n\n".join(text for text in texts if text)


def compose(agent: LlmAgent, *, has_tools: bool) -> Prompt:
    """Order: global instruction, role, instruction (or the system prompt), guidance, completion, tool reliability."""
    prompt, reasoning = agent.prompt, agent.reasoning
    texts = [
        agent.global_instruction,
        prompt.role,
        prompt.system_prompt or agent.instruction,
        prompt.guidance,
        reasoning.completion_instruction,
        TOOL_RELIABILITY if has_tools and not agent.disable_safety_protocols else "",
    ]
    return Prompt(tuple(parse(text) for text in texts if text))
