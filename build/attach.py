"""Attaches files to the one-file executable, which reads them where they lie: see hector/core/attached.py.

They go in front of what PyInstaller has put there, since its launcher looks for its own end from the end of the file.
"""

import json
import lzma
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hector.core.attached import END, MARK

COOKIE = b"MEI\014\013\012\013\016"
COOKIE_FORMAT = "!8sIIII64s"
ALIGNED = 64


def attach(executable: Path, plain: Mapping[str, Path], packed: Mapping[str, Path]) -> None:
    """Put files into an ELF executable: `plain` ones as they are, which can be mapped, `packed` ones compressed."""
    program = executable.read_bytes()
    at = _archive(program)
    body, index = bytearray(), {}
    for name, path in sorted({**plain, **packed}.items()):
        body += bytes(-(at + len(body)) % ALIGNED)
        data = path.read_bytes()
        squeezed = lzma.compress(data, preset=9) if name in packed else b""
        index[name] = [at + len(body), len(data), len(squeezed)]
        body += squeezed or data
    text = json.dumps(index, separators=(",", ":")).encode()
    end = MARK + (at + len(body)).to_bytes(8, "little") + len(text).to_bytes(8, "little")
    body += text
    body += bytes(-len(body) % 4096)
    made = bytearray(program[:at] + body + program[at:])
    _move(made, at, len(body))
    executable.write_bytes(bytes(made) + end)
    if len(end) != END:
        raise SystemExit("attach: the end has another length than it should")


def _archive(program: bytes) -> int:
    """Where the archive of PyInstaller begins."""
    cookie = program.rfind(COOKIE)
    if cookie < 0 or program[:4] != b"\x7fELF":
        raise SystemExit("attach: this is no executable that PyInstaller has made for Linux")
    length = struct.unpack_from(COOKIE_FORMAT, program, cookie)[1]
    return cookie + struct.calcsize(COOKIE_FORMAT) - length


def _move(program: bytearray, at: int, by: int) -> None:
    """Tell the table of sections (ELF, 64 bits, little-endian) that what stood at `at` and behind stands elsewhere."""
    (table,) = struct.unpack_from("<Q", program, 0x28)
    size, count = struct.unpack_from("<HH", program, 0x3A)
    if table >= at:
        table += by
        struct.pack_into("<Q", program, 0x28, table)
    for number in range(count):
        field = table + number * size + 0x18
        (place,) = struct.unpack_from("<Q", program, field)
        if place >= at:
            struct.pack_into("<Q", program, field, place + by)
