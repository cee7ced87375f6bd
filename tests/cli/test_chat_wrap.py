"""Breaking lines of a text that arrives in pieces, judged by what a terminal would show."""

import pytest

from hector.cli.chat_wrap import Wrapping, cells


def shown(written: str) -> str:
    """What is on the screen after writing, with backspaces carried out and line ends trimmed."""
    lines = [""]
    column = 0
    for sign in written:
        if sign == "\n":
            lines.append("")
            column = 0
        elif sign == "\b":
            column -= 1
        else:
            lines[-1] = lines[-1][:column] + sign + lines[-1][column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three", "one two\nthree"),
        ("one\ntwo\n\nthree", "one\ntwo\n\nthree"),
        ("incomprehensible is it", "incomprehensible\nis it"),
        ("is incomprehensible", "is\nincomprehensible"),
        ("- one two three\n- four", "- one two\n  three\n- four"),
        ("12. one two three", "12. one\n    two\n    three"),
        ("  in deep water", "  in deep\n  water"),
        ("```\nlong line of code\n```\nlong line of text", "```\nlong line of code\n```\nlong line\nof text"),
        ("a  b", "a  b"),
        ("ends with space ", "ends with\nspace"),
    ],
)
@pytest.mark.parametrize("piece", [1, 3, 100])
def test_lines_break_between_words(text: str, expected: str, piece: int) -> None:
    wrap = Wrapping(10)
    written = "".join(wrap.feed(text[at : at + piece]) for at in range(0, len(text), piece))
    assert shown(written) == expected


def test_nothing_is_held_back() -> None:
    wrap = Wrapping(20)
    assert wrap.feed("be") == "be"
    assert wrap.feed("gin") == "gin"


def test_wide_and_combining_characters_are_measured() -> None:
    assert cells("日本") == 4
    assert cells("e\u0301") == 1
    wrap = Wrapping(7)
    assert wrap.feed("日本 日本") == "日本\n日本"
