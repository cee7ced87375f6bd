"""Small writers of documents, good ones and bad ones."""

import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def pdf(pages: Sequence[str], *, extra: Mapping[int, bytes] | None = None, packed: bool = False) -> bytes:
    """A PDF with a line on each page, or none. `extra` replaces objects by their numbers."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects: dict[int, bytes] = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    }
    for number, text in enumerate(pages):
        body = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode("latin-1") if text else b""
        how = b""
        if packed:
            body, how = zlib.compress(body), b"/Filter /FlateDecode "
        here = 4 + 2 * number
        objects[here] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {here + 1} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        ).encode()
        objects[here + 1] = b"<< %s/Length %d >>\nstream\n%s\nendstream" % (how, len(body), body)
    objects.update(extra or {})
    return assembled(objects)


def assembled(objects: Mapping[int, bytes]) -> bytes:
    """Objects with the table that says where they are."""
    made = bytearray(b"%PDF-1.7\n")
    places: dict[int, int] = {}
    for number, body in sorted(objects.items()):
        places[number] = len(made)
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table, last = len(made), max(objects)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (last + 1)
    for number in range(1, last + 1):
        made += b"%010d 00000 %s \n" % (places.get(number, 0), b"n" if number in places else b"f")
    made += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (last + 1, table)
    return bytes(made)


def archive(files: Mapping[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP archive."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", method) as out:
        for name, data in files.items():
            out.writestr(name, data)
    return made.getvalue()


def docx(body: str, *, head: str = "", more: Mapping[str, bytes | str] | None = None) -> bytes:
    """A Word file; `body` is XML with the prefix w, `head` stands before the root element."""
    document = f'<?xml version="1.0"?>{head}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return archive({"[Content_Types].xml": "<Types/>", "word/document.xml": document, **(more or {})})


def paragraph(text: str) -> str:
    """A paragraph of a Word file."""
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def xlsx(rows: str, *, strings: str = "", target: str = "worksheets/sheet1.xml", head: str = "") -> bytes:
    """An Excel file with one sheet of such rows."""
    return archive(
        {
            "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{RELATED}"><sheets>'
            '<sheet name="One" sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships><Relationship Id="rId1" Type="{RELATED}/worksheet" '
            f'Target="{target}"/><Relationship Id="rId2" Type="{RELATED}/sharedStrings" Target="sharedStrings.xml"/>'
            "</Relationships>",
            "xl/sharedStrings.xml": f'{head}<sst xmlns="{SHEET}">{strings}</sst>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{SHEET}"><sheetData>{rows}</sheetData></worksheet>',
        }
    )


def lying(data: bytes, name: str, size: int) -> bytes:
    """An archive whose directory says another size of a file than it has."""
    made = bytearray(data)
    at = made.rfind(b"PK\x01\x02")
    while at >= 0:
        length = struct.unpack_from("<H", made, at + 28)[0]
        if made[at + 46 : at + 46 + length] == name.encode():
            struct.pack_into("<I", made, at + 24, size)
        at = made.rfind(b"PK\x01\x02", 0, at)
    return bytes(made)
