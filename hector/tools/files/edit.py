"""Changes of a text that say exactly what they mean: what fits nowhere, or in several places, changes nothing. Pure."""

import difflib
from typing import Final

from hector.core.errors import ToolError
from hector.tools.files.places import places

MOST: Final = 100
"""Places that one call changes."""
_COMPARED: Final = 150
"""Lines that are compared sign by sign, which takes the square of their length."""
_SEARCHED: Final = 20_000
"""Lines that are looked through for something similar."""


def replace(text: str, old: str, new: str, *, everywhere: bool = False) -> tuple[str, int, list[int]]:
    """The text with `old` replaced, how often, and the lines at which it stood. Raises ToolError."""
    if not old:
        raise ToolError("the text to replace is empty; use insert to add something")
    if old == new:
        raise ToolError("the old and the new text are the same: there is nothing to change")
    found = text.count(old)
    if found == 0:
        raise ToolError(_not_found(text, old))
    lines = lines_of(text, old)
    if found > 1 and not everywhere:
        raise ToolError(
            f"the text stands {found} times in the file, at the lines {_listed(lines)}; "
            "give more of what is around it, so that it fits once"
        )
    if found > MOST:
        raise ToolError(f"the text stands {found} times in the file; one call changes {MOST} places at most")
    return text.replace(old, new), found, lines


def lines_of(text: str, part: str) -> list[int]:
    """The numbers of the lines at which a part begins, each place once."""
    found: list[int] = []
    at, line, last = text.find(part), 1, 0
    while at >= 0:
        line += text.count("\n", last, at)
        found.append(line)
        last, at = at, text.find(part, at + len(part))
    return found


def insert(text: str, after: int, new: str) -> str:
    """The text with lines added after line `after`, 0 for the beginning. Raises ToolError."""
    lines = text.splitlines(keepends=True) if text else []
    if not 0 <= after <= len(lines):
        raise ToolError(f"insert_line is {after}; the file has {len(lines)} lines, so 0 to {len(lines)} is possible")
    head, tail = "".join(lines[:after]), "".join(lines[after:])
    if head and not head.endswith("\n"):
        return f"{head}\n{new.removesuffix(chr(10))}"
    ended = new.endswith("\n") or not (tail or head)
    return head + (new if ended else f"{new}\n") + tail


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:10]))
    return f"{shown} and {len(numbers) - 10} more" if len(numbers) > 10 else shown


def _not_found(text: str, old: str) -> str:
    """What the model can go by instead: the same with other white space, or the lines that are most alike."""
    lines, wanted = text.split("\n"), old.strip("\n").split("\n")
    blank = [line.strip() for line in wanted]
    if alike := places([line.strip() for line in lines[:_SEARCHED]], blank):
        at = alike[0]
        shown = "\n".join(lines[at : at + len(wanted)])
        where = f"line {at + 1}" if len(wanted) == 1 else f"lines {at + 1} to {at + len(wanted)}"
        return f"the text does not stand in the file like this, but with other white space at {where}:\n{shown}"
    near = _nearest(lines, max(wanted, key=lambda line: len(line.strip())).strip(), len(wanted))
    if near is None:
        return "the text does not stand in the file, nor anything like it; read the file again"
    first, last = near
    shown = "\n".join(f"{number + 1:6}\t{lines[number]}" for number in range(first, last))
    return f"the text does not stand in the file; most like it are these lines:\n{shown}"


def _nearest(lines: list[str], line: str, count: int) -> tuple[int, int] | None:
    """From which line to which (exclusive) the file is most like what was looked for."""
    if not line:
        return None
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(line[:500])
    best, at, compared = 0.6, -1, 0
    for number, candidate in enumerate(lines[:_SEARCHED]):
        if not 0.5 < (len(candidate.strip()) or 0.1) / len(line) < 2:
            continue
        matcher.set_seq1(candidate.strip()[:500])
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:
            compared += 1
            if (ratio := matcher.ratio()) > best:
                best, at = ratio, number
            if compared >= _COMPARED:
                break
    if at < 0:
        return None
    return max(0, at - 1), min(len(lines), at + max(count, 1) + 1)
