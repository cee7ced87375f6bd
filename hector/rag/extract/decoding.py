"""Text of bytes whose encoding nobody names."""

import codecs
from typing import Final

from hector.core.pattern import pattern
from hector.rag.errors import Unreadable

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED: Final = pattern(
    rb"""(?i)<\?xml[^>]{0,200}\bencoding\s*=\s*["']([\w.:-]{1,40})|<meta[^>]{0,200}\bcharset\s*=\s*["']?\s*([\w.:-]{1,40})"""
)
_ALLOWED: Final = frozenset(
    ("utf-8", "ascii", "cp1252", "iso8859-1", "iso8859-2", "iso8859-5", "iso8859-7", "iso8859-9", "iso8859-15",
     "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "koi8-r", "koi8-u", "gb2312", "gbk", "gb18030",
     "big5", "big5hkscs", "shift_jis", "cp932", "euc_jp", "iso2022_jp", "euc_kr", "cp949", "mac-roman")
)  # fmt: skip
"""Codecs of text: Python's others unpack or transform."""
_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\r\f\x08\x1b"))
_LOOKED_AT: Final = 65_536


def decoded(data: bytes, *, markup: bool = False) -> tuple[str, str]:
    """Text, and a note where the encoding had to be guessed. `markup`: it may declare one. Raises Unreadable."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace"), ""
    if wide := _wide(data):
        return data.decode(wide, "replace"), f"without a byte order mark, read as {wide.upper()}"
    declared = _declared(data) if markup else ""
    if declared:
        return data.decode(declared, "replace"), ""
    refuse_binary(data)
    return _guessed(data)


def refuse_binary(data: bytes) -> None:
    """Raises Unreadable for what cannot be text."""
    head = data[:_LOOKED_AT]
    if head.count(0) > len(head) // 1000 or len(head) - len(head.translate(None, _CONTROLS)) > len(head) // 20:
        raise Unreadable("this is a binary file, not text")


def _wide(data: bytes) -> str:
    """UTF-16 without a mark: every other byte of Western text is zero."""
    head = data[: min(len(data), 4096) & ~1]
    if len(head) < 8:
        return ""
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if odd > half * 0.7 and even < half * 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > half * 0.7 and odd < half * 0.05 else ""


def _declared(data: bytes) -> str:
    match = _DECLARED.search(data, 0, 2048)
    if match is None:
        return ""
    try:
        name = codecs.lookup((match[1] or match[2]).decode("ascii")).name
    except (LookupError, ValueError):
        return ""
    if name in {"iso8859-1", "ascii"}:
        return "" if _is_utf8(data) else "cp1252"
    return name if name in _ALLOWED else ""


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _guessed(data: bytes) -> tuple[str, str]:
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        pass
    lenient = data.decode("utf-8", "replace")
    foreign = sum(byte > 127 for byte in data[:_LOOKED_AT])
    if lenient[:_LOOKED_AT].count("\ufffd") * 5 <= foreign:
        return lenient, "some bytes are not UTF-8 and were replaced"
    return data.decode("cp1252", "replace"), "not UTF-8, read as Windows-1252"
