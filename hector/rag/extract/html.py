"""HTML: what a reader of the page would see, without navigation and what is hidden."""

from html.parser import HTMLParser
from typing import Final, Literal, TypeAlias

from hector.core.pattern import pattern
from hector.core.record import dataclass
from hector.rag.extract.text import lines_of
from hector.rag.extract.writer import Writer, one_line

_SKIPPED: Final = frozenset(
    ("script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas", "audio", "video", "select",
     "button", "dialog", "head")
)  # fmt: skip
_AROUND: Final = frozenset(("nav", "footer", "aside", "header", "form"))
"""Left out where the page says which part of it is the main one; navigation always."""
_REGIONS: Final = _AROUND | {"main", "article"}
"""What is inside and what is outside of one of them never makes one section."""
_PARTS: Final = frozenset(
    ("p", "div", "section", "article", "main", "ul", "ol", "dl", "blockquote", "figure", "figcaption", "address",
     "fieldset", "details", "summary", "hr", "body", *_AROUND)
)  # fmt: skip
_EMPTY: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_ENDED_BY: Final = {"p": _PARTS | {"table", "pre", "h1", "h2", "h3", "h4", "h5", "h6"}, "li": {"li"}}
_HIDDEN: Final = pattern(
    r"(?i)display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0\s*(;|$)"
)
_HEADING: Final = pattern("h[1-6]")
_SPACE: Final = pattern(r"[ \t\r\f\v\xa0\n]+")
_FACTS: Final = {"author": "author", "description": "description", "keywords": "keywords"}
_ENOUGH: Final = 200
"""Characters that the main part must have, so that the rest is left out."""

_Kind: TypeAlias = Literal["text", "heading", "code", "table"]


def read_html(data: bytes | str, _ending: str, writer: Writer) -> None:
    """Sections by headings, with code and tables told apart."""
    page = _Page(writer)
    page.feed(_without_comments(lines_of(data, writer, markup=True)))
    page.close()
    page.flush("text")
    blocks = [block for block in page.blocks if block.main]
    if sum(len(block.text) for block in blocks) < _ENOUGH:
        blocks = page.blocks
    for block in blocks:
        if block.kind == "heading":
            writer.heading(block.level, block.text)
        else:
            writer.add(block.text, kind=block.kind)


def _without_comments(html: str) -> str:
    """One that never ends takes the rest, as in browsers: Python's parser would look for its end again and again."""
    pieces: list[str] = []
    at = 0
    while (begin := html.find("<!--", at)) >= 0:
        pieces.append(html[at:begin])
        end = html.find("-->", begin + 2)
        at = end + 3 if end >= 0 else len(html)
    return "".join((*pieces, html[at:]))


@dataclass(frozen=True, slots=True)
class _Block:
    """A stretch of the page. `main`: it stands in <main> or <article>."""

    kind: _Kind
    text: str
    level: int
    main: bool


class _Page(HTMLParser):
    """Collects blocks; `open` holds the elements that are open, and whether each hides what is in it."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(convert_charrefs=True)
        self.writer = writer
        self.blocks: list[_Block] = []
        self.open: list[tuple[str, bool]] = []
        self.said: list[str] = []
        self.skip = self.inside = self.around = self.pre = self.table = self.level = 0
        self.in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        facts = {name: value or "" for name, value in attrs}
        self._told(tag, facts)
        if self.open and tag in _ENDED_BY.get(self.open[-1][0], ()):
            self.handle_endtag(self.open[-1][0])
        if tag in _REGIONS and not self.skip:
            self.flush("text")
        hidden = tag in _SKIPPED or tag == "nav" or _is_hidden(facts)
        if tag not in _EMPTY and len(self.open) < 10 * self.writer.limits.depth:
            self.open.append((tag, hidden))
            self._count(tag, hidden=hidden, by=1)
        if not self.skip:
            self._begin(tag, facts)

    def _told(self, tag: str, facts: dict[str, str]) -> None:
        """What the page says of itself."""
        self.in_title = tag == "title" and not self.writer.title and "svg" not in [name for name, _ in self.open[-3:]]
        if tag == "meta" and (name := _FACTS.get(facts.get("name", "").lower())):
            self.writer.tell(**{name: facts.get("content", "")})
        if tag == "html" and facts.get("lang"):
            self.writer.tell(language=facts["lang"])

    def _begin(self, tag: str, facts: dict[str, str]) -> None:
        if _HEADING.fullmatch(tag) and not self.table:
            self.flush("text")
            self.level = int(tag[1])
        elif tag == "table" and self.table == 1 or tag == "pre" and not self.table:
            self.flush("text")
        elif tag in {"td", "th"}:
            self.said.append(" | ")
        elif tag in {"br", "tr", "dt", "dd"}:
            self.said.append("\n")
        elif tag == "li":
            self.said.append("\n- ")
        elif tag == "img" and facts.get("alt"):
            self.said.append(f" {facts['alt']} ")
        elif tag in _PARTS:
            self.said.append(" " if self.table else "\n\n")

    def handle_endtag(self, tag: str) -> None:
        """An element ends, and with it those in it that were left open."""
        if tag == "title":
            self.in_title = False
        if not any(name == tag for name, _ in self.open[-64:]):
            return
        if not self.skip:
            self._end(tag)
        while self.open:
            name, hidden = self.open.pop()
            self._count(name, hidden=hidden, by=-1)
            if name == tag:
                break

    def _end(self, tag: str) -> None:
        if _HEADING.fullmatch(tag) and self.level:
            self.flush("heading")
            self.level = 0
        elif tag == "table" and self.table == 1:
            self.flush("table")
        elif tag == "pre" and self.pre == 1 and not self.table:
            self.flush("code")
        elif tag in _REGIONS:
            self.flush("text")
        elif tag in _PARTS and not self.table:
            self.said.append("\n\n")

    def _count(self, tag: str, *, hidden: bool, by: int) -> None:
        self.skip += by * hidden
        self.inside += by * (tag in {"main", "article"})
        self.around += by * (tag in _AROUND)
        self.pre += by * (tag == "pre")
        self.table += by * (tag == "table")

    def handle_data(self, data: str) -> None:
        """Text between elements."""
        if self.in_title:
            self.writer.title = one_line(self.writer.title + data)
        elif not self.skip:
            self.said.append(data if self.pre and not self.table else _SPACE.sub(" ", data))

    def flush(self, kind: _Kind) -> None:
        """What was said since the last time is a block."""
        text = "".join(self.said)
        self.said = []
        text = text.strip("\n") if kind == "code" else _tidy(text)
        if text.strip():
            self.blocks.append(_Block(kind, text, self.level, bool(self.inside) and not self.around))


def _tidy(text: str) -> str:
    """Lines without blank space around them, and one blank line between paragraphs."""
    lines: list[str] = []
    for line in text.split("\n"):
        shown = _SPACE.sub(" ", line).strip().strip("|").strip()
        if shown or (lines and lines[-1]):
            lines.append(shown)
    return "\n".join(lines).strip()


def _is_hidden(facts: dict[str, str]) -> bool:
    return (
        "hidden" in facts or facts.get("aria-hidden") == "true" or bool(_HIDDEN.search(facts.get("style", "")[:2000]))
    )
