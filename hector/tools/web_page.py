"""The readable text of an HTML page: headings, paragraphs, lists, tables and links, without what nobody would see."""

import re
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin, urlsplit

_SKIPPED: Final = frozenset(
    ("script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas", "audio", "video", "select",
     "button", "dialog")
)  # fmt: skip
_AROUND: Final = frozenset(("nav", "footer", "aside", "header", "form"))
"""Left out where the page says which part of it is the main one."""
_BLOCKS: Final = frozenset(
    ("p", "div", "section", "article", "main", "ul", "ol", "dl", "dt", "dd", "table", "tr", "blockquote", "figure",
     "pre", "figcaption", "address", "fieldset", "details", "summary", "hr", *_AROUND)
)  # fmt: skip
_EMPTY: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_HIDDEN: Final = re.compile(
    r"(?i)display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(\.0*)?\s*(;|$)"
)
_SPACE: Final = re.compile(r"[ \t\r\f\v\xa0]+")
_MOST_LINKS: Final = 500


class _Page(HTMLParser):
    """Collects text. `main` is what stands in <main> or <article>, without what stands around it."""

    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self.base = base
        self.title: list[str] = []
        self.lines: list[str] = []
        self.main: list[str] = []
        self.open: list[tuple[str, bool]] = []
        self.skip = self.inside = self.around = self.pre = self.links = 0
        self.link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        facts = dict(attrs)
        if tag == "base" and facts.get("href"):
            self.base = urljoin(self.base, facts["href"] or "")
        hidden = tag in _SKIPPED or _is_hidden(facts)
        if tag not in _EMPTY:
            self.open.append((tag, hidden))
            self._count(tag, hidden=hidden, by=1)
        if not self.skip:
            self._begin(tag, facts)

    def _begin(self, tag: str, facts: dict[str, str | None]) -> None:
        if tag == "br":
            self._say("\n")
        elif tag in _BLOCKS:
            self._say("\n\n" if tag not in {"tr", "dt", "dd"} else "\n")
        elif re.fullmatch("h[1-6]", tag):
            self._say(f"\n\n{'#' * int(tag[1])} ")
        elif tag == "li":
            self._say("\n- ")
        elif tag in {"td", "th"}:
            self._say(" | ")
        elif tag == "img" and facts.get("alt"):
            self._say(f"[image: {facts['alt']}]")
        elif tag == "a":
            self.link = _target(self.base, facts.get("href"))

    def handle_endtag(self, tag: str) -> None:
        """An element ends, and with it those in it that were left open."""
        if tag == "a" and self.link and not self.skip and self.links < _MOST_LINKS:
            self._say(f" ({self.link})")
            self.links += 1
        if tag == "a":
            self.link = ""
        if not any(name == tag for name, _ in self.open[-64:]):
            return
        while self.open:
            name, hidden = self.open.pop()
            self._count(name, hidden=hidden, by=-1)
            if name == tag:
                break
        if (tag in _BLOCKS or re.fullmatch("h[1-6]", tag)) and not self.skip:
            self._say("\n")

    def _count(self, tag: str, *, hidden: bool, by: int) -> None:
        self.skip += by * hidden
        self.inside += by * (tag in {"main", "article"})
        self.around += by * (tag in _AROUND)
        self.pre += by * (tag == "pre")

    def handle_data(self, data: str) -> None:
        """Text between elements."""
        if self.open and self.open[-1][0] == "title":
            self.title.append(data)
        elif not self.skip and not any(name == "head" for name, _ in self.open[:3]):
            self._say(data if self.pre else _SPACE.sub(" ", data.replace("\n", " ")))

    def _say(self, text: str) -> None:
        self.lines.append(text)
        if self.inside and not self.around:
            self.main.append(text)


def page_text(html: str, base: str = "") -> tuple[str, str]:
    """Title and text of a page. Links are made absolute with `base`."""
    page = _Page(base)
    page.feed(html)
    page.close()
    main = _tidy("".join(page.main))
    text = main if len(main) >= 200 else _tidy("".join(page.lines))
    return _SPACE.sub(" ", "".join(page.title)).strip(), text


def _tidy(text: str) -> str:
    lines = [line.strip(" |") if not line.startswith("    ") else line.rstrip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _is_hidden(facts: dict[str, str | None]) -> bool:
    return "hidden" in facts or facts.get("aria-hidden") == "true" or bool(_HIDDEN.search(facts.get("style") or ""))


def _target(base: str, href: str | None) -> str:
    """Where a link leads, if that is a page."""
    try:
        found = urljoin(base, (href or "").strip())
        return (
            found
            if urlsplit(found).scheme in {"http", "https"} and len(found) < 500 and href and href[0] != "#"
            else ""
        )
    except ValueError:
        return ""
