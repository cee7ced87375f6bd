"""Programs and configuration files: verbatim, cut where functions and classes begin."""

from typing import Final

from hector.core.pattern import pattern
from hector.core.retrieval import Place
from hector.rag.extract.text import lines_of
from hector.rag.extract.writer import Writer

_MODIFIERS: Final = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|override|virtual|sealed|"
    r"partial|open|data|inline|unsafe|extern|const|pub(?:\([\w ]+\))?|local|suspend|readonly|declare|case)\s+)*"
)
_BEGINS: Final = pattern(
    rf"([ \t]*){_MODIFIERS}(?:class|def|func|function\*?|fn|interface|struct|enum|trait|impl(?:<[^>]*>)?|module|"
    r"namespace|type|object|record|protocol|extension|mod|sub|defmodule|message|service|"
    r"(?i:create\s+(?:or\s+replace\s+)?(?:table|view|function|procedure|index|trigger)(?:\s+if\s+not\s+exists)?))"
    r"\s+(?:\([^()]*\)\s*)?[`\"\[]?([\w$.:]+)"
)
_JAVA: Final = pattern(
    r"([ \t]+)(?:(?:public|private|protected|static|final|abstract|synchronized|override|virtual|async)\s+)+"
    r"[\w<>\[\],.? ]+?\s+(\w+)\s*\("
)
_ABOVE: Final = ("@", "#", "//", "/*", "*", "*/", "--", ";;")
"""What lines above a definition begin with that belong to it."""
_LANGUAGES: Final = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript",
    ".cjs": "javascript", ".ts": "typescript", ".tsx": "typescript", ".rs": "rust", ".kt": "kotlin", ".kts": "kotlin",
    ".h": "c", ".cc": "c++", ".cpp": "c++", ".cxx": "c++", ".hpp": "c++", ".hh": "c++", ".cs": "c#", ".rb": "ruby",
    ".sh": "shell", ".bash": "shell", ".zsh": "shell", ".pl": "perl", ".pm": "perl", ".ex": "elixir", ".exs": "elixir",
    ".erl": "erlang", ".hs": "haskell", ".ml": "ocaml", ".clj": "clojure", ".jl": "julia", ".m": "objective-c",
    ".mm": "objective-c", ".ps1": "powershell", ".bat": "batch", ".tf": "terraform", ".yml": "yaml", ".sol": "solidity",
}  # fmt: skip
_NO_DEFINITIONS: Final = frozenset(
    (".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".xml", ".xsd", ".css", ".scss", ".less", ".mk", ".cmake")
)
_LONGEST_LINE: Final = 500


def read_code(data: bytes | str, ending: str, writer: Writer) -> None:
    """A section from each definition to the next; their names are the headings."""
    writer.tell(language=_LANGUAGES.get(ending, ending[1:]))
    lines = lines_of(data, writer, markup=ending in {".xml", ".xsd"}).split("\n")
    begin = 0
    for at, level, name in [] if ending in _NO_DEFINITIONS else _definitions(lines):
        start = _with_what_is_above(lines, at, begin)
        _write(lines, begin, start, writer)
        begin = start
        writer.enter(level, name)
    _write(lines, begin, len(lines), writer)


def _definitions(lines: list[str]) -> list[tuple[int, int, str]]:
    """Line, level by the depth that it is indented, and name of each."""
    found: list[tuple[int, int, str]] = []
    for at, line in enumerate(lines):
        if len(line) > _LONGEST_LINE:
            continue
        match = _BEGINS.match(line) or _JAVA.match(line)
        if match:
            found.append((at, len(match[1].expandtabs(4)), match[2].strip(".:")))
    return found


def _with_what_is_above(lines: list[str], at: int, least: int) -> int:
    """Comments and decorators belong to what they stand above."""
    while at > least and lines[at - 1].strip().startswith(_ABOVE):
        at -= 1
    return at


def _write(lines: list[str], begin: int, end: int, writer: Writer) -> None:
    while begin < end and not lines[begin].strip():
        begin += 1
    while end > begin and not lines[end - 1].strip():
        end -= 1
    if begin < end:
        writer.add("\n".join(lines[begin:end]), Place(first_line=begin + 1, last_line=end), "code")
