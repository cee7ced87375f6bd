"""Markdown: headings, code and tables told apart, every line where it stands, front matter as metadata."""

from typing import Final, Literal, TypeAlias

from hector.core.pattern import pattern
from hector.core.retrieval import Place
from hector.rag.extract.frontmatter import front_matter
from hector.rag.extract.text import lines_of
from hector.rag.extract.writer import Writer

_HEADING: Final = pattern(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_UNDERLINE: Final = pattern(r" {0,3}(=+|-{2,})[ \t]*")
_FENCE: Final = pattern(r" {0,3}(`{3,}|~{3,})([^`]*)")
_RULE: Final = pattern(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_LINK: Final = pattern(r"!?\[([^\[\]]*)\]\([^()]*\)")
_NO_PARAGRAPH: Final = (" ", "\t", ">", "- ", "* ", "+ ", "|", "#")
_LONGEST_LINE: Final = 2000
"""Longer ones are text, whatever they look like."""

_Kind: TypeAlias = Literal["text", "code", "table"]


def read_markdown(data: bytes | str, _ending: str, writer: Writer) -> None:
    """Sections by headings, fenced code and tables."""
    lines = lines_of(data, writer).split("\n")
    first = front_matter(lines, writer)
    scan = _Scan(lines, writer)
    at = first
    while at < len(lines):
        at = scan.step(at)
    scan.flush(len(lines))


class _Scan:
    """Goes through the lines; those from `begin` on belong to the same block of `kind`."""

    def __init__(self, lines: list[str], writer: Writer) -> None:
        self.lines, self.writer = lines, writer
        self.begin = -1

    def step(self, at: int) -> int:
        """Look at the block that begins with a line; returns the line after it."""
        line = self.lines[at]
        if line and len(line) <= _LONGEST_LINE:
            if fence := _FENCE.fullmatch(line):
                return self._block(at, self._fenced(at, fence[1]), "code")
            if heading := _HEADING.fullmatch(line):
                return self._heading(at, at + 1, len(heading[1]), heading[2] or "")
            if level := self._underlined(at):
                return self._heading(at, at + 2, level, line)
            if "|" in line and at + 1 < len(self.lines) and self._is_table(at):
                return self._block(at, self._table(at), "table")
        if self.begin < 0:
            self.begin = at
        return at + 1

    def flush(self, end: int) -> None:
        """Write the text before a line."""
        if self.begin >= 0:
            self._write(self.begin, end, "text")
            self.begin = -1

    def _block(self, at: int, end: int, kind: _Kind) -> int:
        self.flush(at)
        self._write(at, end, kind)
        return end

    def _heading(self, at: int, end: int, level: int, name: str) -> int:
        self.flush(at)
        plain = _LINK.sub(r"\1", name).replace("**", "").replace("`", "").strip(" \t#*_")
        place = Place(first_line=at + 1, last_line=end)
        self.writer.heading(level, plain, place, "\n".join(self.lines[at:end]).rstrip())
        return end

    def _write(self, begin: int, end: int, kind: _Kind) -> None:
        """The lines without the blank ones around them."""
        while begin < end and not self.lines[begin].strip():
            begin += 1
        while end > begin and not self.lines[end - 1].strip():
            end -= 1
        self.writer.add("\n".join(self.lines[begin:end]), Place(first_line=begin + 1, last_line=end), kind)

    def _fenced(self, at: int, mark: str) -> int:
        for end in range(at + 1, len(self.lines)):
            closing = self.lines[end].strip()
            if closing.startswith(mark) and not closing.strip(mark[0]):
                return end + 1
        return len(self.lines)

    def _underlined(self, at: int) -> int:
        """The level of a heading that the next line underlines; 0: it is none."""
        line = self.lines[at]
        if at + 1 >= len(self.lines) or not line.strip() or line.startswith(_NO_PARAGRAPH):
            return 0
        if at and self.begin >= 0 and self.lines[at - 1].strip():
            return 0
        under = _UNDERLINE.fullmatch(self.lines[at + 1][:_LONGEST_LINE])
        return 0 if under is None else 1 if under[1][0] == "=" else 2

    def _is_table(self, at: int) -> bool:
        rule = self.lines[at + 1]
        return len(rule) <= _LONGEST_LINE and "|" in rule and bool(_RULE.fullmatch(rule))

    def _table(self, at: int) -> int:
        end = at + 2
        while end < len(self.lines) and "|" in self.lines[end]:
            end += 1
        return end
