"""How characters are written before words are cut: cleaned, without accents, in lower case, signs apart."""

import unicodedata
from typing import Final

from hector.core.record import dataclass

_BLANK: Final = frozenset(
    "\t\n\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_CHINESE: Final = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
_HIDDEN: Final = frozenset(("Cc", "Cf", "Cs", "Co"))
_SIGNS: Final = frozenset("$+<=>^`|~")
_NAMED_LATER: Final = (
    "61d 7fd 890-891 897-89f 8ca-8e2 9fd-9fe a76 afa-aff b55 c04 c3c c77 c84 d00 d3b-d3c d81 eba ece 180f "
    "1885-1886 1abf-1add 1ae0-1aeb 1b4e-1b4f 1b7d-1b7f 1df6-1dfb 2e43-2e4f 2e52-2e5d a82c a8c5 a8ff a9bd "
    "10d24-10d27 10d69-10d6e 10eab-10ead 10ed0 10efa-10eff 10f46-10f50 10f55-10f59 10f82-10f89 11070 11073-11074 "
    "110c2 110cd 111cf 1123e 11241 1133b 113bb-113c0 113ce 113d0 113d2 113d4-113d5 113d7-113d8 113e1-113e2 "
    "11438-1143f 11442-11444 11446 1144b-1144f 1145a-1145b 1145d-1145e 11660-1166c 116b9 1182f-11837 11839-1183b "
    "1193b-1193c 1193e 11943-11946 119d4-119d7 119da-119db 119e0 119e2 11a01-11a0a 11a33-11a38 11a3b-11a47 "
    "11a51-11a56 11a59-11a5b 11a8a-11a96 11a98-11a9c 11a9e-11aa2 11b00-11b09 11b60 11b62-11b64 11b66 11be1 "
    "11c30-11c36 11c38-11c3d 11c3f 11c41-11c45 11c70-11c71 11c92-11ca7 11caa-11cb0 11cb2-11cb3 11cb5-11cb6 "
    "11d31-11d36 11d3a 11d3c-11d3d 11d3f-11d45 11d47 11d90-11d91 11d95 11d97 11ef3-11ef4 11ef7-11ef8 11f00-11f01 "
    "11f36-11f3a 11f40 11f42-11f4f 11f5a 11fff 12ff1-12ff2 13430-13440 13447-13455 1611e-16129 1612d-1612f "
    "16d6d-16d6f 16e97-16e9a 16f4f 16fe2 16fe4 1cf00-1cf2d 1cf30-1cf46 1e000-1e006 1e008-1e018 1e01b-1e021 "
    "1e023-1e024 1e026-1e02a 1e08f 1e130-1e136 1e2ae 1e2ec-1e2ef 1e4ec-1e4ef 1e5ee-1e5ef 1e5ff 1e6e3 1e6e6 "
    "1e6ee-1e6ef 1e6f5 1e944-1e94a 1e95e-1e95f"
)
"""Accents, signs and control characters that the reference takes for letters: its tables are those of Unicode 8."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a model's words are written."""

    lower_case: bool = True
    strip_accents: bool = True
    split_chinese: bool = True


class Letters(dict[int, str]):
    """What `str.translate` puts for each character; filled as characters turn up."""

    def __init__(self, spelling: Spelling) -> None:
        super().__init__()
        self._spelling = spelling

    def __missing__(self, code: int) -> str:
        found = self[code] = self._spelt(chr(code))
        return found

    def _spelt(self, letter: str) -> str:
        if letter in _BLANK:
            return " "
        if letter == "\ufffd" or _kind(letter) in _HIDDEN:
            return ""
        spelling, text = self._spelling, letter
        if spelling.strip_accents:
            text = "".join(part for part in unicodedata.normalize("NFD", text) if _kind(part) != "Mn")
        if spelling.lower_case:
            text = "".join(part.lower() for part in text)
        text = "".join(f" {part} " if part in _SIGNS or _kind(part)[0] == "P" else part for part in text)
        return f" {text} " if spelling.split_chinese and _is_chinese(ord(letter)) else text


def _kind(letter: str) -> str:
    """The category of Unicode, as the reference knows it."""
    return "Lo" if ord(letter) in _LATER else _CHANGED.get(letter) or unicodedata.category(letter)


def _is_chinese(code: int) -> bool:
    return any(first <= code <= last for first, last in _CHINESE)


def _ranges(text: str) -> frozenset[int]:
    """The numbers in a list of hexadecimal ranges."""
    pairs = [(first, last or first) for first, _, last in (entry.partition("-") for entry in text.split())]
    return frozenset(code for first, last in pairs for code in range(int(first, 16), int(last, 16) + 1))


_LATER: Final = _ranges(_NAMED_LATER)
_CHANGED: Final = {"\u166d": "Po", "\u1734": "Mn", "\U000111c9": "Po", "\U0001171e": "Mn"}
"""What a later Unicode calls something else."""
