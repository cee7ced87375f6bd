"""YAML and JSON as plain values, where every value knows its line and column."""

import json
import re
from typing import Any, Final

from hector.core.pattern import on_demand, pattern

with on_demand():  # of a dozen, one is of all signs that a text may not hold: 8 ms and half a megabyte
    import yaml

from hector.config.document import Document
from hector.config.findings import Finding, Position, Where

NODE_LIMIT: Final = 200_000
"""Values that aliases may unfold to: far above any real file, far below what hurts."""

DEPTH_LIMIT: Final = 60
"""Levels of blocks."""

_SUSPICIOUS: Final = 3000
_NULL: Final = {"", "~", "null", "Null", "NULL"}
_TRUE: Final = {"true", "True", "TRUE"}
_FALSE: Final = {"false", "False", "FALSE"}
_INT: Final = pattern(r"[-+]?\d+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT: Final = pattern(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONTROL: Final = pattern(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_JSON_TOKEN: Final = pattern(r'"(?:[^"\\]|\\.)*"|\t', re.DOTALL)
_JSON_ESCAPE: Final = pattern(r"\\\\|\\/|(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")
_TAG: Final = "tag:yaml.org,2002:"
_TAGS: Final = {_TAG + name for name in ("null", "bool", "int", "float")}
_PLAIN: Final = "plain"
_BASE: Final[type[yaml.BaseLoader]] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

SYNTAX: Final = (
    ("tab", "a tab stands where only spaces may", "indent with spaces"),
    ("cannot start any token", "this sign cannot begin a value", "indent with spaces; quote texts that begin so"),
    ("mapping values are not allowed", "a second key stands where a value should be",
     "check the indentation, and quote texts that contain ': '"),
    ("expected ':'", "a key without its colon", "write key: value"),
    ("undefined alias", "an alias names an anchor that does not exist", "define it first with &name"),
    ("duplicate anchor", "an anchor is defined twice", "give each anchor its own name"),
    ("end of stream", "the file ends inside a quoted text", "close the quotation mark"),
    ("',' or ']'", "a list is not closed, or a comma is missing", "write [a, b]"),
    ("',' or '}'", "a block in braces is not closed, or a comma is missing", "write {a: 1, b: 2}"),
    ("'-' indicator", "the list is indented unevenly", "give every entry of the list the same indentation"),
    ("expected key", "the indentation fits no block above", "align the key with its neighbours"),
    ("<block end>", "the indentation fits no block above", "align the line with its neighbours"),
    ("escape", "an unknown escape sequence stands in double quotes", "use single quotes, or double the backslash"),
    ("special characters", "a control character stands in the file", "remove it"),
    ("control characters", "a control character stands in the file", "remove it"),
)  # fmt: skip
"""Part of the parser's own word -> what we say -> what to do."""


class _Loader(_BASE):  # type: ignore[valid-type,misc] # the C parser, where it was built
    """Composes nodes; unquoted scalars without a tag are marked, so that only they are read as numbers and the like."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        """Called by the composer for every node without a tag."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return super().resolve(kind, value, implicit)


def parse(text: str, file: str, *, is_json: bool = False) -> Document:
    """Text to values. Syntax errors and duplicate keys are noted in the document, not raised."""
    document = Document(file, text)
    try:
        node = _compose(_as_yaml(text) if is_json else text)
    except yaml.YAMLError as error:
        document.findings.append(_syntax(error, document))
        return document
    except RecursionError:
        document.report("range", (), "blocks are nested too deeply", allowed=f"{DEPTH_LIMIT} levels")
        return document
    if node is not None:
        _Builder(document).top(node)
    return document


def _as_yaml(text: str) -> str:
    """JSON in the dialect that the YAML parser reads: no tabs, no surrogate pairs; columns stay where they are."""

    def token(match: re.Match[str]) -> str:
        return " " if match[0] == "\t" else _JSON_ESCAPE.sub(escape, match[0])

    def escape(match: re.Match[str]) -> str:
        return match[0] if match[0] == r"\\" else str(json.loads(f'"{match[0]}"'))

    return _JSON_TOKEN.sub(token, text)


def _check_depth(text: str) -> None:
    """Refuse bottomless nesting before the composer, which recurses in C, runs out of stack.

    Only a text with thousands of opening signs can be that deep, so that usual files skip the extra pass.
    """
    if sum(text.count(sign) for sign in "[{-?:") < _SUSPICIOUS:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _SUSPICIOUS:
            raise RecursionError


def _compose(text: str) -> yaml.Node | None:
    _check_depth(text)
    loader = _Loader(text)
    try:
        if not loader.check_node():
            return None
        node: yaml.Node = loader.get_node()
        if loader.check_node():
            raise yaml.MarkedYAMLError(problem="second document", problem_mark=loader.get_node().start_mark)
        return node
    finally:
        loader.dispose()


def _syntax(error: yaml.YAMLError, document: Document) -> Finding:
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", ""))
    mark = getattr(error, "problem_mark", None)
    position = Position(mark.line + 1, mark.column + 1) if mark else None
    if "second document" in problem:
        message, hint = "the file holds more than one document", "keep one, remove the line '---' between them"
    else:
        message, hint = next(
            ((text, todo) for word, text, todo in SYNTAX if word in problem),
            ("the file is not valid YAML at this place", "check indentation, quotes and brackets"),
        )
    if position and "\t" in _indent(document.text, position):
        message, hint = "a tab stands where only spaces may", "indent with spaces"
    if position is None and (sign := _CONTROL.search(document.text)):
        before = document.text[: sign.start()]
        position = Position(before.count("\n") + 1, sign.start() - before.rfind("\n"))
    return Finding("syntax", message, (), document.file, position, hint=hint)


def _indent(text: str, position: Position) -> str:
    lines = text.splitlines()
    line = lines[position.line - 1] if position.line <= len(lines) else ""
    return line[: len(line) - len(line.lstrip())]


class _Builder:
    """Turns nodes into values; YAML 1.2's idea of true, false and numbers, so that `on`, `no` and dates stay texts."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: list[yaml.Node] = []
        self._count = 0

    def top(self, node: yaml.Node) -> None:
        value = self._value(node, ())
        if isinstance(value, dict):
            self._document.value = value
        elif value is not None:
            self._document.report(
                "type", (), "the file must hold keys and values", found=_noun(value), allowed="a block of keys"
            )

    def _value(self, node: yaml.Node, where: Where) -> Any:
        self._document.values[where] = _position(node)
        if self._is_refused(node, where):
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where)
        self._open.append(node)
        try:
            return self._mapping(node, where) if isinstance(node, yaml.MappingNode) else self._list(node, where)
        finally:
            self._open.pop()

    def _is_refused(self, node: yaml.Node, where: Where) -> bool:
        self._count += 1
        if self._count == NODE_LIMIT:
            self._document.report("range", where[:1], "aliases unfold to far too many values", hint="use fewer aliases")
        elif len(self._open) == DEPTH_LIMIT:
            self._document.report("range", where[:1], "blocks are nested too deeply", allowed=f"{DEPTH_LIMIT} levels")
        elif any(node is outer for outer in self._open):
            self._document.report("cycle", where, "an alias contains itself", hint="remove the alias")
        else:
            return self._count > NODE_LIMIT
        return True

    def _list(self, node: yaml.Node, where: Where) -> list[Any]:
        return [self._value(item, (*where, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.Node, where: Where) -> dict[str, Any]:
        found: dict[str, Any] = {}
        own: list[tuple[yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._document.values[where] = _position(key)
                self._document.report("type", where, "a key must be a plain text")
            elif key.value == "<<" and key.tag == _PLAIN:
                self._merge(found, value, where)
            else:
                own.append((key, value))
        self._document.values[where] = _position(node)
        first: dict[str, Position] = {}
        for key, value in own:
            self._entry(found, first, key, value, where)
        return found

    def _entry(
        self, found: dict[str, Any], first: dict[str, Position], key: yaml.Node, value: yaml.Node, where: Where
    ) -> None:
        name, position = str(key.value), _position(key)
        if name in first:
            finding = Finding(
                "duplicate", "this key stands here twice", (*where, name), self._document.file, position,
                found=f"first on line {first[name].line}", hint="keep one of them",
            )  # fmt: skip
            self._document.findings.append(finding)
            return
        first[name] = self._document.keys[*where, name] = position
        found[name] = self._value(value, (*where, name))

    def _merge(self, found: dict[str, Any], node: yaml.Node, where: Where) -> None:
        """`<<`: the keys of other blocks, of which the earlier ones win; own keys are laid over them later."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in reversed(sources):
            if isinstance(source, yaml.MappingNode):
                found.update(self._value(source, where) or {})
            else:
                self._document.values[where] = _position(source)
                self._document.report("type", where, "'<<' takes a block of keys, or a list of such blocks")

    def _scalar(self, node: yaml.Node, where: Where) -> Any:
        text, tag = str(node.value), str(node.tag)
        if tag == _PLAIN:
            return plain(text)
        if tag == _TAG + "str":
            return text
        if tag in _TAGS:
            return plain(text)
        self._document.report(
            "type", where, "this tag is not supported", found=tag, allowed="!!str, !!int, !!float, !!bool, !!null"
        )
        return None


def plain(text: str) -> Any:
    """The value of an unquoted scalar."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _position(node: yaml.Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def _noun(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a single value"
