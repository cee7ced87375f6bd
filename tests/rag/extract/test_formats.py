"""Documents of every format: their text, and where it stands."""

import json
from pathlib import Path
from typing import Any

import pytest

from hector.core.retrieval import Content, Extracted, Item, Place, Section
from hector.rag.chunking import Plain, chunk
from hector.rag.errors import Unreadable
from hector.rag.extract.limits import Limits
from hector.rag.extract.reading import read
from tests.rag.extract.writers import WORD, docx, paragraph, pdf, xlsx

FILES = Path(__file__).with_name("files")
WIDE = Limits()


def document(name: str, data: bytes | str, limits: Limits = WIDE, media_type: str = "") -> Extracted:
    return read(Content(Item(name, name, "1", media_type=media_type), data), limits)


def stored(name: str) -> Extracted:
    return document(name, (FILES / name).read_bytes())


def texts(extracted: Extracted, kind: str = "") -> list[str]:
    return [section.text for section in extracted.sections if kind in ("", section.kind)]


def section(extracted: Extracted, words: str) -> Section:
    return next(section for section in extracted.sections if words in section.text)


def lines(source: str, place: Place) -> str:
    return "\n".join(source.split("\n")[place.first_line - 1 : place.last_line])


@pytest.mark.proves("rag.extract.docx")
def test_word_has_headings_tables_lists_and_properties() -> None:
    found = stored("handbook.docx")
    assert (found.title, found.metadata["author"]) == ("Handbook of Ovens", "Ada Byron")
    assert texts(found, "heading") == ["Handbook of Ovens", "Safety", "Temperatures", "Cleaning"]
    assert texts(found, "table") == ["Bread | Degrees\nRye | 230\nWheat | 210"]
    assert section(found, "Rye").place.heading == "Safety > Temperatures"
    assert "- Gloves hang on the wall." in section(found, "Never open").text
    assert section(found, "weekly").text.startswith("Clean it weekly with care.\tTab.")
    assert "日本語" in section(found, "Köln").text


@pytest.mark.proves("rag.extract.xlsx")
def test_excel_has_rows_with_the_names_of_their_columns() -> None:
    found = stored("orders.xlsx")
    assert found.metadata["sheets"] == ["Orders", "Prices 2026"]
    first = section(found, "Müller")
    assert first.text == "Order: 1; Customer: Müller & Söhne; Date: 2026-03-01; Amount: 12.5"
    assert (first.place.sheet, first.place.first_line, first.kind) == ("Orders", 2, "row")
    assert section(found, "Kaya").text == "Order: 2; Customer: Kaya; Date: 2026-03-02 14:30:00; Amount: 0.3"
    assert section(found, "SUM").text == "Amount: =SUM(D2:D3)"
    screw = section(found, "Screw")
    assert screw.text == "Article: Screw M4; Price: 0.05; In stock: true"
    assert (screw.place.sheet, screw.place.first_line) == ("Prices 2026", 4)
    places = [one.place for one in chunk(found, Plain("semantic", min_size=0))]
    assert [(place.sheet, place.last_line) for place in places] == [("Orders", 4), ("Prices 2026", 5)]


@pytest.mark.proves("rag.extract.pptx")
def test_powerpoint_has_slides_tables_and_notes() -> None:
    found = stored("launch.pptx")
    assert (found.title, found.metadata["slides"]) == ("Launch", 3)
    assert texts(found, "heading") == ["Launch Plan", "Milestones", "Costs"]
    notes = section(found, "Bremen")
    assert (notes.text, notes.place.page) == ("Notes: Mention the supplier in Bremen.", 2)
    assert section(found, "Moulds").text == "Item | Euro\nMoulds | 40,000"
    assert section(found, "Moulds").place == Place(page=3, heading="Costs")


@pytest.mark.proves("rag.pdf")
def test_pdf_has_pages_bookmarks_and_properties() -> None:
    found = stored("manual.pdf")
    assert (found.title, found.metadata["author"], found.metadata["pages"]) == ("Pump Manual", "Grundmann", 3)
    assert texts(found, "heading") == ["1 Installation", "2 Operation", "3 Maintenance"]
    assert section(found, "bearing").place == Place(page=3, heading="Maintenance")
    assert [one.place.page for one in chunk(found, Plain("semantic", min_size=0))] == [1, 2, 3]


@pytest.mark.proves("rag.pdf")
def test_pages_without_text_are_told_of() -> None:
    mixed = document("mixed.pdf", pdf(["Some words here.", "", "And more of them."]))
    assert mixed.notes == ("no text on 1 of 3 pages, which are blank or scanned: 2",)
    assert [one.place.page for one in mixed.sections] == [1, 3]
    with pytest.raises(Unreadable, match="only pictures: run text recognition"):
        document("scan.pdf", pdf(["", ""]))


@pytest.mark.proves("rag.pdf")
def test_a_pdf_with_a_password_says_so() -> None:
    from io import BytesIO

    from pypdf import PdfReader, PdfWriter

    for password, readable in (("", True), ("secret", False)):
        writer = PdfWriter(PdfReader(BytesIO(pdf(["Secret words."]))))
        writer.encrypt(password, "owner", algorithm="AES-256")
        made = BytesIO()
        writer.write(made)
        if readable:
            assert texts(document("a.pdf", made.getvalue())) == ["Secret words."]
        else:
            with pytest.raises(Unreadable, match="protected with a password"):
                document("a.pdf", made.getvalue())


MARKDOWN = """---
title: "Baking"
tags: [bread, rye]
author: Ada
draft: true
---
Before any heading.

# Bread **daily** [link](http://x/)

Knead it.
And wait.

```python
# no heading
knead()
```

Rising
------

| Flour | Grams |
|-------|-------|
| rye   | 500   |

### Deep `code`

The end.
"""


@pytest.mark.proves("rag.extract.markdown")
def test_markdown_has_headings_code_tables_lines_and_front_matter() -> None:
    found = document("a/bread.md", MARKDOWN)
    assert found.title == "Baking"
    assert found.metadata == {"format": "markdown", "tags": ["bread", "rye"], "author": "Ada", "draft": True}
    assert texts(found, "heading") == ["# Bread **daily** [link](http://x/)", "Rising\n------", "### Deep `code`"]
    assert section(found, "knead()").kind == "code"
    assert section(found, "knead()").place.heading == "Bread daily link"
    assert section(found, "rye   |").place.heading == "Bread daily link > Rising"
    assert section(found, "The end").place.heading == "Bread daily link > Rising > Deep code"
    for one in found.sections:
        assert lines(MARKDOWN, one.place) == one.text
    for piece in chunk(found, Plain("semantic", 60, min_size=0)):
        assert piece.text in lines(MARKDOWN, piece.place)


HTML = """<!doctype html><html lang="de"><head><title>Öfen &amp; Herde</title><style>p {}</style>
<meta name="description" content="Alles über Öfen"></head><body><nav><a href="/">Home</a></nav>
<main><h1>Öfen</h1><p>Ein Ofen   ist
warm.</p><div hidden>unsichtbar</div><script>alert(1)</script>
<h2>Preise</h2><table><tr><th>Ofen</th><th>Euro</th></tr><tr><td>klein</td><td>100</td></tr></table>
<ul><li>eins<li>zwei</ul><pre>code
  zeile</pre><p style="display:none">weg</p><p>""" + "Ein langer Absatz. " * 20 + """</p></main>
<footer>Impressum</footer></body></html>"""  # fmt: skip


@pytest.mark.proves("rag.extract.html")
def test_html_is_what_a_reader_sees() -> None:
    found = document("ofen.html", HTML.encode())
    assert (found.title, found.metadata["language"]) == ("Öfen & Herde", "de")
    assert found.metadata["description"] == "Alles über Öfen"
    assert texts(found, "heading") == ["Öfen", "Preise"]
    assert section(found, "warm").text == "Ein Ofen ist warm."
    assert texts(found, "table") == ["Ofen | Euro\nklein | 100"]
    assert texts(found, "code") == ["code\n  zeile"]
    assert section(found, "- eins\n- zwei").place.heading == "Öfen > Preise"
    whole = " ".join(texts(found))
    for word in ("Home", "unsichtbar", "alert", "weg", "Impressum"):
        assert word not in whole


CODE = '''"""Module."""

import os


@cached
class Oven:
    """Bakes."""

    def heat(self):
        return 1


# Says it.
async def main():
    pass
'''


@pytest.mark.proves("rag.extract.code")
def test_code_is_cut_where_definitions_begin() -> None:
    found = document("oven.py", CODE)
    assert found.metadata["language"] == "python"
    assert [(one.place.heading, one.place.first_line) for one in found.sections] == [
        ("", 1), ("Oven", 6), ("Oven > heat", 10), ("main", 14),
    ]  # fmt: skip
    for one in found.sections:
        assert lines(CODE, one.place) == one.text
    for name, source, heading in [
        ("a.go", "func (s *Server) Serve() error {\n}", "Serve"),
        ("a.ts", "export default class Foo<T> {\n}", "Foo"),
        ("a.rs", "pub(crate) fn run() {}", "run"),
        ("A.java", "class A {\n    public static void main(String[] args) {\n    }\n}", "A > main"),
        ("a.sql", "CREATE TABLE IF NOT EXISTS users (id int);", "users"),
    ]:
        assert document(name, source).sections[-1].place.heading == heading


@pytest.mark.proves("rag.extract.csv")
def test_csv_rows_say_the_names_of_their_columns() -> None:
    source = 'Name;City;Age\n"Ada; the first";London;36\n"two\nlines";Köln;7\n;;\nlast;;'
    found = document("people.csv", source.encode("cp1252"))
    assert [(one.text, one.place.first_line, one.place.last_line) for one in found.sections] == [
        ("Name: Ada; the first; City: London; Age: 36", 2, 2),
        ("Name: two lines; City: Köln; Age: 7", 3, 4),
        ("Name: last", 6, 6),
    ]
    assert found.notes == ("not UTF-8, read as Windows-1252",)
    assert texts(document("n.csv", "1,2\n3,4\n")) == ["1; 2", "3; 4"]
    assert texts(document("t.tsv", "a\tb\n1\t2\n")) == ["a: 1; b: 2"]
    assert texts(document("only.csv", "a,b\n")) == ["a; b"]


@pytest.mark.proves("rag.extract.json")
def test_json_says_the_keys_that_lead_to_a_value() -> None:
    found = document("a.json", '{"title": "T", "n": 1.50, "who": {"name": "Ada", "at": [1, 2]}, "all": [{"a": true}]}')
    assert (found.title, texts(found)) == (
        "T", ["title: T\nn: 1.50", "who.name: Ada\nwho.at: 1, 2", "all", "a: true"],
    )  # fmt: skip
    assert texts(document("b.json", '[{"a": "x", "b": null}, {"a": {"deep": [{"c": 1}]}}]')) == [
        "a: x",
        "a.deep[0].c: 1",
    ]
    broken = document("c.json", "{not json")
    assert texts(broken) == ["{not json"]
    assert "no valid JSON" in broken.notes[0]
    rows = document("d.jsonl", '{"a": 1}\n\n{"a": 2}\nbad\n')
    assert [(one.text, one.place.first_line) for one in rows.sections] == [("a: 1", 1), ("a: 2", 3), ("bad", 4)]
    cells = [{"cell_type": "markdown", "source": ["# Head\n", "\n", "text"]}, {"cell_type": "code", "source": "x"}]
    notebook = json.dumps({"cells": cells})
    assert [one.kind for one in document("e.ipynb", notebook).sections] == ["heading", "text", "code"]


@pytest.mark.proves("rag.extract.encodings")
@pytest.mark.parametrize(
    ("data", "text", "noted"),
    [
        ("Grüße".encode(), "Grüße", False),
        (b"\xef\xbb\xbf" + "Grüße".encode(), "Grüße", False),
        ("Grüße".encode("utf-16"), "Grüße", False),
        ("Grüße".encode("utf-32"), "Grüße", False),
        ("Greetings from the oven".encode("utf-16-le"), "Greetings from the oven", True),
        ("Grüße aus Köln".encode("cp1252"), "Grüße aus Köln", True),
        (("Grüße aus Köln, " * 20).encode() + b"\xff", "Grüße aus Köln, " * 20 + "\ufffd", True),
        (b"one\r\ntwo\rthree", "one\ntwo\nthree", False),
    ],
)
def test_encodings(data: bytes, text: str, noted: bool) -> None:
    found = document("a.txt", data)
    assert [one.rstrip() for one in texts(found)] == [text.rstrip()]
    assert bool(found.notes) is noted


@pytest.mark.proves("rag.extract.encodings")
def test_html_may_declare_its_encoding() -> None:
    for declared, codec in [("windows-1251", "cp1251"), ("gb2312", "gb2312"), ("Shift_JIS", "shift_jis")]:
        words = "Привет, как дела" if codec == "cp1251" else "中文" if codec == "gb2312" else "日本語"
        page = f'<html><head><meta charset="{declared}"></head><body><p>{words}</p></body></html>'
        assert texts(document("a.html", page.encode(codec))) == [words]
    harmless = b'<html><meta charset="zlib_codec"><body>plain words</body></html>'
    assert texts(document("a.html", harmless)) == ["plain words"]


@pytest.mark.proves("rag.extract.formats")
def test_what_a_document_is_goes_before_what_it_is_called() -> None:
    assert document("report.txt", (FILES / "manual.pdf").read_bytes()).metadata["format"] == "pdf"
    assert document("old.doc", HTML.encode()).metadata["format"] == "html"
    assert document("a.bin", (FILES / "orders.xlsx").read_bytes()).metadata["format"] == "xlsx"
    assert document("row-7", "# Head", media_type="text/markdown").metadata["format"] == "markdown"
    assert document("scan.pdf", "# Head", media_type="text/markdown").sections[0].kind == "heading"
    assert document("README", b"plain").metadata["format"] == "text"
    assert document("notes/a.txt", b"plain").title == "a.txt"


@pytest.mark.proves("rag.extract.limits")
def test_what_is_over_a_limit_is_left_out_and_told_of() -> None:
    cases: list[tuple[str, Any, Limits, str]] = [
        ("a.txt", "line\n" * 1000, Limits(characters=100), "only the first 100 characters were read"),
        ("a.csv", "a,b\n" + "1,2\n" * 100, Limits(rows=10), "only the first 10 rows were read"),
        ("a.csv", "a,b\n" + "1,2\n" * 100, Limits(cells=10), "only the first 10 cells were read"),
        ("a.pdf", pdf(["one"] * 5), Limits(pages=2), "only the first 2 of 5 pages were read"),
        ("a.json", "[1,2,3,4]", Limits(rows=2), "only the first 2 elements were read"),
        ("a.pptx", (FILES / "launch.pptx").read_bytes(), Limits(pages=1), "only the first 1 of 3 slides were read"),
    ]
    for name, data, limits, note in cases:
        found = document(name, data, limits)
        assert found.notes == (note,)
        assert found.sections
    cut = document("a.txt", "line\n" * 1000, Limits(characters=100)).sections[0]
    assert (len(cut.text), cut.place.last_line) == (100, 21)


@pytest.mark.proves("rag.extract.docx")
def test_word_leaves_out_what_is_deleted_and_takes_what_stands_aside() -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    body = (
        "<w:p><w:pPr><w:outlineLvl w:val='1'/></w:pPr>" + run.format("By its level") + "</w:p><w:p>"
        + run.format("kept ") + "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
        "<w:moveFrom>" + run.format("moved away") + "</w:moveFrom><w:ins>" + run.format("added") + "</w:ins>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r>"
        "<w:r><w:t>a</w:t><w:noBreakHyphen/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:p>"
        "<w:p><w:r><w:AlternateContent><w:Choice><w:txbxContent>"
        "<w:p>" + run.format("in a box") + "</w:p></w:txbxContent>"
        "</w:Choice><w:Fallback><w:p>" + run.format("in a box") + "</w:p></w:Fallback></w:AlternateContent></w:r></w:p>"
        "<w:tbl><w:tr><w:tc>" + paragraph("outer") + "<w:tbl><w:tr>"
        "<w:tc>" + paragraph("inner") + "</w:tc></w:tr></w:tbl>"
        "</w:tc><w:tc>" + paragraph("right") + "</w:tc></w:tr></w:tbl>"
    )  # fmt: skip
    notes = f"<w:footnotes xmlns:w='{WORD}'><w:footnote>{paragraph('At the foot.')}</w:footnote></w:footnotes>"
    found = document("a.docx", docx(body, more={"word/footnotes.xml": notes}))
    assert texts(found) == ["By its level", "kept addeda-b\nc\n\nin a box", "outer inner | right", "At the foot."]
    assert found.sections[1].place.heading == "By its level"
    assert found.sections[-1].place.heading == "Footnotes"


@pytest.mark.proves("rag.extract.xlsx")
def test_excel_has_texts_in_pieces_and_rows_that_are_left_out() -> None:
    rows = (
        "<row r='3'><c r='A3' t='s'><v>0</v></c><c r='C3' t='inlineStr'><is><t>Third</t></is></c></row>"
        "<row r='9'><c r='A9' t='b'><v>1</v></c><c r='B9'><v>1.5</v></c><c r='C9' t='e'><v>#REF!</v></c></row>"
    )
    strings = "<si><r><t>Fi</t></r><r><t>rst</t></r><rPh><t>kana</t></rPh></si>"
    found = document("a.xlsx", xlsx(rows, strings=strings))
    assert texts(found, "row") == ["First: true; 1.5; Third: #REF!"]
    assert found.sections[-1].place == Place(heading="One", sheet="One", first_line=9, last_line=9)
