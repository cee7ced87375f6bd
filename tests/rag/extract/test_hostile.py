"""What hostile documents cost: themselves, and nothing else."""

import time
from contextlib import suppress

import pytest

from hector.core.retrieval import Chunk, Content, Item
from hector.rag.chunking import Plain
from hector.rag.errors import Unreadable
from hector.rag.extract.limits import Limits
from hector.rag.extract.pool import Readers
from hector.rag.extract.reading import read
from tests.rag.extract.hostile import HOSTILE

LIMITS = Limits(
    characters=5_000_000, seconds=15, memory=512 * 2**20, unpacked=48 * 2**20, rows=50_000, cells=200_000
)  # fmt: skip
LONGEST = 120.0
"""Seconds on a machine that has other things to do."""
REFUSED = {
    "bomb": "unpacks to more than",
    "overlapping entries": "times its size",
    "many entries": "more than 20,000 files",
    "encrypted entries": "password",
    "billion laughs": "entities of its own",
    "billion laughs in texts": "entities of its own",
    "external entity": "entities of its own",
    "parameter entity": "entities of its own",
    "quadratic entity": "entities of its own",
    "symlink": "no XML",
    "pages in a circle": "cyclic",
    "pages without end": "limit",
    "PDF, half": "damaged",
    "NULs": "binary file",
    "noise": "binary file",
    "a program": "a program",
    "a picture called text": "PNG",
    "deep JSON": "nested too deeply",
    "rather deep JSON": "nested too deeply",
    "an old Office file": "old Office format",
    "an encrypted Office file": "password",
}
TOO_LONG = {"bomb", "many entries", "pages without end", "noise"}
HARMLESS = {
    "size too small", "size too large", "unknown method", "path traversal", "relation out of the file", "strange cells",
    "styles in a circle", "outline in a circle", "form in a circle", "PDF with noise", "lone surrogates", "empty PDF",
    "surrogates in UTF-16", "JSON of halves", "JSON of no numbers", "NULs in rows", "a name of nothing", "XML cut off",
    "word with noise", "excel with noise",
}  # fmt: skip
QUICK = sorted((HARMLESS | REFUSED.keys()) - TOO_LONG)


def content(name: str) -> Content:
    file, make = HOSTILE[name]
    return Content(Item(file, file, "1"), make())


async def judged(readers: Readers, name: str) -> str:
    """The reason why it is not read; empty: it is."""
    given = content(name)
    before = time.monotonic()
    reason = ""
    chunks: list[Chunk] = []
    try:
        _, chunks = await readers.read(given, Plain("semantic"))
    except Unreadable as error:
        reason = str(error)
    assert time.monotonic() - before < LONGEST
    assert len(reason) < 500
    assert "Traceback" not in reason
    for chunk in chunks:
        assert 0 < len(chunk.text) <= 2000
        chunk.text.encode()
        assert "root:" not in chunk.text
    return reason


@pytest.mark.proves("rag.extract.hostile", "rag.extract.limits")
async def test_hostile_documents_are_refused_or_read_within_bounds() -> None:
    readers = Readers(2, LIMITS)
    try:
        for name in QUICK:
            assert REFUSED.get(name, "") in await judged(readers, name), name
        good = Content(Item("good.md", "good.md", "1"), b"# Fine\n\nStill here.")
        assert (await readers.read(good, Plain()))[1][0].text == "# Fine\n\nStill here."
    finally:
        await readers.aclose()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.proves("rag.extract.hostile")
async def test_a_hundred_hostile_documents_one_after_the_other() -> None:
    assert len(HOSTILE) >= 90
    readers = Readers(1, LIMITS)
    try:
        for name in HOSTILE:
            assert REFUSED.get(name, "") in await judged(readers, name), name
    finally:
        await readers.aclose()


@pytest.mark.proves("rag.extract.hostile")
def test_reading_raises_nothing_but_unreadable() -> None:
    for name in QUICK:
        with suppress(Unreadable):
            read(content(name), LIMITS)
