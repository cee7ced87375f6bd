"""From nodes and data to text, within bounds."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from hector.core.gotemplate.functions import FUNCTIONS, MOST_SIGNS, CannotRender, check_length, is_true, text_of
from hector.core.gotemplate.lexing import TemplateError
from hector.core.gotemplate.nodes import (
    Assign,
    Body,
    Command,
    Function,
    If,
    Jump,
    Literal,
    Node,
    Operand,
    Output,
    Path,
    Pipeline,
    Range,
)

MOST_STEPS: Final = 50_000
"""Nodes, commands and items that one rendering goes through."""


def render(body: Body, data: object, now: float) -> str:
    """The text. Raises TemplateError."""
    rendering = _Rendering(data, now)
    try:
        rendering.run(body, data)
    except CannotRender as error:
        raise TemplateError(f"{rendering.at}: {error}" if rendering.at else str(error)) from None
    return "".join(rendering.out)


class _Rendering:
    """One rendering: what is written so far, the variables, and what may still be spent."""

    def __init__(self, data: object, now: float) -> None:
        self.out: list[str] = []
        self.at = ""
        self._variables: list[tuple[str, Any]] = [("", data)]
        self._now = now
        self._steps = MOST_STEPS
        self._signs = MOST_SIGNS

    def run(self, body: Body, dot: Any) -> Jump | None:
        """Write a body; a jump out of the loop around is given back."""
        known = len(self._variables)
        try:
            for node in body:
                self._step()
                jump = self._node(node, dot)
                if jump is not None:
                    return jump
            return None
        finally:
            del self._variables[known:]

    def _node(self, node: Node, dot: Any) -> Jump | None:
        if isinstance(node, str):
            self._write(node)
        elif isinstance(node, Output):
            self._write(text_of(self._pipeline(node.pipeline, dot)))
        elif isinstance(node, Assign):
            self._assign(node, self._pipeline(node.pipeline, dot))
        elif isinstance(node, If):
            return self._if(node, dot)
        elif isinstance(node, Range):
            return self._range(node, dot)
        else:
            return node
        return None

    def _assign(self, node: Assign, value: Any) -> None:
        if node.new:
            self._variables.append((node.name, value))
            return
        at = next(at for at in reversed(range(len(self._variables))) if self._variables[at][0] == node.name)
        self._variables[at] = node.name, value

    def _if(self, node: If, dot: Any) -> Jump | None:
        value = self._pipeline(node.pipeline, dot)
        known = len(self._variables)
        if node.name:
            self._variables.append((node.name, value))
        try:
            if is_true(value):
                return self.run(node.body, value if node.looks else dot)
            return self.run(node.otherwise, dot)
        finally:
            del self._variables[known:]

    def _range(self, node: Range, dot: Any) -> Jump | None:
        empty, known = True, len(self._variables)
        for key, item in self._items(self._pipeline(node.pipeline, dot)):
            empty = False
            self._step()
            held = (key, item) if len(node.names) == 2 else (item,)
            self._variables += zip(node.names, held, strict=False)
            jump = self.run(node.body, item)
            del self._variables[known:]
            if jump is not None and jump.ends:
                return None
        return self.run(node.otherwise, dot) if empty else None

    def _items(self, value: Any) -> Iterator[tuple[Any, Any]]:
        if isinstance(value, list):
            return iter(enumerate(value))
        if isinstance(value, Mapping):
            self._step(len(value))
            return iter([(key, value[key]) for key in sorted(value)])
        if isinstance(value, int) and not isinstance(value, bool):
            return ((at, at) for at in range(value))
        if value is None:
            return iter(())
        raise CannotRender("range takes a list, an object or a number")

    def _pipeline(self, pipeline: Pipeline, dot: Any) -> Any:
        given: tuple[Any, ...] = ()
        for command in pipeline.commands:
            self._step()
            given = (self._command(command, dot, given),)
        return given[0]

    def _command(self, command: Command, dot: Any, given: tuple[Any, ...]) -> Any:
        head, *rest = command.operands
        if not isinstance(head, Function):
            return self._operand(head, dot)
        arguments = [*(self._operand(one, dot) for one in rest), *given]
        self.at = command.at
        for one in arguments:
            self._step(_cost(one))
        if head.name == "now":
            return datetime.fromtimestamp(self._now, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        value = FUNCTIONS[head.name](*arguments)
        if isinstance(value, str):
            check_length(len(value))
        return value

    def _operand(self, operand: Operand, dot: Any) -> Any:
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Function):
            return self._command(Command((operand,), self.at), dot, ())
        value = self._base(operand, dot)
        for name in operand.names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def _base(self, path: Path, dot: Any) -> Any:
        if isinstance(path.base, Pipeline):
            return self._pipeline(path.base, dot)
        if path.base == ".":
            return dot
        return next(value for name, value in reversed(self._variables) if name == path.base)

    def _write(self, text: str) -> None:
        self._signs -= len(text)
        check_length(MOST_SIGNS - self._signs)
        self.out.append(text)

    def _step(self, cost: int = 1) -> None:
        self._steps -= cost
        if self._steps < 0:
            raise CannotRender(f"the template goes through more than {MOST_STEPS} steps with these data")


def _cost(argument: Any) -> int:
    """What it costs a function to go through a value."""
    if isinstance(argument, str):
        return len(argument) // 1_000
    return len(argument) // 50 if isinstance(argument, list | Mapping) else 0


__all__ = ["TemplateError", "render"]
