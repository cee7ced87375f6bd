"""Inline reasoning, cut at every possible place."""

import pytest

from hector.core.event import TextDelta
from hector.models.thinktags import ThinkSplitter


def split(*pieces: str) -> tuple[str, str]:
    """(thinking, answer)"""
    splitter = ThinkSplitter()
    deltas = [delta for piece in pieces for delta in splitter.feed(piece)]
    deltas += splitter.finish()
    assert all(delta.text for delta in deltas)
    answer = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    return "".join(delta.text for delta in deltas if not isinstance(delta, TextDelta)), answer


CASES = [
    ("plain", "", "plain"),
    ("", "", ""),
    ("  plain\n", "", "  plain\n"),
    ("<think>why</think>because", "why", "because"),
    ("\n<think>\nwhy\n</think>\n\nbecause\n", "\nwhy\n", "because\n"),
    ("<think></think>because", "", "because"),
    ("<think>a</think>\n<think>b</think>c", "ab", "c"),
    ("<think>never closed", "never closed", ""),
    ("<think>almost </thin", "almost </thin", ""),
    ("<think>a < b </ c</think>d", "a < b </ c", "d"),
    ("<thin", "", "<thin"),
    ("<thinker>x", "", "<thinker>x"),
    ("use <think>x</think> tags", "", "use <think>x</think> tags"),
    ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
    ("<think>über</think>naïve", "über", "naïve"),
]


@pytest.mark.proves("models.openai.chat")
@pytest.mark.parametrize(("text", "thinking", "answer"), CASES)
def test_a_block_at_the_start_is_thinking(text: str, thinking: str, answer: str) -> None:
    assert split(text) == (thinking, answer)


@pytest.mark.parametrize(("text", "thinking", "answer"), CASES)
def test_the_cut_does_not_matter(text: str, thinking: str, answer: str) -> None:
    assert split(*text) == (thinking, answer)
    for at in range(len(text)):
        assert split(text[:at], text[at:]) == (thinking, answer)


def test_text_flows_as_soon_as_it_cannot_be_a_tag() -> None:
    splitter = ThinkSplitter()
    assert splitter.feed("<th") == ()
    assert splitter.feed("e") == (TextDelta("<the"),)
    assert splitter.feed(" end") == (TextDelta(" end"),)
