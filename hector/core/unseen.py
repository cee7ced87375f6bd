"""Signs that nobody sees and a model reads nevertheless: strangers hide words in them, or turn around what is shown."""

import re
from typing import Final

_UNSEEN: Final = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f"  # control signs, but for tabs and ends of lines
    "\xad\u180e\u200b\u2060-\u2064\ufeff"  # of no width
    "\u061c\u200e\u200f"  # marks of direction
    "\u202a-\u202e\u2066-\u2069"  # change the direction of what follows
    "\u206a-\u206f\ufff9-\ufffb\ud800-\udfff"  # out of use; notes between the lines; halves of signs
    "\U000e0000-\U000e007f"  # tags: the whole of ASCII once more
    "\U000e0100-\U000e01ef"  # variants of signs, which can stand for any bytes
    "]+"
)


def seen(text: str) -> tuple[str, int]:
    """The text as it is seen, and how many signs were left out.

    Joiners and the variants of emoji stay, which scripts and pictures need.
    """
    if text.isascii() and text.isprintable():
        return text, 0
    clean = _UNSEEN.sub("", text)
    return clean, len(text) - len(clean)


def spelt(text: str) -> str:
    """The text with the number of each sign that is not seen in its place, for people who are to judge it."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(_numbers, text)


def _numbers(found: re.Match[str]) -> str:
    return "".join(f"<U+{ord(sign):04X}>" for sign in found[0])
