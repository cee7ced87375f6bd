"""Words of a text as they are stored and looked for: the same on both engines, whatever those would make of it.

Letters are folded (case, width, accents). Where a script sets no blanks between words (Chinese, Japanese, Thai, ...),
each two neighbouring characters count as a word, since neither engine would find anything within a longer run: SQLite's
`unicode61` takes a whole sentence for one word, and its `trigram` finds no word of two characters.
"""

import re
import unicodedata
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from hector.core.task import Caller

MOST_TERMS: Final = 2000
"""Of one text; what stands behind them is not found."""
MOST_ASKED: Final = 32
MOST_READ: Final = 32_000
"""Characters of a text that are looked at, more than any memory has: a message may have millions."""
_LONGEST: Final = 40
_PREFIX: Final = 4
"""Letters from which on a word that is looked for also finds longer ones."""
_DENSE: Final = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\uac00-\ud7af"  # Hangul: particles stick to words
)
_RUN: Final = re.compile(rf"[{_DENSE}]+|[^\W_{_DENSE}]+")
_PLAIN: Final = re.compile("[0-9a-z]+")
_IS_DENSE: Final = re.compile(rf"[{_DENSE}]")
_COMMON_TEXT: Final = (
    "a an and are as at be been but by can could did do does for from had has have he her his how i if in is it its "
    "me my no not of on or our she so than that the their them there they this to us was we were what when where "
    "which who why will with would you your "
    "der die das den dem des ein eine einer eines und oder ist sind war ich du er sie es wir ihr mein meine wie wo "
    "el la los las un una de que y en por con para le les et est une je tu il"
)
_COMMON: Final = frozenset(_COMMON_TEXT.split())
"""Words that say nothing about what is looked for."""


def words(text: str) -> Iterator[str]:
    """All of them in order, as far as a text is looked at."""
    text = text[:MOST_READ]
    if text.isascii():  # the same words as below, in a tenth of the time
        yield from (run[:_LONGEST] for run in _PLAIN.findall(text.lower()))
        return
    for run in _RUN.findall(_folded(text)):
        if not _IS_DENSE.match(run):
            yield run[:_LONGEST]
        elif len(run) == 1:
            yield run
        else:
            yield from (run[at : at + 2] for at in range(len(run) - 1))


def _folded(text: str) -> str:
    """Without case, width and accents; Hangul is put together again, which taking accents off takes apart."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", apart.translate(_marks))


class _Marks(dict[int, int | None]):
    """What `str.translate` puts for each character: nothing for accents. Filled as characters turn up."""

    def __missing__(self, code: int) -> int | None:
        drop = unicodedata.combining(chr(code)) and not 0x3099 <= code <= 0x309A
        self[code] = found = None if drop else code
        return found


_marks: Final = _Marks()


def terms_of(text: str) -> str:
    """What is stored, words set apart by blanks."""
    found = []
    for word in words(text):
        found.append(word)
        if len(found) == MOST_TERMS:
            break
    return " ".join(found)


def asked_for(query: str) -> tuple[str, ...]:
    """The words that are looked for, each once: those that say something, or all where none does."""
    found = dict.fromkeys(words(query))
    telling = [word for word in found if word not in _COMMON]
    return tuple(telling or found)[:MOST_ASKED]


def widens(word: str) -> bool:
    """Whether longer words that begin with it are found, too."""
    return _IS_DENSE.match(word) is None and len(word) >= _PREFIX or (len(word) == 1 and bool(_IS_DENSE.match(word)))


def owner_of(caller: Caller) -> str:
    """One word for app and user, which nobody else has."""
    return blake2b(f"{caller.app}\0{caller.user}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
