"""Which reader takes which document. What the bytes are goes before what the name says they are."""

from collections.abc import Callable
from typing import Final, TypeAlias

from hector.core.pattern import pattern
from hector.core.retrieval import Item
from hector.rag.errors import Unreadable
from hector.rag.extract.writer import Writer

Reader: TypeAlias = Callable[[bytes | str, str, Writer], None]
"""Reads (what it holds, the ending of its name) to a writer. Raises Unreadable, and Full of the writer's."""

NATIVE: Final = 5
"""The priority of readers for a format."""
PLAIN: Final = 1
"""The priority of reading something as plain text."""

_ENDINGS: Final = {
    "markdown": ".md .markdown .mdown .mkd .mdx",
    "html": ".html .htm .xhtml",
    "pdf": ".pdf",
    "docx": ".docx .docm .dotx",
    "xlsx": ".xlsx .xlsm .xltx",
    "pptx": ".pptx .pptm .ppsx .potx",
    "table": ".csv .tsv .tab .psv",
    "json": ".json .geojson .ipynb",
    "jsonl": ".jsonl .ndjson",
    "code": ".py .pyi .js .jsx .mjs .cjs .ts .tsx .go .rs .java .kt .kts .scala .c .h .cc .cpp .cxx .hpp .hh .cs .m "
    ".mm .rb .php .swift .lua .pl .pm .r .jl .dart .ex .exs .erl .hs .ml .clj .groovy .sh .bash .zsh .fish .ps1 .bat "
    ".sql .proto .graphql .tf .hcl .vue .svelte .zig .nim .v .sol .css .scss .less .yaml .yml .toml .ini .cfg .conf "
    ".xml .xsd .gradle .cmake .mk",
}  # fmt: skip
FORMATS: Final = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings.split()}
_MEDIA: Final = {
    "text/markdown": "markdown", "text/html": "html", "application/xhtml+xml": "html", "application/pdf": "pdf",
    "application/json": "json", "application/x-ndjson": "jsonl", "text/csv": "table",
    "text/tab-separated-values": "table",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
}  # fmt: skip
_PACKED: Final = frozenset(("pdf", "docx", "xlsx", "pptx"))
_HTML: Final = pattern(rb"(?i)\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html[\s>])")
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FOREIGN: Final = (
    (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"),
    (b"RIFF", "sound or film"),
    (b"\x1f\x8b", "a gzip archive"), (b"BZh", "a bzip2 archive"), (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"), (b"Rar!", "a RAR archive"), (b"(\xb5/\xfd", "a zstd archive"),
    (b"\x7fELF", "a program"), (b"MZ\x90", "a program"), (b"\xca\xfe\xba\xbe", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"SQLite format 3\x00", "an SQLite database"), (b"ID3", "sound"), (b"OggS", "sound"), (b"fLaC", "sound"),
    (b"\x00asm", "a program"), (b"wOFF", "a font"), (b"wOF2", "a font"), (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"), (b"{\\rtf", "RTF, which is not read: save it as .docx or .txt"),
    (b"%!PS", "PostScript"), (b"PAR1", "a Parquet file"),
)  # fmt: skip


def ending(name: str) -> str:
    """The ending of a name in small letters, with its dot; empty if it has none."""
    last = name.rpartition("/")[2].rpartition("\\")[2]
    stem, dot, rest = last.rpartition(".")
    return f".{rest.lower()}" if dot and stem else ""


def named(item: Item) -> str:
    """The format that the name or media type of an item promises; `text` where they say nothing."""
    media = item.media_type.partition(";")[0].strip().lower()
    return FORMATS.get(ending(item.name)) or _MEDIA.get(media) or "text"


def priority(item: Item) -> int:
    """How much our own reader for an item has to say: 5 for a format, 1 where it would be read as plain text."""
    return PLAIN if named(item) in {"text", "code"} else NATIVE


def told(item: Item, data: bytes | str) -> str:
    """The format of a document by what it is. Raises Unreadable with what it is, where that is nothing we read."""
    promised = named(item)
    if isinstance(data, str):
        return _of_text(item, promised)
    found = _by_bytes(data)
    if found:
        return found
    if promised in _PACKED and data.strip(b"\x00\t\r\n "):
        raise Unreadable(f"the name says {promised.upper()}, but it is none, or its beginning is damaged")
    return promised


def _of_text(item: Item, promised: str) -> str:
    """Text that somebody has extracted already is what its media type says, whatever the file was called."""
    media = _MEDIA.get(item.media_type.partition(";")[0].strip().lower(), "text")
    return media if promised in _PACKED or media == "markdown" else promised


def _by_bytes(data: bytes) -> str:
    if data[:4] in {b"PK\x03\x04", b"PK\x05\x06"}:
        from hector.rag.extract.packages import kind_of  # noqa: PLC0415 - loaded on first use

        return kind_of(data)
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith(_OLE):
        raise Unreadable(_old_office(data))
    for mark, what in _FOREIGN:
        if data.startswith(mark):
            raise Unreadable(f"this is {what}" if "," in what else f"this is {what}, which holds no text that is read")
    if data[4:8] == b"ftyp":
        raise Unreadable("this is film or sound, which holds no text that is read")
    return "html" if _HTML.match(data, 0, 2048) else ""


def _old_office(data: bytes) -> str:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return "it is protected with a password"
    return "this is a file of an old Office format: save it as .docx, .xlsx or .pptx"


def reader(kind: str) -> Reader:
    """What reads a format; loaded when it is first asked for."""
    return _READERS[kind]()


def _text() -> Reader:
    from hector.rag.extract.text import read_text  # noqa: PLC0415 - loaded on first use

    return read_text


def _markdown() -> Reader:
    from hector.rag.extract.markdown import read_markdown  # noqa: PLC0415 - loaded on first use

    return read_markdown


def _html() -> Reader:
    from hector.rag.extract.html import read_html  # noqa: PLC0415 - loaded on first use

    return read_html


def _code() -> Reader:
    from hector.rag.extract.code import read_code  # noqa: PLC0415 - loaded on first use

    return read_code


def _pdf() -> Reader:
    from hector.rag.extract.pdf import read_pdf  # noqa: PLC0415 - loaded on first use

    return read_pdf


def _docx() -> Reader:
    from hector.rag.extract.docx import read_docx  # noqa: PLC0415 - loaded on first use

    return read_docx


def _xlsx() -> Reader:
    from hector.rag.extract.xlsx import read_xlsx  # noqa: PLC0415 - loaded on first use

    return read_xlsx


def _pptx() -> Reader:
    from hector.rag.extract.pptx import read_pptx  # noqa: PLC0415 - loaded on first use

    return read_pptx


def _table() -> Reader:
    from hector.rag.extract.delimited import read_delimited  # noqa: PLC0415 - loaded on first use

    return read_delimited


def _json() -> Reader:
    from hector.rag.extract.jsontree import read_json  # noqa: PLC0415 - loaded on first use

    return read_json


def _jsonl() -> Reader:
    from hector.rag.extract.jsontree import read_json_lines  # noqa: PLC0415 - loaded on first use

    return read_json_lines


_READERS: Final[dict[str, Callable[[], Reader]]] = {
    "text": _text, "markdown": _markdown, "html": _html, "code": _code, "pdf": _pdf, "docx": _docx, "xlsx": _xlsx,
    "pptx": _pptx, "table": _table, "json": _json, "jsonl": _jsonl,
}  # fmt: skip
