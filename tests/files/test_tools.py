"""What the file tools do when all is well, and what they say when it is not."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hector.config.functiontool import FunctionTool
from hector.core.ports import ApprovalRule
from hector.tools.files.making import file_tools
from hector.tools.policy import decide
from tests.files.conftest import Desk

Make = Callable[..., Desk]
PATCH = """--- a/one.py
+++ b/one.py
@@ -1,3 +1,4 @@
 a
-b
+B
+B2
 c
--- /dev/null
+++ b/new/two.txt
@@ -0,0 +1,2 @@
+first
+second
--- a/old.txt
+++ /dev/null
@@ -1,1 +0,0 @@
-gone
"""


@pytest.mark.proves("tools.filetool")
def test_view_shows_ranges_with_numbers(desk: Make) -> None:
    one = desk()
    one.put("a/b.txt", "".join(f"line {number}\n" for number in range(1, 101)))
    whole = one("read_file", path="a/b.txt")
    assert whole.startswith("a/b.txt: lines 1 to 100 of 100, 792 bytes, utf-8\n     1\tline 1\n")
    part = one("text_editor", command="view", path="a/b.txt", view_range=[10, 12])
    assert part.splitlines()[1:] == ["    10\tline 10", "    11\tline 11", "    12\tline 12"]
    assert one("text_editor", command="view", path="a/b.txt", view_range=[99, -1]).endswith("   100\tline 100")
    plain = one("read_file", path="a/b.txt", start_line=3, end_line=3, line_numbers=False)
    assert plain.splitlines()[1:] == ["line 3"]
    assert "has 100 lines; line 200 is behind its end" in one("read_file", path="a/b.txt", start_line=200)
    assert one("text_editor", command="view", path=".") == "a/\na/b.txt  792 bytes"
    assert one("read_file", path=str(one.root.resolve() / "a/b.txt"), end_line=1).endswith("line 1")


@pytest.mark.proves("tools.filetool")
def test_create_replace_insert_and_undo(desk: Make) -> None:
    one = desk()
    assert one("text_editor", command="create", path="x/y.txt", file_text="a\nb\nc\n") == "created x/y.txt (6 bytes)"
    said = one("text_editor", command="str_replace", path="x/y.txt", old_str="b\n", new_str="B\n")
    assert said.splitlines()[0] == "changed x/y.txt (6 bytes)"
    assert {"-b", "+B"} <= set(said.splitlines())
    one("text_editor", command="insert", path="x/y.txt", insert_line=0, new_str="top")
    one("text_editor", command="insert", path="x/y.txt", insert_line=4, new_str="end")
    assert one.get("x/y.txt") == "top\na\nB\nc\nend\n"
    for expected in ("top\na\nB\nc\n", "a\nB\nc\n", "a\nb\nc\n"):
        assert "took back" in one("text_editor", command="undo_edit", path="x/y.txt")
        assert one.get("x/y.txt") == expected
    one("text_editor", command="undo_edit", path="x/y.txt")
    assert not (one.root / "x/y.txt").exists(), "its creation was taken back"
    assert "there is no change of x/y.txt" in one("text_editor", command="undo_edit", path="x/y.txt")


@pytest.mark.proves("tools.filetool")
def test_undo_outlives_a_restart_and_never_overwrites_the_work_of_others(desk: Make, tmp_path: Path) -> None:
    one = desk()
    one.put("f.txt", "one")
    one("search_replace", path="f.txt", old_string="one", new_string="two")
    kept = [(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "undo").rglob("*")]
    assert set(kept) == {(True, 0o700), (False, 0o600)}, "what files were is the owner's alone"
    again = desk()
    other = desk()
    other.session = "another"
    assert "there is no change" in other("text_editor", command="undo_edit", path="f.txt")
    one.put("f.txt", "somebody else's")
    assert "was changed by somebody else" in again("text_editor", command="undo_edit", path="f.txt")
    one.put("f.txt", "two")
    again("text_editor", command="undo_edit", path="f.txt")
    assert one.get("f.txt") == "one"


@pytest.mark.proves("tools.filetool")
def test_a_call_that_is_made_again_changes_nothing_twice(desk: Make) -> None:
    one = desk()
    one.put("f.txt", "a a")
    twice = [one("search_replace", effect="e", path="f.txt", old_string="a a", new_string="a a a a") for _ in range(2)]
    assert "had made the change already" in twice[1]
    for _ in range(2):
        one("text_editor", effect="i", command="insert", path="f.txt", insert_line=0, new_str="x")
    assert one.get("f.txt") == "x\na a a a"
    for _ in range(2):
        one("text_editor", effect="u", command="undo_edit", path="f.txt")
    assert one.get("f.txt") == "a a a a", "one change was taken back, not two"


@pytest.mark.proves("tools.filetool")
def test_without_a_folder_for_it_nothing_is_undone_and_that_is_said(desk: Make, tmp_path: Path) -> None:
    one = desk(undo=None)
    one.put("f.txt", "a")
    one("write_file", path="f.txt", content="b")
    assert "changes are not kept here" in one("text_editor", command="undo_edit", path="f.txt")
    (tmp_path / "blocked").write_text("a file is in the way")
    two = desk(undo=tmp_path / "blocked" / "undo")
    assert "this cannot be undone" in two("write_file", path="f.txt", content="c")
    assert two.get("f.txt") == "c"


@pytest.mark.proves("tools.filetool")
def test_a_patch_applies_as_a_whole_or_not_at_all(desk: Make) -> None:
    one = desk()
    one.put("one.py", "a\nb\nc\n")
    one.put("old.txt", "gone\n")
    before = one.get("one.py")
    assert "does not fit" in one("apply_patch", patch=PATCH.replace("-gone", "-kept"))
    assert (one.get("one.py"), (one.root / "new").exists()) == (before, False)
    said = one("apply_patch", patch=PATCH)
    assert said.splitlines() == ["changed one.py (9 bytes)", "created new/two.txt (13 bytes)", "deleted old.txt"]
    assert (one.get("one.py"), one.get("new/two.txt")) == ("a\nB\nB2\nc\n", "first\nsecond\n")
    assert not (one.root / "old.txt").exists()


@pytest.mark.proves("tools.filetool")
@pytest.mark.parametrize(
    ("text", "hunk", "expected"),
    [
        ("a\nb\nc\n", "@@ -90,2 +90,2 @@\n a\n-b\n+B\n", "a\nB\nc\n"),
        ("a\nb\nc\n", "@@\n b\n-c\n+C\n", "a\nb\nC\n"),
        ("x\ny\nx\ny\n", "@@ -3,2 +3,2 @@\n x\n-y\n+Y\n", "x\ny\nx\nY\n"),
        ("x\ny\nx\ny\n", "@@\n x\n-y\n+Y\n", "error: hunk 1 of f fits in 2 places"),
        ("a\n\nb\n", "@@ -1,3 +1,3 @@\n a\n\n-b\n+B\n", "a\n\nB\n"),
        ("a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+B\n\\ No newline at end of file\n", "a\nB"),
        ("a\n", "@@ -1,0 +2,1 @@\n+b\n", "a\nb\n"),
        ("a\nb\nc\nd\n", "@@ -1,1 +1,2 @@\n+0\n a\n@@ -4,1 +5,0 @@\n-d\n", "0\na\nb\nc\n"),
        ("a\r\nb\r\n", "@@ -1,2 +1,2 @@\n a\n-b\n+B\n", "a\r\nB\r\n"),
        ("a\n", "@@ -1 +1 @@\n-z\n+b\n", "error: hunk 1 of f does not fit"),
        ("a\n", "no hunk\n", "error: this is no unified diff"),
        ("a\n", "@@ -1 +1 @@\nwrong\n", "error: the patch of f has a line that begins with neither"),
    ],
)  # fmt: skip
def test_patches(desk: Make, text: str, hunk: str, expected: str) -> None:
    one = desk()
    one.put("f", text)
    said = one("apply_patch", patch=f"--- a/f\n+++ b/f\n{hunk}")
    assert said.startswith(expected) if expected.startswith("error") else one.get("f") == expected


@pytest.mark.proves("tools.filetool")
@pytest.mark.parametrize(
    ("old", "said"),
    [
        ("x", "the text stands 3 times in the file, at the lines 1, 2, 3"),
        ("    return 1", "with other white space at line 5:\n  return 1"),
        ("def functoin(a):", "most like it are these lines:"),
        ("nothing of the kind at all", "nor anything like it"),
        ("", "the text to replace is empty"),
    ],
)  # fmt: skip
def test_what_does_not_fit_once_changes_nothing_and_says_what_is_near(desk: Make, old: str, said: str) -> None:
    one = desk()
    text = "x1\nx2\nx3\ndef function(a):\n  return 1\n"
    one.put("f.py", text)
    assert said in one("search_replace", path="f.py", old_string=old, new_string="y")
    assert one.get("f.py") == text
    one("search_replace", path="f.py", old_string="x", new_string="y", replace_all=True)
    assert one.get("f.py").startswith("y1\ny2\ny3\n")


@pytest.mark.proves("tools.filetool")
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\r\nold\r\n", b"a\r\nnew\nline\r\n".replace(b"new\nline", b"new\r\nline")),
        (b"a\r\nold\nb\n", b"a\r\nnew\nline\nb\n"),
        (b"\xef\xbb\xbfold", b"\xef\xbb\xbfnew\nline"),
        ("\ufeffold".encode("utf-16-le"), "\ufeffnew\nline".encode("utf-16-le")),
        (b"caf\xe9 old", b"caf\xe9 new\nline"),
        (b"old", b"new\nline"),
    ],
)  # fmt: skip
def test_encoding_and_line_ends_stay(desk: Make, data: bytes, expected: bytes) -> None:
    one = desk()
    file = one.put("f", data)
    one("search_replace", path="f", old_string="old", new_string="new\nline")
    assert file.read_bytes() == expected


@pytest.mark.proves("tools.filetool")
def test_modes_stay_and_new_files_follow_the_umask(desk: Make) -> None:
    one = desk()
    file = one.put("run.sh", "echo old")
    file.chmod(0o755)
    one("search_replace", path="run.sh", old_string="old", new_string="new")
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    one("write_file", path="new.txt", content="x")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((one.root / "new.txt").stat().st_mode) == 0o666 & ~mask
    one("write_file", path="run.sh", content="x", backup=True)
    assert one.get("run.sh.bak") == "echo new"
    assert sorted(os.listdir(one.root)) == ["new.txt", "run.sh", "run.sh.bak"], "nothing is left behind"


@pytest.mark.proves("tools.filetool")
def test_grep_shows_lines_before_and_after(desk: Make) -> None:
    one = desk()
    one.put("a.py", "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nThree\n")
    one.put("b/c.txt", "three\n")
    one.put("b/d.bin", b"three\0")
    one.put(".git/config", "three\n")
    one.put("b/.env", "three\n")
    found = one("grep_search", pattern="^thr..$", context_lines=1)
    assert found.splitlines() == ["a.py-2-two", "a.py:3:three", "a.py-4-four", "--", "b/c.txt:1:three"]
    assert one("grep_search", pattern="THREE", case_insensitive=True, path="a.py", context_lines=0).splitlines() == [
        "a.py:3:three", "--", "a.py:9:Three",
    ]  # fmt: skip
    assert one("grep_search", pattern="three", file_pattern="*.{txt,md}", context_lines=0) == "b/c.txt:1:three"
    assert one("grep_search", pattern="three", recursive=False, context_lines=0) == "a.py:3:three"
    assert "these are the first 1 lines" in one("grep_search", pattern="e", max_results=1)
    assert one("grep_search", pattern="nowhere") == "nothing fits 'nowhere' in ."
    assert "cannot be used: looking around" in one("grep_search", pattern="(?=a)")


@pytest.mark.proves("tools.filetool")
def test_lists_and_globs(desk: Make) -> None:
    one = desk()
    for path in ("a.py", "src/b.py", "src/deep/c.py", "src/deep/d.md", ".env", "id_rsa", "src/.ssh/key"):
        one.put(path, "x")
    (one.root / "link").symlink_to(one.outside)
    assert one("list_files").splitlines() == ["a.py  1 bytes", "link (a symbolic link, not followed)", "src/"]
    deep = one("list_files", pattern="src/**/*.py").splitlines()
    assert deep == ["src/b.py  1 bytes", "src/deep/c.py  1 bytes"]
    assert one("list_files", path="src", recursive=True, pattern="*.{md,py}").count("bytes") == 3
    assert "there are more" in one("list_files", recursive=True, max_results=2)
    assert "is a file, not a folder" in one("list_files", path="a.py")
    assert "is missing" in one("list_files", path="gone")


@pytest.mark.proves("tools.filetool")
def test_reading_only(desk: Make) -> None:
    one = desk(read_only=True)
    one.put("f", "a")
    assert sorted(one.offer.tools) == ["grep_search", "list_files", "read_file", "text_editor"]
    assert "can be read and not changed" in one("text_editor", command="create", path="g", file_text="x")
    assert "can be read and not changed" in one("text_editor", command="undo_edit", path="f")
    assert not one.offer.policies["text_editor"].approval


@pytest.mark.proves("tools.filetool")
def test_sizes_and_kinds_of_content(desk: Make) -> None:
    one = desk(most_read=1000, most_written=100)
    one.put("large", "x" * 1001)
    one.put("binary", b"\0\1\2")
    one.put("full", "x" * 950)
    assert "files of more than 1000 are not read" in one("read_file", path="large")
    assert "is no text" in one("read_file", path="binary")
    assert "100 may be written at once" in one("write_file", path="new", content="x" * 101)
    assert "would have" in one("text_editor", command="insert", path="full", insert_line=0, new_str="y" * 99)
    latin = one.put("latin", b"caf\xe9")
    assert "has no sign" in one("search_replace", path="latin", old_string="caf", new_string="\u4e2d")
    assert latin.read_bytes() == b"caf\xe9"


@pytest.mark.proves("tools.filetool")
def test_what_the_tools_say_of_themselves(desk: Make) -> None:
    policies = desk().offer.policies
    asks = {name for name, policy in policies.items() if policy.approval}
    assert asks == {"apply_patch", "search_replace", "text_editor", "write_file"}
    assert {policy.on_unknown for policy in policies.values()} == {"retry"}, "a call names what it has done"


def test_fixed_arguments_go_to_the_tools_that_take_them(desk: Make) -> None:
    one = desk(fixed={"context_lines": 0, "line_numbers": False})
    one.put("f", "a\nb\n")
    parameters: Any = one.offer.tools["grep_search"].spec.parameters
    assert "context_lines" not in parameters["properties"]
    assert one("grep_search", pattern="b") == "f:2:b"
    assert one("read_file", path="f").endswith("\na\nb")


@pytest.mark.proves("approval.rules")
@pytest.mark.parametrize(
    ("tool", "args", "expected"),
    [
        ("text_editor", {"path": "notes/a.md"}, "allow"),
        ("text_editor", {"path": "notes/../a.md"}, "ask"),
        ("text_editor", {"path": "{root}/secret/a.md"}, "deny"),
        ("text_editor", {"path": "./secret//a.md"}, "deny"),
        ("text_editor", {"path": "{root}/./secret/a.md"}, "deny"),
        ("apply_patch", {"patch": "--- a/notes/a\n+++ b/notes/a\n@@\n-a\n+b\n"}, "allow"),
        ("apply_patch", {"patch": "--- a/secret/a\n+++ b/secret/a\n@@\n-a\n+b\n"}, "deny"),
        (
            "apply_patch",
            {"patch": "--- a/notes/a\n+++ b/notes/a\n@@\n-a\n+b\n--- a/b\n+++ b/b\n@@\n-a\n+b\n"},
            "ask",
        ),
        ("apply_patch", {"patch": "--- a/x\n+++ b/x\n@@\n-a\n+b\n--- a/secret/b\n+++ /dev/null\n@@\n-a\n"}, "deny"),
        ("apply_patch", {"patch": "none"}, "ask"),
    ],
)  # fmt: skip
def test_rules_see_every_file_that_a_call_is_about(desk: Make, tool: str, args: dict[str, str], expected: str) -> None:
    one = desk()
    rules = (ApprovalRule("deny", args=(("path", "secret/*"),)), ApprovalRule("allow", args=(("path", "notes/*"),)))
    policy = replace(one.offer.policies[tool], rules=rules)
    written = {name: value.replace("{root}", str(one.root.resolve())) for name, value in args.items()}
    assert decide(policy, tool, written)[0] == expected


@pytest.mark.proves("tools.filetool", "security.files")
def test_each_bound_of_the_configuration_holds(tmp_path: Path) -> None:
    """`files.roots`, `files.max_read`, `files.max_write` and `files.hard_links`, as they stand in a file."""
    for name in ("work", "books"):
        (tmp_path / name).mkdir()
    (tmp_path / "books/a.txt").write_text("a book")
    (tmp_path / "work/long.txt").write_text("x" * 2049)
    (tmp_path / "books/b.txt").write_text("a second book")
    (tmp_path / "work/twin.txt").hardlink_to(tmp_path / "books/b.txt")

    def ask(tool: str, files: dict[str, Any], **args: Any) -> str:
        section = FunctionTool.model_validate(
            {"handler": tool, "working_directory": str(tmp_path / "work"), "files": {"undo": "", **files}}
        )
        return Desk(tmp_path / "work", tmp_path, file_tools(tool, section))(tool, **args)

    assert "a book" in ask("read_file", {"roots": [str(tmp_path / "books")]}, path=f"{tmp_path}/books/a.txt")
    assert "outside of the folders" in ask("read_file", {}, path=f"{tmp_path}/books/a.txt")
    assert "files of more than 2048 are not read" in ask("read_file", {"max_read": "2 KiB"}, path="long.txt")
    assert "xxx" in ask("read_file", {}, path="long.txt")
    assert "1024 may be written" in ask("write_file", {"max_write": "1 KiB"}, path="new", content="x" * 1025)
    assert ask("write_file", {"max_write": "1 KiB"}, path="new", content="x" * 1024).startswith("created")
    assert "a second book" in ask("read_file", {"hard_links": True}, path="twin.txt")
    assert ask("read_file", {}, path="twin.txt").startswith("error: ")
