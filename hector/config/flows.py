"""Agents that run other agents, or tools, by a fixed plan: steps one after the other, again and again, side by side,
one of two sides, a chain of tools."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from hector.config.agentbase import AgentBase
from hector.config.base import Names, Section

MOST_STEPS: Final = 100
DEFAULT_ROUNDS: Final = 10
MOST_ROUNDS: Final = 1000
Steps: TypeAlias = Annotated[Names, Field(min_length=1, max_length=MOST_STEPS)]


class FlowAgent(AgentBase):
    """What all have in common that run agents by a plan."""

    sub_agents: Steps = Field(description="The agents that it runs, in this order.")
    global_instruction: str = Field("", description="Told to every agent that it runs, before their own instructions.")


class SequentialAgent(FlowAgent):
    """Agents that work one after the other on the same conversation; the answer is the last one's."""

    type: Literal["sequential"] = Field("sequential", description="Kind of agent.")


class LoopAgent(FlowAgent):
    """The same again and again, until one of them ends the loop or the rounds are used up."""

    type: Literal["loop"] = Field("loop", description="Kind of agent.")
    max_iterations: int = Field(
        DEFAULT_ROUNDS, ge=0, le=MOST_ROUNDS, description=f"Most rounds; 0 means {MOST_ROUNDS}, the most there can be."
    )


class ParallelAgent(FlowAgent):
    """Agents that work at the same time, each on its own copy of the conversation; the answer joins theirs."""

    type: Literal["parallel"] = Field("parallel", description="Kind of agent.")
    on_error: Literal["fail", "continue"] = Field(
        "fail",
        description="When one of them fails: fail, once the others have ended; continue: the answer says so.",
    )


class Case(Section):
    """What is done for one value: an agent goes on, or a fixed text is the answer."""

    agent: str = Field("", description="Agent that goes on with the conversation.")
    response: str = Field("", description="Text that is the answer.")


class _Short:
    """The mark of a block that may also be written as the id of an agent."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


def _case(value: object) -> object:
    """The id of an agent stands for the whole block."""
    return {"agent": value} if isinstance(value, str) else value


Scalar: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr


def _several(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


Values: TypeAlias = Annotated[
    tuple[Scalar, ...],
    BeforeValidator(_several),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "number", "boolean"]},
                {"type": "array", "items": {"type": ["string", "number", "boolean"]}},
            ]
        }
    ),
]


class ConditionalAgent(AgentBase):
    """One agent judges, and what goes on follows from its judgement, which the user is not shown."""

    type: Literal["conditional"] = Field("conditional", description="Kind of agent.")
    condition_agent: str = Field(
        min_length=1, description="Agent that judges: it answers with a JSON object, or a word."
    )
    condition_field: str = Field(
        "safe", min_length=1, description="Key of the judgement that decides; a dot leads into an inner object."
    )
    condition_operator: Literal["equals", "not_equals", "contains", "above", "at_least", "below", "at_most"] = Field(
        "equals", description="How the value is compared with `condition_value`."
    )
    condition_value: Values = Field(
        (),
        description="True is what compares so with it, or with one of several. Left out: yes, or the true agent's id.",
    )
    on_true_agent: str = Field("", description="Agent that goes on if it is true.")
    on_true_response: str = Field("", description="Text that is the answer if it is true.")
    on_false_agent: str = Field("", description="Agent that goes on if it is false, or if no case fits.")
    on_false_response: str = Field(
        "", description="Text that is the answer if it is false. Left out: I cannot process this request."
    )
    cases: dict[str, Annotated[Case, BeforeValidator(_case), _Short()]] = Field(
        {}, description="By value, the id of an agent, or a block with `agent` or `response`; capitals do not matter."
    )


class RunnerAgent(AgentBase):
    """Tools one after the other, without a model: the result of each is what the next one is given."""

    type: Literal["runner"] = Field("runner", description="Kind of agent.")
    tools: Annotated[Names, Field(min_length=1, max_length=MOST_STEPS)] = Field(
        description="Ids under `tools` or names of generic tools, in the order in which they are called."
    )
