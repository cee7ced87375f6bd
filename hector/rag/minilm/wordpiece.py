"""Word pieces of BERT, exactly as the reference library `tokenizers` cuts them, in plain Python.

Text is cleaned, split at blanks, punctuation and Chinese characters, stripped of accents and lower-cased; each word is
then cut into the longest pieces that the vocabulary has. Half a character (a surrogate) is left out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hector.rag.errors import EmbeddingError
from hector.rag.fusion import familiarity
from hector.rag.minilm.letters import Letters, Spelling

LONGEST_WORD: Final = 100
"""Characters; a longer word is unknown as a whole."""
MOST_TEXT: Final = 100_000
"""Characters that are looked at of one text."""
_REMEMBERED: Final = 50_000
_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class WordPieces:
    """Texts to numbers of pieces, by one vocabulary. Remembers words that it has cut. Fit for several threads."""

    def __init__(self, vocabulary: Mapping[str, int], spelling: Spelling | None = None) -> None:
        """Raises EmbeddingError when the vocabulary lacks what every text needs."""
        missing = [name for name in ("[UNK]", "[CLS]", "[SEP]") if name not in vocabulary]
        if missing:
            raise EmbeddingError(f"vocab.txt is of no BERT model: it lacks {', '.join(missing)}")
        self._first = {piece: number for piece, number in vocabulary.items() if not piece.startswith("##")}
        self._first.update({piece: number for piece, number in vocabulary.items() if piece == "##"})
        self._later = {piece[2:]: number for piece, number in vocabulary.items() if piece.startswith("##")}
        self._longest = max(map(len, vocabulary))
        self._unknown, self._start, self._end = vocabulary["[UNK]"], vocabulary["[CLS]"], vocabulary["[SEP]"]
        self._special = {name: vocabulary[name] for name in _SPECIAL if name in vocabulary}
        self._marks = re.compile("(" + "|".join(map(re.escape, self._special)) + ")")
        self._letters = Letters(spelling or Spelling())
        self._words: dict[str, tuple[int, ...]] = {}

    def encode(self, text: str, most: int) -> list[int]:
        """The numbers of a text with those of its start and end around them, `most` in all."""
        found = [self._start]
        for pieces in self._pieces(text[:MOST_TEXT]):
            found += pieces
            if len(found) >= most:
                break
        del found[most - 1 :]
        found.append(self._end)
        return found

    def familiarity(self, text: str) -> float:
        """How well it knows the words of a text (hector.rag.fusion). May be asked in any thread."""
        return familiarity(text[:MOST_TEXT].translate(self._letters).split(), self._first)

    def _pieces(self, text: str) -> Iterator[Sequence[int]]:
        for part in self._marks.split(text) if "[" in text else (text,):
            if part in self._special:
                yield (self._special[part],)
                continue
            for word in part.translate(self._letters).split():
                yield self._words.get(word) or self._cut(word)

    def _cut(self, word: str) -> tuple[int, ...]:
        found = tuple(self._longest_first(word)) if len(word) <= LONGEST_WORD else ()
        if len(self._words) >= _REMEMBERED:
            self._words.clear()
        self._words[word] = found = found or (self._unknown,)
        return found

    def _longest_first(self, word: str) -> list[int]:
        """The pieces of a word; none when a part of it is in no vocabulary."""
        found: list[int] = []
        known, at = self._first, 0
        while at < len(word):
            for end in range(min(len(word), at + self._longest), at, -1):
                number = known.get(word[at:end])
                if number is not None:
                    break
            else:
                return []
            found.append(number)
            known, at = self._later, end
        return found


def read_vocabulary(data: bytes) -> dict[str, int]:
    """Pieces by line. Raises EmbeddingError when it is no text, or empty."""
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise EmbeddingError(f"vocab.txt is not UTF-8: {error}") from None
    if lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise EmbeddingError("vocab.txt is empty")
    return {line.rstrip("\r"): number for number, line in enumerate(lines)}


def spelling_of(settings: Mapping[str, Any]) -> Spelling:
    """How tokenizer_config.json has text cleaned."""
    lower = bool(settings.get("do_lower_case", True))
    strip = settings.get("strip_accents")
    return Spelling(lower, lower if strip is None else bool(strip), bool(settings.get("tokenize_chinese_chars", True)))
