"""A Python function as a tool: its signature is the schema, its docstring the description."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from hector.core.content import Data, JsonObject, Media, Text
from hector.core.errors import ToolError
from hector.core.ports import ToolContext, ToolOutput, ToolPolicy, ToolSpec
from hector.core.record import dataclass
from hector.tools.threads import in_thread

_CONTENT: Final = (Text, Media, Data)
_POLICY: Final = "__hector_policy__"
_F = TypeVar("_F", bound=Callable[..., Any])


def idempotent(function: _F) -> _F:
    """Mark a function whose call may be repeated without harm, such as one that only reads.

    A call that a crash has cut off is then simply run again, unless the configuration says otherwise.
    """
    setattr(function, _POLICY, replace(_marked(function), on_unknown="retry"))
    return function


def requires_approval(prompt: str = "") -> Callable[[_F], _F]:
    """Mark a function of which each call needs a person's approval, unless the configuration says otherwise."""

    def mark(function: _F) -> _F:
        setattr(function, _POLICY, replace(_marked(function), approval=True, prompt=prompt))
        return function

    return mark


def own_policy(function: Callable[..., Any]) -> ToolPolicy:
    """What a function is marked with; rules look at its arguments as it gets them, too."""
    return replace(_marked(function), readings=Meant(function))


def _marked(function: Callable[..., Any]) -> ToolPolicy:
    found: ToolPolicy = getattr(function, _POLICY, ToolPolicy())
    return found


class Meant:
    """The arguments as a function gets them: "yes" as true where it takes a truth value, "5" as a number, defaults.

    Belongs to the policy of one tool, and goes with it: nothing else keeps what the function is bound to.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, args: JsonObject) -> Sequence[JsonObject]:
        """The reading of a call that can be made; none of another one, which says so itself."""
        try:
            values = self._lenient.model_validate({**args}).model_dump(mode="json")
        except (ValueError, TypeError):
            return ()
        return ({**args, **{name: value for name, value in values.items() if name in args or value is not None}},)

    @cached_property
    def _lenient(self) -> type[BaseModel]:
        """A model of the parameters that misses none: the configuration may set some of them."""
        fields, _ = _parameters(self._function)
        optional: dict[str, Any] = {
            name: (hint, Field(default=None if default is ... else default)) for name, (hint, default) in fields.items()
        }
        return create_model("readings", **optional)


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """Checks the arguments, calls the function (a thread for a plain one), and turns what it returns into content.

    `fixed` are arguments that the configuration sets; the model neither sees them nor may give them. `context` is the
    name of the parameter that takes the ToolContext, if the function has one.
    """

    spec: ToolSpec
    function: Callable[..., Any]
    arguments: type[BaseModel]
    context: str | None
    fixed: Mapping[str, Any]

    def check(self, args: JsonObject) -> None:
        """Raises ToolError when the arguments do not fit the signature."""
        self._checked(args)

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        """Raises ToolError as `check` does, and as the function does."""
        values = self._checked(args)
        if self.context is not None:
            values[self.context] = context
        try:
            return output_of(await self._result(values))
        except SystemExit as error:
            raise ToolError(f"{self.spec.name} failed: SystemExit: {error}") from None

    async def _result(self, values: dict[str, Any]) -> object:
        if inspect.iscoroutinefunction(self.function):
            return await self.function(**values)
        result = await in_thread(self.spec.name, self.function, values)
        return await result if inspect.isawaitable(result) else result

    def _checked(self, args: JsonObject) -> dict[str, Any]:
        if taken := sorted(set(args) & set(self.fixed)):
            # Not just overridden: a person may have been shown them.
            raise ToolError(f"the arguments of {self.spec.name} do not fit: {', '.join(taken)} cannot be set")
        try:
            checked = self.arguments.model_validate(dict(args) | dict(self.fixed))
        except ValidationError as error:
            found = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg']}" for item in error.errors()
            )
            raise ToolError(f"the arguments of {self.spec.name} do not fit: {found}") from None
        return {name: getattr(checked, name) for name in type(checked).model_fields}


def output_of(result: object) -> ToolOutput:
    """What a function returned, as content: text stays text, content stays content, anything else becomes JSON."""
    if isinstance(result, ToolOutput):
        _check_storable(result)
        return result
    if result is None:
        return ToolOutput((Text("done"),))
    if isinstance(result, str):
        return ToolOutput((Text(result),))
    if isinstance(result, _CONTENT):
        return output_of(ToolOutput((result,)))
    if isinstance(result, BaseModel):
        return ToolOutput((Text(result.model_dump_json()),))
    return ToolOutput((Text(_json(result)),))


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolError(f"the tool returned a {type(value).__name__} that is not JSON: {error}") from None


def _check_storable(output: ToolOutput) -> None:
    """Raises ToolError for values that the event log could not hold."""
    parts = (*output.content, *(part for artifact in output.artifacts for part in artifact.parts))
    kept = (value for key, value in output.state.items() if not key.startswith("temp:"))
    for value in (*(part.value for part in parts if isinstance(part, Data)), *kept):
        _json(value)


def function_tool(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> FunctionTool:
    """Make a tool of a function with type hints.

    A parameter annotated with ToolContext receives the context. Parameter descriptions come from
    `Annotated[str, Field(description=...)]`. Raises TypeError for a parameter without a type hint.
    """
    found, context = _parameters(function)
    fields: dict[str, Any] = {one: (hint, Field(default=default)) for one, (hint, default) in found.items()}
    tool_name = name or function.__name__
    arguments = create_model(f"{tool_name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
    text = description or inspect.cleandoc(function.__doc__ or "")
    return FunctionTool(
        ToolSpec(tool_name, text, _schema(arguments, fixed or {})), function, arguments, context, fixed or {}
    )


def _parameters(function: Callable[..., Any]) -> tuple[dict[str, tuple[Any, Any]], str | None]:
    """Type hint and default by name, ... for none; and the parameter that takes the context. Raises TypeError."""
    hints = get_type_hints(function, include_extras=True)
    found: dict[str, tuple[Any, Any]] = {}
    context: str | None = None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in hints or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{function.__name__}: parameter {parameter.name!r} needs a type hint")
        if hints[parameter.name] is ToolContext:
            context = parameter.name
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        found[parameter.name] = (hints[parameter.name], default)
    return found, context


def _schema(arguments: type[BaseModel], fixed: Mapping[str, Any]) -> JsonObject:
    schema = arguments.model_json_schema()
    for field in schema.get("properties", {}).values():
        field.pop("title", None)
    schema.pop("title", None)
    schema["properties"] = {key: value for key, value in schema.get("properties", {}).items() if key not in fixed}
    schema["required"] = [key for key in schema.get("required", []) if key not in fixed]
    return schema
