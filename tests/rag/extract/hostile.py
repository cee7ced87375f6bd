"""Documents that mean harm, or were harmed. Each names what it does, and is made when it is asked for."""

import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final

from tests.rag.extract.writers import archive, assembled, docx, lying, paragraph, pdf, xlsx

FILES = Path(__file__).with_name("files")
MANY = 2_000_000


def stored(name: str) -> bytes:
    return (FILES / name).read_bytes()


def cut(name: str, share: float) -> bytes:
    data = stored(name)
    return data[: int(len(data) * share)]


def noisy(name: str, seed: int) -> bytes:
    """A document with bytes changed at random."""
    random_ = random.Random(seed)
    data = bytearray(stored(name))
    for _ in range(60):
        data[random_.randrange(len(data))] = random_.randrange(256)
    return bytes(data)


LAUGHS = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {after} '{f'&{before};' * 10}'>" for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
PARAMETER = "<!DOCTYPE x [<!ENTITY % p SYSTEM 'http://127.0.0.1:1/'> %p;]>"
QUADRATIC = f"<!DOCTYPE x [<!ENTITY b '{'x' * 100_000}'>]>"
ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
ATTRIBUTES = " ".join(f"a{number}='x'" for number in range(100_000))
EXTERNAL = "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>"


def symlinked() -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        link = zipfile.ZipInfo("word/document.xml")
        link.external_attr = 0o120777 << 16
        out.writestr(link, "/etc/passwd")
    return made.getvalue()


def nested_archives() -> bytes:
    data = archive({"word/document.xml": b"\0" * MANY})
    for _ in range(8):
        data = archive({"word/document.xml": data})
    return data


def many_entries() -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        for number in range(25_000):
            out.writestr(f"word/{number}", "")
        out.writestr("word/document.xml", "<x/>")
    return made.getvalue()


def overlapping() -> bytes:
    """Every entry of the directory leads to the same packed bytes."""
    base = archive({"word/document.xml": "<x>" + " " * MANY + "</x>"})
    at = base.rfind(b"PK\x05\x06")
    start = struct.unpack_from("<I", base, at + 16)[0]
    entry = base[start:at]
    end = bytearray(base[at:])
    struct.pack_into("<HHI", end, 8, 1000, 1000, 1000 * len(entry))
    return base[:start] + entry * 1000 + bytes(end)


def encrypted() -> bytes:
    data = bytearray(docx(paragraph("secret")))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 4)
    return bytes(data)


def odd_method() -> bytes:
    data = bytearray(docx(paragraph("x")))
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.find(mark)
        while at >= 0:
            struct.pack_into("<H", data, at + offset, 99)
            at = data.find(mark, at + 4)
    return bytes(data)


def pages_in_a_circle() -> bytes:
    return pdf(["x"], extra={2: b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"})


def pages_without_end() -> bytes:
    """Each level names the next ten times."""
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>"}
    for number in range(2, 14):
        kids = b" ".join(b"%d 0 R" % (number + 1) for _ in range(10))
        objects[number] = b"<< /Type /Pages /Kids [%s] /Count 1000000000 >>" % kids
    objects[14] = b"<< /Type /Page /Parent 13 0 R /MediaBox [0 0 9 9] >>"
    return assembled(objects)


def packed_stream(body: bytes) -> bytes:
    data = zlib.compress(body, 9)
    return b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(data), data)


def packed_often(body: bytes) -> bytes:
    for _ in range(4):
        body = zlib.compress(body, 9)
    return b"<< /Filter [%s] /Length %d >>\nstream\n%s\nendstream" % (b"/FlateDecode " * 4, len(body), body)


def form_in_a_circle() -> bytes:
    body = b"/F0 Do"
    form = (
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F0 6 0 R >> >> /Length %d >>\n"
        b"stream\n%s\nendstream" % (len(body), body)
    )
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 5 0 R /Resources << /XObject << /F0 6 0 R >> >> >>"
    )
    return pdf(["x"], extra={4: page, 5: b"<< /Length 6 >>\nstream\n/F0 Do\nendstream", 6: form})


def outline_in_a_circle() -> bytes:
    return pdf(
        ["x"],
        extra={
            1: b"<< /Type /Catalog /Pages 2 0 R /Outlines 6 0 R >>",
            6: b"<< /Type /Outlines /First 7 0 R /Last 7 0 R >>",
            7: b"<< /Title (loop) /Parent 6 0 R /Next 7 0 R /First 7 0 R /Dest [4 0 R /Fit] >>",
        },
    )


def deep_pdf() -> bytes:
    return pdf(["x"], extra={6: b"[" * 100_000 + b"]" * 100_000, 1: b"<< /Type /Catalog /Pages 2 0 R /X 6 0 R >>"})


def endless_text() -> bytes:
    body = b"BT /F1 12 Tf " + b"(words) Tj " * 300_000 + b"ET"
    return pdf(["x"], extra={5: packed_stream(body)})


def deep_html(tag: str, count: int) -> bytes:
    return b"<html><body>" + f"<{tag}>".encode() * count + b"text" + f"</{tag}>".encode() * count


HOSTILE: Final[dict[str, tuple[str, Callable[[], bytes | str]]]] = {
    # archives
    "bomb": ("a.docx", lambda: docx(paragraph(" " * 100 * MANY))),
    "bomb of rows": ("a.xlsx", lambda: xlsx("<row><c><v>1</v></c></row>" * 100_000)),
    "bomb of texts": ("a.xlsx", lambda: xlsx("", strings="<si><t>a</t></si>" * 250_000)),
    "bomb in relations": ("a.xlsx", lambda: xlsx("", target="x" * 40 * MANY)),
    "nested archives": ("a.docx", nested_archives),
    "many entries": ("a.docx", many_entries),
    "overlapping entries": ("a.docx", overlapping),
    "size too small": ("a.docx", lambda: lying(docx(paragraph("x" * 100_000)), "word/document.xml", 10)),
    "size too large": ("a.docx", lambda: lying(docx(paragraph("x")), "word/document.xml", 4_000_000_000)),
    "encrypted entries": ("a.docx", encrypted),
    "unknown method": ("a.docx", odd_method),
    "symlink": ("a.docx", symlinked),
    "path traversal": ("a.docx", lambda: docx(paragraph("x"), more={"../../../../tmp/hostile": "x", "/etc/h": "x"})),
    "relation out of the file": ("a.xlsx", lambda: xlsx("", target="../../../../../etc/passwd")),
    "relation to the web": ("a.xlsx", lambda: xlsx("", target="http://127.0.0.1:1/")),
    "relation to itself": ("a.xlsx", lambda: xlsx("", target="workbook.xml")),
    "empty archive": ("a.docx", lambda: archive({})),
    "archive of nothing known": ("a.docx", lambda: archive({"a.txt": "x"})),
    "only a directory": ("a.docx", lambda: b"PK\x05\x06" + b"\0" * 18),
    "archive, half": ("a.docx", lambda: cut("handbook.docx", 0.5)),
    "archive, nearly all": ("a.docx", lambda: cut("handbook.docx", 0.99)),
    "workbook, half": ("a.xlsx", lambda: cut("orders.xlsx", 0.5)),
    "slides, half": ("a.pptx", lambda: cut("launch.pptx", 0.5)),
    "word with noise": ("a.docx", lambda: noisy("handbook.docx", 1)),
    "excel with noise": ("a.xlsx", lambda: noisy("orders.xlsx", 2)),
    "slides with noise": ("a.pptx", lambda: noisy("launch.pptx", 3)),
    # XML
    "billion laughs": ("a.docx", lambda: docx(paragraph("&i;"), head=LAUGHS + "]>")),
    "billion laughs in texts": ("a.xlsx", lambda: xlsx("", strings="<si><t>&i;</t></si>", head=LAUGHS + "]>")),
    "external entity": ("a.docx", lambda: docx(paragraph("&e;"), head=EXTERNAL + "]>")),
    "parameter entity": ("a.docx", lambda: docx(paragraph("x"), head=PARAMETER)),
    "quadratic entity": ("a.docx", lambda: docx(paragraph("&b;" * 100_000), head=QUADRATIC)),
    "deep elements": ("a.docx", lambda: docx("<w:p>" * 100_000 + "</w:p>" * 100_000)),
    "deep tables": ("a.docx", lambda: docx("<w:tbl><w:tr><w:tc>" * 60 + "</w:tc></w:tr></w:tbl>" * 60)),
    "XML cut off": ("a.docx", lambda: docx(paragraph("x") + "<w:p><w:r>")),
    "XML of NULs": ("a.docx", lambda: archive({"word/document.xml": b"\0" * 10_000})),
    "many attributes": ("a.docx", lambda: docx(f"<w:p {ATTRIBUTES}/>")),
    "styles in a circle": ("a.docx", lambda: docx(
        "<w:p><w:pPr><w:pStyle w:val='A'/></w:pPr><w:r><w:t>x</w:t></w:r></w:p>",
        more={"word/styles.xml": "<w:styles xmlns:w='w'><w:style w:styleId='A'><w:basedOn w:val='B'/></w:style>"
                                 "<w:style w:styleId='B'><w:basedOn w:val='A'/></w:style></w:styles>"})),
    "huge cell": ("a.xlsx", lambda: xlsx(f"<row><c t='str'><v>{'word ' * 2_000_000}</v></c></row>")),
    "strange cells": ("a.xlsx", lambda: xlsx("<row r='-1'><c r='ZZZZ9' t='s'><v>-5</v></c><c t='n'><v>1e999</v></c>"
                                             "<c t='s'><v>99999999999999</v></c><c><v>nan</v></c></row>")),
    # PDF
    "pages in a circle": ("a.pdf", pages_in_a_circle),
    "pages without end": ("a.pdf", pages_without_end),
    "PDF bomb": ("a.pdf", lambda: pdf(["x"], extra={5: packed_stream(b"\0" * 60 * MANY)})),
    "PDF bomb in a bomb": ("a.pdf", lambda: pdf(["x"], extra={5: packed_often(b"\0" * 60 * MANY)})),
    "form in a circle": ("a.pdf", form_in_a_circle),
    "outline in a circle": ("a.pdf", outline_in_a_circle),
    "deep arrays": ("a.pdf", deep_pdf),
    "endless text": ("a.pdf", endless_text),
    "PDF, half": ("a.pdf", lambda: cut("manual.pdf", 0.5)),
    "PDF, only its beginning": ("a.pdf", lambda: b"%PDF-1.7\n"),
    "PDF with noise": ("a.pdf", lambda: noisy("manual.pdf", 4)),
    "PDF that declares": ("a.pdf", lambda: pdf(["x"], extra={5: b"<< /Length 9999999999 >>\nstream\nx\nendstream"})),
    "PDF without pages": ("a.pdf", lambda: pdf([])),
    "PDF whose table points to itself": ("a.pdf", lambda: pdf(["x"]).replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev 9")),
    "a font that is a bomb": ("a.pdf", lambda: pdf(["x"], extra={
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /H /ToUnicode 6 0 R >>",
        6: packed_stream(b"1 beginbfrange <0000> <ffffffff> <0000> endbfrange " * 50_000)})),
    # text
    "NULs": ("a.txt", lambda: b"\0" * MANY),
    "noise": ("a.txt", lambda: random.Random(5).randbytes(1_000_000)),
    "a program": ("a.md", lambda: b"\x7fELF" + b"\0" * 1000),
    "a picture called text": ("a.txt", lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 100),
    "lone surrogates": ("a.txt", lambda: "a\ud800b\udfffc" * 1000),
    "surrogates in UTF-16": ("a.txt", lambda: b"\xff\xfe" + b"\x00\xd8a\x00" * 1000),
    "half a UTF-16 letter": ("a.txt", lambda: b"\xff\xfea"),
    "one endless line": ("a.txt", lambda: "x" * 3 * MANY),
    "only marks": ("a.txt", lambda: "\u0301" * MANY),
    "only flags": ("a.txt", lambda: "\U0001f1e9" * 1_000_000),
    "only line feeds": ("a.md", lambda: "\n" * MANY),
    "only fences": ("a.md", lambda: "```\n" * 500_000),
    "only headings": ("a.md", lambda: "# x\n" * 300_000),
    "deep headings": ("a.md", lambda: "###### " * 200_000),
    "links without end": ("a.md", lambda: "# " + "[" * 1900 + "\n" + "# " + "[a](" * 400 + "\n"),
    "front matter without end": ("a.md", lambda: "---\n" + "a: b\n" * 300_000),
    "brackets of code": ("a.py", lambda: "def " * 1_000_000),
    "blanks of code": ("a.java", lambda: ("  public " + "a " * 200 + "\n") * 3000),
    "deep HTML": ("a.html", lambda: deep_html("div", 300_000)),
    "deep tables of HTML": ("a.html", lambda: deep_html("table", 100_000)),
    "HTML without ends": ("a.html", lambda: b"<html>" + b"<p><b><i>" * 200_000),
    "HTML of ends": ("a.html", lambda: b"<html>" + b"</p></div>" * 200_000),
    "HTML of beginnings": ("a.html", lambda: b"<html>" + b"<" * 200_000),
    "a comment without end": ("a.html", lambda: b"<html><!--" * 20_000),
    "an attribute without end": ("a.html", lambda: b"<html><p a='" + b"x" * MANY),
    "references without end": ("a.html", lambda: b"<html>" + b"&#x110000;&#99999999999;&lt" * 100_000),
    # data
    "deep JSON": ("a.json", lambda: "[" * 1_000_000),
    "deep JSON that is whole": ("a.json", lambda: "[" * 100_000 + "]" * 100_000),
    "rather deep JSON": ("a.json", lambda: '{"a":' * 500 + "1" + "}" * 500),
    "a long number": ("a.json", lambda: "[" + "9" * 1_000_000 + "]"),
    "JSON of no numbers": ("a.json", lambda: "[NaN, Infinity, -Infinity, 1e400]"),
    "JSON of halves": ("a.json", lambda: json.dumps(["\ud800" * 1000])),
    "JSON of many keys": ("a.json", lambda: json.dumps({f"key {number}": number for number in range(300_000)})),
    "JSON, half": ("a.json", lambda: '{"a": [1, 2, {"b": '),
    "lines of no JSON": ("a.jsonl", lambda: "{\n" * 100_000),
    "a huge field": ("a.csv", lambda: 'a,b\n"' + "x" * MANY),
    "a row of commas": ("a.csv", lambda: "," * MANY),
    "quotes without end": ("a.csv", lambda: '"' * 1_000_001),
    "NULs in rows": ("a.csv", lambda: "a,b\n\0,\0\n"),
    # nothing
    "empty": ("a.txt", lambda: b""),
    "empty PDF": ("a.pdf", lambda: b""),
    "empty Word": ("a.docx", lambda: b""),
    "a name of nothing": ("", lambda: b"x"),
    "a name of dots": ("....", lambda: b"x"),
    "an old Office file": ("a.doc", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600),
    "an encrypted Office file": ("a.docx", lambda: ENCRYPTED),
}  # fmt: skip
