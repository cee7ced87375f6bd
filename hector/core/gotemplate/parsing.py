"""From pieces to nodes. Everything that is wrong with a template is found here, before it is ever used."""

import json
from collections.abc import Iterator
from typing import Final

from hector.core.gotemplate.functions import ARITY, FUNCTIONS
from hector.core.gotemplate.lexing import Action, TemplateError, Word, pieces
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

MOST_DEPTH: Final = 50
"""Blocks, or parentheses, within each other."""
MOST_NODES: Final = 5_000
_CONSTANTS: Final = {"true": True, "false": False, "nil": None}
_BLOCKS: Final = frozenset(("if", "with", "range"))
_LACKING: Final = frozenset(("define", "template", "block"))


def body_of(text: str) -> Body:
    """The nodes of a template. Raises TemplateError."""
    parser = _Parser(pieces(text))
    body, end = parser.body(0)
    if end is not None:
        raise TemplateError(f"{end.at}: {_word(end)!r} belongs to no if, with or range")
    return body


class _Parser:
    """Goes through the pieces once. `variables` are those that are known where it is."""

    def __init__(self, found: Iterator[str | Action]) -> None:
        self._pieces = found
        self._variables: list[str] = []
        self._loops = 0
        self._nodes = 0

    def body(self, depth: int) -> tuple[Body, Action | None]:
        """Everything up to an `end` or `else` of the block around, which is given back, too; None: the text ended."""
        found: list[Node] = []
        known = len(self._variables)
        for piece in self._pieces:
            if isinstance(piece, str):
                found += [piece] if piece else []
                continue
            if _word(piece) in {"end", "else"}:
                del self._variables[known:]
                return tuple(found), piece
            self._nodes += 1
            if depth > MOST_DEPTH or self._nodes > MOST_NODES:
                raise TemplateError(f"{piece.at}: the template has too many parts, or too many within each other")
            found.append(self._action(piece, depth))
        del self._variables[known:]
        return tuple(found), None

    def _action(self, action: Action, depth: int) -> Node:
        word = _word(action)
        if word in _LACKING:
            raise TemplateError(f"{action.at}: {word!r} is not part of these templates")
        if word in _BLOCKS:
            return self._block(action, word, depth)
        if word in {"break", "continue"} and len(action.words) == 1:
            if not self._loops:
                raise TemplateError(f"{action.at}: {word!r} stands in no range")
            return Jump(word == "break")
        words = _Words(action, self._variables)
        if (declared := words.declaration()) is not None:
            (name, *more), new = declared
            if more:
                raise words.refusal("one variable")
            pipeline = words.whole()
            if new:
                self._variables.append(name)
            elif name not in self._variables:
                raise words.refusal(f"a variable that is there, not ${name}")
            return Assign(name, pipeline, new, action.at)
        return Output(words.whole())

    def _block(self, action: Action, word: str, depth: int, skip: int = 1) -> Node:
        words = _Words(action, self._variables, skip)
        declared = words.declaration()
        names, new = declared or ((), True)
        if not new or len(names) > (2 if word == "range" else 1):
            raise words.refusal("new variables: one, or two for range")
        pipeline = words.whole()
        known = len(self._variables)
        self._variables += names
        self._loops += word == "range"
        body, end = self.body(depth + 1)
        self._loops -= word == "range"
        if word == "range":  # without an item there is nothing that they could hold
            del self._variables[known:]
        otherwise: Body = ()
        if end is not None and _word(end) == "else":
            otherwise, end = self._else(end, word, depth)
        del self._variables[known:]
        if end is None:
            raise TemplateError(f"{action.at}: this {word} has no end")
        if len(end.words) > 1:
            raise TemplateError(f"{end.at}: nothing stands behind 'end'")
        if word == "range":
            return Range(names, pipeline, body, otherwise)
        return If(names[0] if names else "", pipeline, body, otherwise, word == "with")

    def _else(self, action: Action, word: str, depth: int) -> tuple[Body, Action | None]:
        """The other side, and the end of the whole block: that of `else if` closes both."""
        if len(action.words) == 1:
            body, end = self.body(depth + 1)
            if end is not None and _word(end) == "else":
                raise TemplateError(f"{end.at}: there is an 'else' before it already")
            return body, end
        again = action.words[1].text
        if again != word or word == "range":
            raise TemplateError(f"{action.words[1].at}: behind 'else' stands nothing, or an if of an if")
        if depth > MOST_DEPTH:
            raise TemplateError(f"{action.at}: too many blocks stand within each other")
        return (self._block(action, again, depth + 1, skip=2),), Action((), action.at)


class _Words:
    """The words of one action, read from left to right."""

    def __init__(self, action: Action, variables: list[str], skip: int = 0) -> None:
        self._words = action.words
        self._variables = variables
        self._next = skip
        self._at = action.at

    def refusal(self, wanted: str) -> TemplateError:
        """What is wrong with the next word."""
        at = self._words[min(self._next, len(self._words) - 1)].at if self._words else self._at
        return TemplateError(f"{at}: expected {wanted}")

    def declaration(self) -> tuple[tuple[str, ...], bool] | None:
        """The variables that an action sets, and whether they are new; None where it sets none."""
        end = next((at for at, word in enumerate(self._words) if word.text in {":=", "="} and word.kind == "sign"), 0)
        if not end:
            return None
        named, sign = self._words[self._next : end], self._words[end].text
        names = [word.text[1:] for word in named if word.kind == "variable"]
        if len(named) != 2 * len(names) - 1 or not all(names) or any("." in name for name in names):
            raise self.refusal("variables such as $item before ':='")
        if any(word.text != "," for word in named[1::2]):
            raise self.refusal("a comma between variables")
        self._next = end + 1
        return tuple(names), sign == ":="

    def whole(self) -> Pipeline:
        """All that is left, as one pipeline."""
        found = self._pipeline(0)
        if self._next < len(self._words):
            raise self.refusal("nothing more")
        return found

    def _peek(self) -> Word | None:
        return self._words[self._next] if self._next < len(self._words) else None

    def _pipeline(self, depth: int) -> Pipeline:
        if depth > MOST_DEPTH:
            raise self.refusal("fewer parentheses within each other")
        commands = [self._command(depth, first=True)]
        while (word := self._peek()) is not None and word.text == "|" and word.kind == "sign":
            self._next += 1
            commands.append(self._command(depth, first=False))
        return Pipeline(tuple(commands))

    def _command(self, depth: int, *, first: bool) -> Command:
        at, operands = self._at, list[Operand]()
        while (word := self._peek()) is not None and not (word.kind == "sign" and word.text in {"|", ")"}):
            at = at if operands else word.at
            operands.append(self._operand(word, depth))
        if not operands:
            raise self.refusal("a value")
        head = operands[0]
        if not isinstance(head, Function):
            if len(operands) > 1 or not first:
                raise TemplateError(f"{at}: only a function takes arguments, and this is none")
        else:
            _check_count(head.name, len(operands) - 1 + (not first), at)
        for one in operands[1:]:
            if isinstance(one, Function):
                _check_count(one.name, 0, at)
        return Command(tuple(operands), at)

    def _operand(self, word: Word, depth: int) -> Operand:
        self._next += 1
        match word.kind:
            case "text":
                return Literal(_text(word))
            case "number":
                return Literal(_number(word))
            case "dot":
                return Path(".")
            case "field":
                return Path(".", tuple(word.text[1:].split(".")))
            case "variable":
                name, *names = word.text[1:].split(".")
                if name and name not in self._variables:
                    raise TemplateError(f"{word.at}: there is no variable ${name} here")
                return Path(name, tuple(names))
            case "name":
                return self._named(word)
            case _ if word.text == "(":
                return self._parenthesis(depth)
        self._next -= 1
        raise self.refusal("a value")

    def _parenthesis(self, depth: int) -> Path:
        inner = self._pipeline(depth + 1)
        word = self._peek()
        if word is None or word.text != ")":
            raise self.refusal("')'")
        self._next += 1
        after = self._peek()
        if after is not None and after.kind == "field" and word is not None and _follows(word, after):
            self._next += 1
            return Path(inner, tuple(after.text[1:].split(".")))
        return Path(inner)

    def _named(self, word: Word) -> Operand:
        if word.text in _CONSTANTS:
            return Literal(_CONSTANTS[word.text])
        if word.text not in FUNCTIONS:
            known = ", ".join(sorted(FUNCTIONS))
            raise TemplateError(f"{word.at}: there is no function {word.text!r}; there are: {known}")
        return Function(word.text)


def _word(action: Action) -> str:
    return action.words[0].text if action.words and action.words[0].kind == "name" else ""


def _follows(bracket: Word, field: Word) -> bool:
    """Whether a field stands right behind a bracket."""
    line, column = bracket.at.rsplit(" ", 1)
    return field.at == f"{line} {int(column) + 1}"


def _check_count(name: str, given: int, at: str) -> None:
    least, most = ARITY[name]
    if not least <= given <= most:
        wanted = f"{least}" if least == most else f"{least} or more" if most > 99 else f"{least} to {most}"
        raise TemplateError(f"{at}: {name} takes {wanted} values, not {given}")


def _text(word: Word) -> str:
    if word.text[0] == "`":
        return word.text[1:-1]
    try:
        found = json.loads(word.text)
        found.encode()
    except ValueError:
        raise TemplateError(f"{word.at}: this text holds an escape that is not known") from None
    return str(found)


def _number(word: Word) -> int | float:
    if len(word.text) > 30:
        raise TemplateError(f"{word.at}: this number is too long")
    if word.text.lstrip("+-").isdigit():
        return int(word.text)
    value = float(word.text)
    if value in (float("inf"), float("-inf")):
        raise TemplateError(f"{word.at}: this number is too large")
    return value
