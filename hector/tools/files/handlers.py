"""The file tools as models are offered them. They run in threads, and what they say is for models."""

import difflib
from collections.abc import Callable
from typing import Annotated, Final, Literal

from pydantic import Field

from hector.core.errors import ToolError
from hector.core.ports import ToolContext
from hector.tools.files import edit
from hector.tools.files import patch as diffs
from hector.tools.files.linear import Pattern
from hector.tools.files.searching import Search, Walk, fits, shown, turn
from hector.tools.files.text import numbered
from hector.tools.files.workspace import Change, Place, Workspace
from hector.tools.function import requires_approval

Path = Annotated[str, Field(description="path from the folder that you work in, with / between folders", min_length=1)]
MOST_LINES: Final = 2_000
"""Lines that one look shows unless more are asked for."""
LONGEST_LINE: Final = 2_000
"""Characters of a line that are shown."""
MOST_DIFF: Final = 200
"""Lines of a difference that are shown."""
_EDIT: Final = "The agent wants to change a file."


class FileTools:
    """One method a tool."""

    def __init__(self, workspace: Workspace) -> None:
        self._files = workspace

    def read_file(
        self,
        path: Path,
        start_line: Annotated[int, Field(description="first line to show, from 1", ge=1)] = 1,
        end_line: Annotated[int | None, Field(description="last line to show; left out: as many as fit", ge=1)] = None,
        line_numbers: Annotated[bool, Field(description="put the number before each line")] = True,
    ) -> str:
        """Show a text file, or a part of it."""
        return self._view(path, start_line, end_line, line_numbers=line_numbers)

    def _view(self, path: str, first: int, last: int | None, *, line_numbers: bool = True) -> str:
        opened = self._files.open(path)
        lines = opened.text.split("\n")
        if lines[-1] == "":
            lines.pop()
        total = len(lines)
        if first > max(total, 1):
            raise ToolError(f"{opened.place.shown} has {total} lines; line {first} is behind its end")
        end = min(total, last if last is not None else first + MOST_LINES - 1)
        if last is not None and last < first:
            raise ToolError(f"the last line to show ({last}) stands before the first ({first})")
        part = [_short(line) for line in lines[first - 1 : end]]
        body = numbered(part, first) if line_numbers else "\n".join(part)
        size = len(opened.content.data)
        head = f"{opened.place.shown}: lines {first} to {end} of {total}, {size} bytes, {opened.decoded.encoding}"
        return f"{head}\n{body}" if part else f"{opened.place.shown}: empty, {size} bytes"

    @requires_approval(_EDIT)
    def write_file(
        self,
        context: ToolContext,
        path: Path,
        content: Annotated[str, Field(description="the whole text of the file")],
        backup: Annotated[bool, Field(description="keep the former text beside it, as <name>.bak")] = False,
    ) -> str:
        """Write a whole text file: a new one, or in place of what is there. Folders that are missing are made."""
        self._check_written(content)
        if backup:
            self._back_up(context, path)
        return _said(self._files.change(context, path, lambda _: content))

    @requires_approval(_EDIT)
    def search_replace(
        self,
        context: ToolContext,
        path: Path,
        old_string: Annotated[str, Field(description="the text to replace, exactly as it stands in the file")],
        new_string: Annotated[str, Field(description="what stands there instead")],
        replace_all: Annotated[bool, Field(description="replace it wherever it stands")] = False,
        show_diff: Annotated[bool, Field(description="show what has changed")] = True,
        create_backup: Annotated[bool, Field(description="keep the former text beside it, as <name>.bak")] = False,
    ) -> str:
        """Replace a text in a file. It has to fit exactly, and once unless replace_all is given."""
        if create_backup:
            self._back_up(context, path)
        change = self._replace(context, path, old_string, new_string, everywhere=replace_all)
        return _said(change, diff=show_diff)

    def _replace(self, context: ToolContext, path: str, old: str, new: str, *, everywhere: bool) -> Change:
        self._check_written(new)
        rewrite = _existing(path, lambda text: edit.replace(text, old, new, everywhere=everywhere)[0])
        return self._files.change(context, path, rewrite)

    @requires_approval(_EDIT)
    def text_editor(
        self,
        context: ToolContext,
        command: Annotated[
            Literal["view", "create", "str_replace", "insert", "undo_edit"],
            Field(description="view shows a file or folder; create writes a whole file; undo_edit takes the last back"),
        ],
        path: Path,
        file_text: Annotated[str | None, Field(description="create: the whole text of the file")] = None,
        old_str: Annotated[str | None, Field(description="str_replace: the text to replace, exactly, once")] = None,
        new_str: Annotated[str | None, Field(description="str_replace and insert: the new text")] = None,
        insert_line: Annotated[int | None, Field(description="insert: the line after which, 0 for the top")] = None,
        view_range: Annotated[list[int] | None, Field(description="view: [first, last] line; last -1: the end")] = None,
    ) -> str:
        """Look at and change text files: view, create, str_replace, insert, undo_edit."""
        match command:
            case "view":
                return self._look(path, view_range)
            case "create":
                text = _given(file_text, "file_text", command)
                self._check_written(text)
                return _said(self._files.change(context, path, lambda _: text))
            case "str_replace":
                old = _given(old_str, "old_str", command)
                return _said(self._replace(context, path, old, new_str or "", everywhere=False), diff=True)
            case "insert":
                return self._insert(context, path, insert_line, _given(new_str, "new_str", command))
            case _:
                return _said(self._files.undo(context, path), diff=True, verb="took back the last change of")

    def _insert(self, context: ToolContext, path: str, line: int | None, text: str) -> str:
        if line is None:
            raise ToolError("insert needs insert_line: the line after which the text goes in, 0 for the top")
        self._check_written(text)
        change = self._files.change(context, path, _existing(path, lambda old: edit.insert(old, line, text)))
        return _said(change, diff=True)

    def _look(self, path: str, view_range: list[int] | None) -> str:
        place = self._files.locate(path)
        if self._files.kind(place) == "folder":
            if view_range:
                raise ToolError("view_range is for files; this is a folder")
            return self._listing(place, None, depth=1, most=500)
        if view_range is None:
            return self._view(path, 1, None)
        if len(view_range) != 2:
            raise ToolError("view_range is two numbers: the first and the last line")
        first, last = view_range
        return self._view(path, max(first, 1), None if last == -1 else last)

    @requires_approval("The agent wants to change files by a patch.")
    def apply_patch(
        self,
        context: ToolContext,
        patch: Annotated[
            str, Field(description="a unified diff (--- a/file, +++ b/file, @@ ... @@) of one file or several")
        ],
    ) -> str:
        """Apply a unified diff to one file or several, all of it or nothing. /dev/null creates or deletes a file."""
        self._check_written(patch)
        found = diffs.parse(patch)
        changes = self._files.change_all(context, [(one.path, _patched(one)) for one in found])
        return "\n".join(_said(change) for change in changes)

    def grep_search(
        self,
        pattern: Annotated[
            str, Field(description="regular expression, without references back", min_length=1, max_length=2000)
        ],
        path: Annotated[str, Field(description="the file or folder to search")] = ".",
        file_pattern: Annotated[str, Field(description="only files that fit, such as *.py or src/**/*.{ts,tsx}")] = "",
        case_insensitive: Annotated[bool, Field(description="take large and small letters for the same")] = False,
        context_lines: Annotated[int, Field(description="lines to show before and after each", ge=0, le=10)] = 2,
        max_results: Annotated[int, Field(description="lines that fit, at most", ge=1, le=1000)] = 100,
        recursive: Annotated[bool, Field(description="look into the folders below")] = True,
    ) -> str:
        """Find the lines of text files that fit a regular expression, with the lines around them."""
        with turn():
            walk = Walk.of(self._files)
            search = Search(walk, Pattern(pattern, ignore_case=case_insensitive), max_results, context_lines, [])
            place = self._files.locate(path)
            if self._files.kind(place) != "folder":
                self._files.read(place)  # says why, where it cannot be read
                search.look_into(place)
            else:
                self._search(search, place, fits(file_pattern) if file_pattern else None, recursive=recursive)
        if not search.hits:
            return f"nothing fits {pattern!r} in {place.shown}{_note(walk)}"
        return shown(search.hits) + _note(walk)

    def _search(self, search: Search, place: Place, fitting: Callable[[str], bool] | None, *, recursive: bool) -> None:
        for inner, one in search.walk.below(place, recursive=recursive):
            if one.kind == "file" and (fitting is None or fitting("/".join(inner.names))):
                search.look_into(inner)
                if search.walk.stopped:
                    return

    def list_files(
        self,
        path: Annotated[str, Field(description="the folder to list")] = ".",
        pattern: Annotated[str, Field(description="only files that fit, such as *.py or src/**/*.md")] = "",
        recursive: Annotated[bool, Field(description="list the folders below, too")] = False,
        max_results: Annotated[int, Field(description="entries, at most", ge=1, le=5000)] = 500,
    ) -> str:
        """List the files and folders in a folder, with their sizes."""
        place = self._files.locate(path)
        if (kind := self._files.kind(place)) != "folder":
            raise ToolError(f"{place.shown} is {'missing' if kind == 'missing' else f'a {kind}, not a folder'}")
        deep = recursive or "/" in pattern or "**" in pattern
        return self._listing(place, fits(pattern) if pattern else None, depth=64 if deep else 0, most=max_results)

    def _listing(self, place: Place, fitting: Callable[[str], bool] | None, *, depth: int, most: int) -> str:
        walk, rows = Walk.of(self._files), list[str]()
        for inner, one in walk.below(place, recursive=depth > 0, depth=depth):
            if fitting is not None and (one.kind == "folder" or not fitting("/".join(inner.names))):
                continue
            if len(rows) >= most:
                walk.stopped = f"these are the first {most} entries; there are more"
                break
            mark = {"folder": "/", "link": " (a symbolic link, not followed)", "other": " (no plain file)"}
            size = f"  {one.size} bytes" if one.kind == "file" else ""
            rows.append(f"{inner.shown}{mark.get(one.kind, '')}{size}")
        return ("\n".join(rows) or f"{place.shown} holds nothing{' that fits' if fitting else ''}") + _note(walk)

    def _back_up(self, context: ToolContext, path: str) -> None:
        place = self._files.locate(path, change=True)
        if self._files.kind(place) == "missing":
            return
        text = self._files.open(path).text
        self._files.change(context, f"{path}.bak", lambda _: text)

    def _check_written(self, text: str) -> None:
        size, most = len(text.encode("utf-8", "replace")), self._files.settings.most_written
        if size > most:
            raise ToolError(f"the text has {size} bytes; {most} may be written at once")


def _given(value: str | None, name: str, command: str) -> str:
    if value is None:
        raise ToolError(f"{command} needs {name}")
    return value


def _existing(path: str, change: Callable[[str], str]) -> Callable[[str | None], str]:
    def rewrite(text: str | None) -> str:
        if text is None:
            raise ToolError(f"there is no {path}; create it first")
        return change(text)

    return rewrite


def _patched(one: diffs.FilePatch) -> Callable[[str | None], str | None]:
    def rewrite(text: str | None) -> str | None:
        if one.old and text is None:
            raise ToolError(f"there is no {one.old}, which the patch would change")
        if not one.old and text is not None:
            raise ToolError(f"{one.new} exists already, and the patch would create it")
        after = diffs.apply(one, text or "")
        if not one.new and after:
            raise ToolError(f"the patch deletes {one.old}, but not all of its lines")
        return after if one.new else None

    return rewrite


def _said(change: Change, *, diff: bool = False, verb: str = "") -> str:
    done = "created" if change.before is None else "deleted" if change.after is None else "changed"
    if change.repeated or change.note == "nothing had to be changed":
        return f"{change.place.shown}: {change.note}"
    size = f" ({len(change.after.encode('utf-8', 'replace'))} bytes)" if change.after is not None else ""
    told = f"{verb or done} {change.place.shown}{size}"
    note = f"\n{change.note}" if change.note else ""
    return f"{told}{note}\n{_difference(change)}" if diff else f"{told}{note}"


def _difference(change: Change) -> str:
    old, new = (change.before or "").splitlines(), (change.after or "").splitlines()
    if len(old) + len(new) > 20_000:
        return "(the difference is too long to be shown)"
    rows = list(difflib.unified_diff(old, new, "before", "after", lineterm="", n=2))
    more = f"\n({len(rows) - MOST_DIFF} more lines)" if len(rows) > MOST_DIFF else ""
    return "\n".join(_short(row) for row in rows[:MOST_DIFF]) + more


def _short(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}... ({len(line)} characters)"


def _note(walk: Walk) -> str:
    return f"\n({walk.stopped})" if walk.stopped else ""
