"""The ZIP archives that Office files are: bounded in entries, bytes and ratio; nothing of them reaches the disk."""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Final

from hector.rag.errors import Unreadable
from hector.rag.extract.limits import Limits
from hector.rag.extract.xmlparts import Attributes, Part, feed, plain

_PIECE: Final = 256 * 1024
_FREE: Final = 2**20
"""Bytes of an entry from which on its ratio counts: small files may be mostly blanks."""
_END: Final = b"PK\x05\x06"
_KINDS: Final = (("word/document.xml", "docx"), ("xl/workbook.xml", "xlsx"), ("ppt/presentation.xml", "pptx"))


def kind_of(data: bytes) -> str:
    """Which kind of Office file an archive is. Raises Unreadable with what else it is."""
    names = _opened(data, Limits()).namelist()
    for name, kind in _KINDS:
        if name in names:
            return kind
    if "xl/workbook.bin" in names:
        raise Unreadable("this is a binary workbook: save it as .xlsx")
    if "mimetype" in names and names.index("mimetype") == 0:
        raise Unreadable("this is an OpenDocument or EPUB file: save it as .docx, .xlsx, .pptx or .pdf")
    raise Unreadable("this is a ZIP archive, not a document: unpack it")


def _opened(data: bytes, limits: Limits) -> zipfile.ZipFile:
    if _declared(data) > limits.entries:
        raise Unreadable(f"its archive has more than {limits.entries:,} files")
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError) as error:
        raise Unreadable(f"its archive is damaged or cut off ({error})") from None
    if len(archive.infolist()) > limits.entries:
        raise Unreadable(f"its archive has more than {limits.entries:,} files")
    return archive


def _declared(data: bytes) -> int:
    """How many files the end of the archive speaks of: known before any of them is looked at."""
    at = data.rfind(_END)
    return int.from_bytes(data[at + 10 : at + 12], "little") if at >= 0 else 0


class Package:
    """An Office file. Parts are found by their names, as relations of other parts give them."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.limits = limits
        self._archive = _opened(data, limits)
        self._left = limits.unpacked

    def has(self, name: str) -> bool:
        """Whether there is such a part."""
        return name in self._archive.NameToInfo

    def parse(self, name: str, part: Part) -> bool:
        """Let a part's XML be handled; False where there is none. Raises Unreadable."""
        if not self.has(name):
            return False
        feed(self._pieces(name), part, name, self.limits)
        return True

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """The relations of a part: id -> (kind, name of the other part). Those that lead out of the file are not."""
        folder, _, last = name.rpartition("/")
        relations = _Relations(folder)
        self.parse(f"{folder}/_rels/{last}.rels".lstrip("/"), relations)
        return relations.found

    def _pieces(self, name: str) -> Iterator[bytes]:
        info = self._archive.getinfo(name)
        if info.flag_bits & 1:
            raise Unreadable("it is protected with a password")
        if info.file_size > self._left:
            raise Unreadable(self._too_large())
        if info.file_size > _FREE and info.file_size > self.limits.ratio * max(info.compress_size, 1):
            raise Unreadable(f"{name} unpacks to more than {self.limits.ratio} times its size")
        try:
            with self._archive.open(info) as stream:
                while piece := stream.read(_PIECE):
                    self._left -= len(piece)
                    if self._left < 0:
                        raise Unreadable(self._too_large())
                    yield piece
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError) as error:
            raise Unreadable(f"{name} in its archive is damaged or cut off ({error})") from None

    def _too_large(self) -> str:
        return f"it unpacks to more than {self.limits.unpacked // 2**20} MiB"


class _Relations(Part):
    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.found: dict[str, tuple[str, str]] = {}

    def start(self, name: str, attributes: Attributes) -> None:
        """One relation."""
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            kind = attributes.get("Type", "").rpartition("/")[2]
            target = posixpath.normpath(posixpath.join("/", self.folder, attributes.get("Target", "")))
            self.found[attributes.get("Id", "")] = (kind, target.lstrip("/"))


class Properties(Part):
    """What an Office file says of itself: docProps/core.xml."""

    NAMES: Final = {
        "title": "title", "creator": "author", "subject": "subject", "keywords": "keywords", "category": "category",
        "description": "description", "created": "created", "modified": "modified", "language": "language",
    }  # fmt: skip

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._name = ""

    def start(self, name: str, attributes: Attributes) -> None:
        """A property begins."""
        self._name = self.NAMES.get(name, "")

    def text(self, text: str) -> None:
        """Its value."""
        if self._name:
            self.found[self._name] = (self.found.get(self._name, "") + text)[:2000]

    def end(self, name: str) -> None:
        """It ends."""
        self._name = ""


def properties(package: Package) -> dict[str, str]:
    """Title, author and so on, by our names. Damaged ones are none."""
    part = Properties()
    try:
        package.parse("docProps/core.xml", part)
    except Unreadable:
        return {}
    return {name: shown for name, value in part.found.items() if (shown := plain(value))}
