"""How much of one document is looked at, and what it may cost."""

from hector.core.record import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for one document. What is over `characters`, `pages`, `rows` or `cells` is left out, and a note says so;
    over the others it is not read at all.
    """

    characters: int = 20_000_000
    pages: int = 5_000
    rows: int = 500_000
    cells: int = 2_000_000
    depth: int = 200
    """Of nested objects and elements."""
    entries: int = 20_000
    """Files in an archive."""
    unpacked: int = 256 * 2**20
    """Bytes that an archive's files, or the streams of a PDF page, may become."""
    ratio: int = 500
    """How many bytes one byte of an archive's file may become, from 1 MiB on."""
    seconds: int = 120
    """Processor time."""
    memory: int = 1024 * 2**20
    """Bytes that the process may have."""
