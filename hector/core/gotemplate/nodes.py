"""What a template consists of, once it is parsed."""

from typing import Any, TypeAlias

from hector.core.record import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Any


@dataclass(frozen=True, slots=True)
class Function:
    """A function by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Path:
    """Names to follow from a variable ("" is the root of the data, "." what is being looked at) or from a pipeline."""

    base: "str | Pipeline"
    names: tuple[str, ...] = ()


Operand: TypeAlias = Literal | Function | Path


@dataclass(frozen=True, slots=True)
class Command:
    """A value, or a function with its arguments. `at`: line and column, for messages."""

    operands: tuple[Operand, ...]
    at: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands of which each hands its value to the next one as its last argument."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """`{{pipeline}}`."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Assign:
    """`$name := pipeline`, or with `=` for a variable that is there (`new` False)."""

    name: str
    pipeline: Pipeline
    new: bool
    at: str


@dataclass(frozen=True, slots=True)
class If:
    """`if`, or `with`, which also looks at the value (`looks`); a variable may hold it."""

    name: str
    pipeline: Pipeline
    body: "Body"
    otherwise: "Body"
    looks: bool


@dataclass(frozen=True, slots=True)
class Range:
    """The body for each item; the variables hold its key and itself, or only itself."""

    names: tuple[str, ...]
    pipeline: Pipeline
    body: "Body"
    otherwise: "Body"


@dataclass(frozen=True, slots=True)
class Jump:
    """`break`, or `continue`."""

    ends: bool


Node: TypeAlias = str | Output | Assign | If | Range | Jump
Body: TypeAlias = tuple[Node, ...]
