"""Bodies of responses as text: what kind they are, and in which encoding."""

import codecs
import re
from typing import Final

_TEXTUAL: Final = re.compile(
    r"text/|application/(.+\+)?(json|xml|javascript|yaml|x-yaml|toml|x-ndjson|graphql|x-www-form)"
)
_META: Final = re.compile(
    rb"""(?i)<meta[^>]{1,200}charset\s*=\s*["']?([\w.:-]{1,40})|<\?xml[^>]{1,100}encoding\s*=\s*["']([\w.:-]{1,40})"""
)
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def content_type(header: str) -> tuple[str, str]:
    """Media type and charset of a Content-Type, both in lower case, empty for none."""
    kind, _, rest = header.partition(";")
    found = re.search(r"""(?i)charset\s*=\s*["']?([\w.:-]{1,40})""", rest)
    return kind.strip().lower()[:100], found[1].lower() if found else ""


def is_text(kind: str) -> bool:
    """Whether a media type is read as text."""
    return bool(_TEXTUAL.match(kind))


def decoded(data: bytes, charset: str) -> str:
    """Text of bytes: by their mark, by what the header says, by what they say themselves, UTF-8, or Windows Latin."""
    marked = next((name for mark, name in _BOMS if data.startswith(mark)), "")
    said = _META.search(data[:2048])
    own = (said[1] or said[2]).decode("ascii") if said else ""
    for name in (marked, charset, own):
        try:
            if name and not codecs.lookup(name).name.startswith(("utf-7", "idna", "punycode")):
                return data.decode(name, "replace")
        except (LookupError, ValueError, UnicodeError, AssertionError):
            continue
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
