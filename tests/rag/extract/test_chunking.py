"""Chunks: sizes, places, and that nothing of a document is lost or torn."""

import random
import time
from typing import Any

import pytest
from pydantic import ValidationError

from hector.config.chunking import Chunking
from hector.core.retrieval import Chunk, Extracted, Place, Section
from hector.rag import graphemes
from hector.rag.chunking import Plain, chunk

WORDS = [
    "oven",
    "Köln",
    "a",
    "the",
    "Grüße.",
    "日本語のテキスト。",
    "e\u0301clair",
    "👩‍👩‍👧‍👦",
    "🇩🇪🇫🇷",
    "각하",
    "नमस्ते",
    "end!",
    "x" * 70,
]
STRATEGIES = ["simple", "overlapping", "semantic"]


def text_of(random_: random.Random, words: int) -> str:
    """Lines, blank lines, indentation, and words of several scripts."""
    pieces: list[str] = []
    for _ in range(words):
        pieces += [random_.choice(WORDS), random_.choice([" ", " ", " ", " ", "\n", "\n\n", "\n    ", "\t", ""])]
    return "".join(pieces).strip() or "empty"


def verbatim(text: str) -> Extracted:
    return Extracted("t", (Section(text, Place(first_line=1, last_line=1 + text.count("\n"))),))


def document(random_: random.Random) -> Extracted:
    """Sections of every kind, on pages, with lines that count on."""
    sections: list[Section] = []
    line, page, heading = 1, 0, ""
    paged = random_.random() < 0.5
    for number in range(random_.randint(1, 25)):
        kind: Any = random_.choice(["text", "text", "heading", "code", "table", "row"])
        text = f"Heading {number}" if kind == "heading" else text_of(random_, random_.choice([1, 5, 60, 300]))
        heading = text if kind == "heading" else heading
        page += paged and random_.random() < 0.3
        last = line + text.count("\n")
        place = Place(page=page, heading=heading) if paged else Place(0, heading, "", line, last)
        sections.append(Section(text, place, kind))
        line = last + 2
    return Extracted("t", tuple(sections))


def rules_of(random_: random.Random) -> Plain:
    size = random_.choice([30, 100, 333, 1000])
    return Plain(
        random_.choice(STRATEGIES), size, random_.choice([0, 0, size // 10, size // 2, size - 1]),
        random_.choice([0, size // 4, size]), random_.choice([size, size * 2]), random_.random() < 0.7,
    )  # fmt: skip


def positions(text: str, chunks: list[Chunk]) -> list[int]:
    """Where each chunk begins in the text; they come in order."""
    found: list[int] = []
    at = 0
    for one in chunks:
        at = text.index(one.text, at)
        found.append(at)
    return found


@pytest.mark.proves("rag.chunking.size", "rag.chunking.semantic", "rag.chunking.overlap")
@pytest.mark.parametrize("seed", range(50))
def test_everything_stands_in_a_chunk_within_the_sizes(seed: int) -> None:
    random_ = random.Random(seed)
    given, rules = document(random_), rules_of(random_)
    chunks = chunk(given, rules)
    most = max(rules.size, rules.max_size)
    assert [one.number for one in chunks] == list(range(len(chunks)))
    assert all(0 < len(one.text) <= most and one.text.strip() for one in chunks)
    parts = [section.text for section in given.sections]
    whole = "\n\n".join(parts) if all(s.kind != "row" for s in given.sections) else None
    letters = "".join("".join(parts).split())
    if rules.overlap or rules.strategy == "overlapping":
        assert set(letters) == set("".join("".join(one.text for one in chunks).split()))
    else:
        assert "".join("".join("".join(one.text for one in chunks)).split()) == letters
    if whole is None:
        return
    for one, start in zip(chunks, positions(whole, chunks), strict=True):
        assert graphemes.breaks(whole, start) or start == 0
        assert graphemes.breaks(whole, start + len(one.text))


@pytest.mark.proves("rag.chunking.size")
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", range(8))
def test_lines_are_those_of_the_original(seed: int, strategy: str) -> None:
    random_ = random.Random(seed)
    text = text_of(random_, 800)
    lines = text.split("\n")
    for one in chunk(verbatim(text), Plain(strategy, random_.choice([50, 200, 900]), min_size=0)):
        at = "\n".join(lines[one.place.first_line - 1 : one.place.last_line])
        assert one.text in at
        assert at.index(one.text) <= len(lines[one.place.first_line - 1])
        assert one.place.last_line - one.place.first_line == one.text.count("\n")


@pytest.mark.proves("rag.chunking.size")
@pytest.mark.parametrize("seed", range(8))
def test_chunks_stay_on_their_page(seed: int) -> None:
    random_ = random.Random(seed)
    pages = [text_of(random_, random_.choice([1, 30, 400])) for _ in range(12)]
    given = Extracted("t", tuple(Section(text, Place(page=number)) for number, text in enumerate(pages, 1)))
    for strategy in STRATEGIES:
        for one in chunk(given, Plain(strategy, 300, min_size=0)):
            assert one.text in pages[one.place.page - 1]


@pytest.mark.proves("rag.chunking.overlap")
def test_what_overlaps_is_whole_sentences_and_as_much_as_is_allowed() -> None:
    text = " ".join(f"Sentence number {number} says what it has to say." for number in range(100))
    chunks = chunk(verbatim(text), Plain("overlapping", 400, 120))
    for before, after in zip(chunks, chunks[1:], strict=False):
        shared = next(size for size in range(200, 0, -1) if before.text.endswith(after.text[:size]))
        assert 40 <= shared <= 120
        assert after.text.startswith("Sentence")
        assert before.text.endswith(".")
    plain = chunk(verbatim(text), Plain("simple", 400))
    assert sum(len(one.text) for one in plain) <= len(text)


@pytest.mark.proves("rag.chunking.overlap")
def test_overlapping_takes_a_fifth_where_nothing_is_said() -> None:
    text = " ".join(f"word{number}" for number in range(2000))
    said = chunk(verbatim(text), Plain("overlapping", 500, 100))
    assert said == chunk(verbatim(text), Plain("overlapping", 500))
    assert said != chunk(verbatim(text), Plain("overlapping", 500, 200))


@pytest.mark.proves("rag.chunking.size")
def test_simple_fills_whole_lines_and_cuts_a_line_that_is_too_long() -> None:
    lines = [f"line {number} " + "word " * 10 for number in range(40)]
    assert all(one.text.split("\n")[0].startswith("line") for one in chunk(verbatim("\n".join(lines)), Plain(size=300)))
    long = "word " * 2000
    chunks = chunk(verbatim(long.strip()), Plain(size=300, max_size=300))
    assert all(len(one.text) <= 300 and set(one.text.split()) == {"word"} for one in chunks)
    solid = chunk(verbatim("x" * 5000), Plain(size=300, max_size=300))
    assert [len(one.text) for one in solid[:-1]] == [300] * (len(solid) - 1)


@pytest.mark.proves("rag.chunking.min-max")
def test_min_size_joins_what_is_short() -> None:
    given = Extracted(
        "t",
        tuple(
            section
            for number in range(30)
            for section in (
                Section(f"Heading {number}", Place(heading=f"Heading {number}"), "heading"),
                Section("Short text.", Place(heading=f"Heading {number}")),
            )
        ),
    )
    apart = chunk(given, Plain("semantic", 500, min_size=0))
    joined = chunk(given, Plain("semantic", 500, min_size=100))
    assert len(apart) == 30
    assert all(len(one.text) >= 100 for one in joined)
    tail = "word " * 61 + "tail"
    assert len(chunk(verbatim(tail), Plain(size=300, min_size=50, max_size=600))) == 1
    assert len(chunk(verbatim(tail), Plain(size=300, min_size=50, max_size=300))) == 2


@pytest.mark.proves("rag.chunking.min-max")
def test_code_and_tables_stay_whole_up_to_max_size() -> None:
    code = "\n".join(f"    value_{number} = {number}" for number in range(60))
    given = Extracted("t", (Section("Before. " * 30), Section(code, Place(), "code"), Section("After. " * 30)))
    whole = chunk(given, Plain("semantic", 400, max_size=2000))
    assert any(one.text.strip() == code.strip() for one in whole)
    cut = chunk(given, Plain("semantic", 400, max_size=600))
    assert all(len(one.text) <= 600 for one in cut)
    of_code = [one for one in cut if "value_" in one.text]
    assert len(of_code) > 1
    assert all(line.startswith("    value_") for one in of_code for line in one.text.split("\n") if "value" in line)


@pytest.mark.proves("rag.chunking.semantic")
def test_headings_begin_chunks_and_never_end_one() -> None:
    given = Extracted(
        "t",
        tuple(
            section
            for number in range(12)
            for section in (
                Section(f"# Part {number}", Place(heading=f"Part {number}"), "heading"),
                Section(f"## Inner {number}", Place(heading=f"Part {number} > Inner {number}"), "heading"),
                Section("A sentence about it. " * 10 + "\n\n" + "Another one follows. " * 30,
                        Place(heading=f"Part {number} > Inner {number}")),
            )
        ),
    )  # fmt: skip
    chunks = chunk(given, Plain("semantic", 500))
    for one in chunks:
        assert not one.text.split("\n")[-1].startswith("#")
        assert "#" not in one.text or one.text.startswith("# Part")
        number = one.place.heading.split()[1]
        assert number.isdigit()
    assert {one.place.heading.split(" > ")[0] for one in chunks} == {f"Part {number}" for number in range(12)}


@pytest.mark.proves("rag.chunking.semantic")
def test_paragraphs_that_fit_stay_whole() -> None:
    paragraphs = [f"Paragraph {number}. " + "It goes on for a while. " * (number % 7) for number in range(40)]
    chunks = chunk(verbatim("\n\n".join(text.strip() for text in paragraphs)), Plain("semantic", 400, min_size=0))
    for text in paragraphs:
        assert any(text.strip() in one.text for one in chunks)


@pytest.mark.proves("rag.chunking.words")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_words_are_kept_or_not(strategy: str) -> None:
    text = " ".join(f"longerword{number:04}" for number in range(500))
    kept = chunk(verbatim(text), Plain(strategy, 201))
    assert all(len(word) == 14 for one in kept for word in one.text.split())
    cut = chunk(verbatim(text), Plain(strategy, 201, preserve_words=False))
    assert any(len(word) != 14 for one in cut for word in one.text.split())


@pytest.mark.proves("rag.chunking.words")
@pytest.mark.parametrize(
    "cluster", ["e\u0301", "a" + "\u0300" * 9, "👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "각", "क्षि", "\u0600\u0661", "กำ", "✌️"]
)
def test_no_character_is_torn(cluster: str) -> None:
    text = cluster * 400
    for size in (20, 21, 22, 23, 25):
        at = 0
        for one in chunk(verbatim(text), Plain(size=size, preserve_words=False, min_size=0)):
            at += len(one.text)
            assert at % len(cluster) == 0


def test_a_cluster_without_end_is_cut_all_the_same() -> None:
    assert max(len(one.text) for one in chunk(verbatim("a" + "\u0301" * 50_000), Plain(size=100))) <= 2000


@pytest.mark.parametrize("text", ["", " ", "\n\n\n", "\u00a0\u3000\t"])
def test_blank_documents_have_no_chunks(text: str) -> None:
    for strategy in STRATEGIES:
        assert chunk(verbatim(text), Plain(strategy)) == []
        assert chunk(Extracted("t", ()), Plain(strategy)) == []


@pytest.mark.proves("rag.chunking.speed")
def test_chunking_is_fast() -> None:
    """Twenty megabytes a second on a machine of its own; here a quarter of it, among others."""
    text = "\n".join("The quick brown fox jumps over the lazy dog, and does so again. " * 3 for _ in range(10_000))
    before = time.process_time()
    chunks = chunk(verbatim(text), Plain())
    assert len(text) / (time.process_time() - before) > 5e6
    assert len(chunks) > 1500


@pytest.mark.proves("rag.chunking.config")
@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"size": 100, "overlap": 100}, "overlap 100 leaves nothing of a chunk of 100; allowed: less than `size`"),
        ({"size": 50, "min_size": 60}, "min_size 60 is more than size 50"),
        ({"max_size": 30}, "max_size 30 is less than size 1000"),
        ({"strategy": "magic"}, "'simple', 'overlapping' or 'semantic'"),
        ({"size": 0}, "greater than or equal to 20"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Chunking.model_validate(block)


@pytest.mark.proves("rag.chunking.config")
def test_defaults_give_way_to_a_size_that_is_set() -> None:
    assert Chunking.model_validate({"strategy": "sentence"}).strategy == "semantic"
    text = verbatim("word " * 2000)
    assert all(len(one.text) <= 5000 for one in chunk(text, Chunking(size=5000)))
    assert all(len(one.text) <= 40 for one in chunk(text, Chunking(size=40, max_size=40)))
