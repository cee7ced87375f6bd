"""Bytes of a file as text, and back: encoding and line ends stay as they were. Pure."""

import codecs
from typing import Final

from hector.core.errors import ToolError
from hector.core.record import dataclass

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_PROBE: Final = 8192


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text with \\n between its lines. `ends` is what stood there, empty where it was mixed and was left as it is."""

    text: str
    encoding: str = "utf-8"
    ends: str = "\n"
    mark: bytes = b""

    def encode(self, text: str) -> bytes:
        """Another text in the same form. Raises ToolError where the encoding has no sign for something."""
        if self.ends == "\r\n":
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        try:
            return self.mark + text.encode(self.encoding)
        except UnicodeEncodeError as error:
            sign = text[error.start]
            raise ToolError(f"the file is kept in {self.encoding}, which has no sign {sign!r}; leave it out") from None


def decode(data: bytes, shown: str) -> Decoded:
    """Raises ToolError for what is no text."""
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", ""))
    if not mark and b"\0" in data[:_PROBE]:
        raise ToolError(f"{shown} is no text ({len(data)} bytes)")
    text, used = _text(data[len(mark) :], mark, encoding, shown)
    crlf = text.count("\r\n")
    if crlf and crlf == text.count("\n"):
        return Decoded(text.replace("\r\n", "\n"), used, "\r\n", mark)
    return Decoded(text, used, "" if crlf else "\n", mark)


def _text(data: bytes, mark: bytes, encoding: str, shown: str) -> tuple[str, str]:
    if encoding.startswith(("utf-16", "utf-32")):
        used = f"{encoding}-{'le' if mark[0] == 0xFF else 'be'}"
        try:
            return data.decode(used), used
        except UnicodeDecodeError:
            raise ToolError(f"{shown} says that it is {encoding} text and is not") from None
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"  # each byte a sign, so that the rest of the file stays as it is


def numbered(lines: list[str], first: int) -> str:
    """Lines with their numbers, as models are shown them."""
    return "\n".join(f"{number:6}\t{line}" for number, line in enumerate(lines, first))
