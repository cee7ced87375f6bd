"""Where a text may be cut without tearing what a reader sees as one character.

The rules of Unicode's text segmentation (UAX 29), a little stricter where the exact one would need its tables: a cut is
refused beside every joiner, before every mark, and inside Hangul syllables, flags and Indic conjuncts.
"""

import unicodedata
from typing import Final

_ALONE: Final = 0x300
"""Below this, nothing belongs to the character before it, but the line feed of a carriage return."""
_JOINER: Final = "\u200d"
_MARKS: Final = frozenset(("Mn", "Me", "Mc"))
_EXTENDING: Final = frozenset("\u200c\u200d\u0e33\u0eb3\uff9e\uff9f")
_PREPENDED: Final = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
_VIRAMA: Final = 9
_LONGEST_RUN: Final = 4096
"""Letters of flags in a row that are counted."""
_HANGUL: Final = (0xAC00, 0xD7A4)


def breaks(text: str, at: int) -> bool:
    """Whether a cut between text[at - 1] and text[at] tears nothing."""
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if before == "\r" and after == "\n":
        return False
    if ord(after) < _ALONE:
        return before != _JOINER
    return not (_extends(after) or _holds(before) or _one_syllable(before, after) or _inside_flag(text, at))


def back(text: str, start: int, at: int) -> int:
    """The last place up to `at` where a cut is allowed; `at` itself where there is none after `start`."""
    found = at
    while found > start and not breaks(text, found):
        found -= 1
    return found if found > start else at


def ahead(text: str, at: int, end: int) -> int:
    """The first place from `at` on where a cut is allowed, at most `end`."""
    while at < end and not breaks(text, at):
        at += 1
    return at


def _extends(after: str) -> bool:
    """A mark, a joiner, a skin tone, or a tag: it belongs to what stands before it."""
    number = ord(after)
    return (
        after in _EXTENDING
        or 0x1F3FB <= number <= 0x1F3FF
        or 0xE0020 <= number <= 0xE007F
        or unicodedata.category(after) in _MARKS
    )


def _holds(before: str) -> bool:
    """It takes what stands behind it."""
    return before == _JOINER or before in _PREPENDED or unicodedata.combining(before) == _VIRAMA


def _one_syllable(before: str, after: str) -> bool:
    return (_jamo(before), _jamo(after)) in _SYLLABLES


_SYLLABLES: Final = frozenset(
    [("L", kind) for kind in ("L", "V", "LV", "LVT")]
    + [(kind, "V") for kind in ("LV", "V")]
    + [(kind, "T") for kind in ("LV", "V", "LVT", "T")]
)


def _jamo(character: str) -> str:
    """Which part of a Hangul syllable it is; empty for everything else."""
    number = ord(character)
    if _HANGUL[0] <= number < _HANGUL[1]:
        return "LV" if (number - _HANGUL[0]) % 28 == 0 else "LVT"
    if 0x1100 <= number <= 0x115F or 0xA960 <= number <= 0xA97C:
        return "L"
    if 0x1160 <= number <= 0x11A7 or 0xD7B0 <= number <= 0xD7C6:
        return "V"
    return "T" if 0x11A8 <= number <= 0x11FF or 0xD7CB <= number <= 0xD7FB else ""


def _inside_flag(text: str, at: int) -> bool:
    """Flags are pairs of letters of their own: only an even number of them stands before a cut."""
    if not _flags(text[at]):
        return False
    count = 0
    while count < at and count < _LONGEST_RUN and _flags(text[at - 1 - count]):
        count += 1
    return count % 2 == 1


def _flags(character: str) -> bool:
    return 0x1F1E6 <= ord(character) <= 0x1F1FF
