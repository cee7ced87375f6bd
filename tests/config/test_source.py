"""Texts become values, and every mistake knows its place."""

import pytest
import yaml

from hector.config.findings import Position
from hector.config.source import NODE_LIMIT, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("on: yes", {"on": "yes"}, id="yes is a text, on is a key"),
        pytest.param("a: no", {"a": "no"}, id="no is a text"),
        pytest.param("a: true", {"a": True}, id="true is a truth value"),
        pytest.param("a: 2023-06-01", {"a": "2023-06-01"}, id="a date is a text"),
        pytest.param("a: 1:30", {"a": "1:30"}, id="no numbers to the base of sixty"),
        pytest.param("a: 012", {"a": 12}, id="a leading zero is no octal"),
        pytest.param("a: 0x1F", {"a": 31}, id="hexadecimal"),
        pytest.param("a: 1e3", {"a": 1000.0}, id="exponent"),
        pytest.param("a: .5", {"a": 0.5}, id="no leading zero"),
        pytest.param("a: '12'", {"a": "12"}, id="quoted number"),
        pytest.param("a: !!str 12", {"a": "12"}, id="tagged text"),
        pytest.param('a: !!int "12"', {"a": 12}, id="tagged number"),
        pytest.param("a: ~\nb:", {"a": None, "b": None}, id="nothing"),
        pytest.param("1: a\nnull: b", {"1": "a", "null": "b"}, id="keys are texts"),
        pytest.param("a: |\n  x\n  y\n", {"a": "x\ny\n"}, id="block text"),
        pytest.param("", {}, id="empty"),
        pytest.param("# only a comment\n", {}, id="comment"),
        pytest.param("---\na: 1\n", {"a": 1}, id="document mark"),
    ],
)
def test_values(text: str, value: dict[str, object]) -> None:
    document = parse(text, "f.yaml")
    assert (document.value, document.findings) == (value, [])


def test_anchors_aliases_and_merge_keys() -> None:
    text = "base: &base {a: 1, b: 2}\nmore: &more {b: 9, c: 3}\nx:\n  <<: [*base, *more]\n  a: 5\ny: *base\n"
    document = parse(text, "f.yaml")
    assert document.findings == []
    assert document.value["x"] == {"a": 5, "b": 2, "c": 3}
    assert document.value["y"] == {"a": 1, "b": 2}
    assert document.place(("x", "a")) == Position(5, 6)
    assert document.place(("x", "c")) == Position(2, 23)


def test_places_are_those_of_an_editor() -> None:
    document = parse("a:\n  b:\n    - x\n    - {c: 1}\n", "f.yaml")
    assert document.place(("a", "b", 1, "c")) == Position(4, 11)
    assert document.place(("a", "b"), key=True) == Position(2, 3)
    assert document.place(("a", "b", 7, "z")) == Position(2, 3), "what is missing is shown at the block around it"


@pytest.mark.proves("config.errors")
@pytest.mark.parametrize(
    ("text", "line", "column", "word"),
    [
        pytest.param("a:\n\tb: 1\n", 2, 1, "tab", id="tab"),
        pytest.param("a: b: c\n", 1, 5, "second key", id="two colons"),
        pytest.param("a: [1\nb: 2\n", 2, 2, "list", id="open list"),
        pytest.param("a: {b: 1\nc\n", 3, 1, "braces", id="open block"),
        pytest.param("a: 'x\n", 2, 1, "quoted", id="open quote"),
        pytest.param("a: *nope\n", 1, 4, "anchor", id="undefined alias"),
        pytest.param("a: 1\n---\nb: 2\n", 3, 1, "more than one", id="two documents"),
        pytest.param("a:\n  - b\n - c\n", 3, 2, "indentation", id="uneven list"),
        pytest.param("a: 1\nb\n", 3, 1, "colon", id="key without colon"),
        pytest.param('a: "\\q"\n', 1, 5 if yaml.__with_libyaml__ else 6, "escape", id="escape"),
        pytest.param("a: @x\n", 1, 4, "begin", id="reserved sign"),
        pytest.param("a: \x01\n", 1, 4, "control", id="control character"),
        pytest.param("a: |x\n b\n", 1, 5, "not valid", id="anything else"),
    ],
)
def test_syntax_errors(text: str, line: int, column: int, word: str) -> None:
    (finding,) = parse(text, "f.yaml").findings
    assert (finding.kind, finding.position, finding.file) == ("syntax", Position(line, column), "f.yaml")
    assert word in finding.message


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", "duplicate", Position(3, 1), id="duplicate key"),
        pytest.param("x: {a: 1, a: 1}\n", "duplicate", Position(1, 11), id="duplicate in a flow block"),
        pytest.param("a: &x {b: *x}\n", "cycle", Position(1, 4), id="alias of itself"),
        pytest.param("a: &x\n  <<: *x\n", "cycle", Position(1, 4), id="merge of itself"),
        pytest.param("a: !include b.yaml\n", "type", Position(1, 4), id="foreign tag"),
        pytest.param("- a\n", "type", Position(1, 1), id="list at the top"),
        pytest.param("just text", "type", Position(1, 1), id="text at the top"),
        pytest.param("? [a]\n: 1\n", "type", Position(1, 1), id="list as a key"),
        pytest.param("a: {<<: 3}\n", "type", Position(1, 9), id="merge of a number"),
        pytest.param("a: " + "[" * 80 + "]" * 80, "range", Position(1, 4), id="deep"),
        pytest.param("[" * 100_000, "range", Position(1, 1), id="bottomless"),
    ],
)
@pytest.mark.proves("config.errors")
def test_wrong_structure(text: str, kind: str, place: Position) -> None:
    (finding,) = parse(text, "f.yaml").findings[:1]
    assert (finding.kind, finding.position) == (kind, place)


def test_a_duplicate_names_the_first() -> None:
    (finding,) = parse("a: 1\nb: 2\na: 3\n", "f.yaml").findings
    assert finding.found == "first on line 1"


def test_an_alias_bomb_is_refused_quickly() -> None:
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    document = parse(text, "f.yaml")
    assert [finding.kind for finding in document.findings] == ["range"]
    assert len(document.values) <= NODE_LIMIT + 100


@pytest.mark.proves("config.json")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('{\n\t"a":\t1,\n\t"b": [true, null, -2.5e3]\n}', {"a": 1, "b": [True, None, -2500.0]}, id="tabs"),
        pytest.param('{"a": "x\\ty"}', {"a": "x\ty"}, id="escaped tab"),
        pytest.param('{"a": "\\ud83d\\ude00"}', {"a": "😀"}, id="surrogate pair"),
        pytest.param('{"a": "\\\\ud83d"}', {"a": "\\ud83d"}, id="escaped backslash"),
        pytest.param('{"a": "http:\\/\\/x"}', {"a": "http://x"}, id="escaped slash"),
        pytest.param('{"a": "yes", "b": {}}', {"a": "yes", "b": {}}, id="empty object"),
    ],
)
def test_json(text: str, value: dict[str, object]) -> None:
    document = parse(text, "f.json", is_json=True)
    assert (document.value, document.findings) == (value, [])


def test_places_in_json() -> None:
    document = parse('{\n\t"a": {\n\t\t"b": 1\n\t}\n}', "f.json", is_json=True)
    assert document.place(("a", "b"), key=True) == Position(3, 3)
