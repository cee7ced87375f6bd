"""Changes of files, as they happen."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from hector.core.retrieval import Change
from hector.rag.sources import inotify, watching
from hector.rag.sources.choice import Choice
from hector.rag.sources.inotify import Notice
from hector.rag.sources.tree import Tree
from hector.rag.sources.watching import ALL, Meaning, changes, meaning, polled

LONGEST = 20.0
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of changes in this way")


class Watched:
    """What has been told so far."""

    def __init__(self, told: AsyncGenerator[Change]) -> None:
        self._told = told

    async def following(self) -> Change:
        async with asyncio.timeout(LONGEST):
            return await anext(self._told)

    async def until(self, *ids: str) -> set[str]:
        """Everything named, until all of these have been."""
        seen: set[str] = set()
        while not seen.issuperset(ids):
            seen.update((await self.following()).ids)
        return seen

    async def until_all(self) -> None:
        """Until something asks for a look at everything."""
        while await self.following() != ALL:
            pass


def tree(folder: Path) -> Tree:
    return Tree(str(folder), Choice((), ("node_modules",), 10**6))


@asynccontextmanager
async def watched(folder: Path, *, regular: float = 600.0) -> AsyncIterator[Watched]:
    async with aclosing(changes(tree(folder), regular=regular, check=0.1)) as told:
        found = Watched(told)
        assert await found.following() == ALL
        yield found


@linux
@pytest.mark.proves("rag.watch")
async def test_changes_are_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    (tmp_path / "sub").mkdir()
    async with watched(tmp_path) as told:
        (tmp_path / "a.md").write_text("b")
        assert await told.until("a.md") == {"a.md"}
        (tmp_path / "sub/b.md").write_text("b")
        assert await told.until("sub/b.md") == {"sub/b.md"}
        (tmp_path / "sub/b.md").rename(tmp_path / "c.md")
        assert await told.until("sub/b.md", "c.md") == {"sub/b.md", "c.md"}
        (tmp_path / "c.md").unlink()
        assert await told.until("c.md") == {"c.md"}
        (tmp_path / ".a.md.swp").write_text("x")
        (tmp_path / "x.png").write_text("x")
        (tmp_path / "d.md").write_text("x")
        assert await told.until("d.md") == {"d.md"}


@linux
async def test_what_stands_in_new_folders_is_found(tmp_path: Path) -> None:
    """However fast it is made: what is there before the folder is watched is found by looking."""
    ready = tmp_path / "ready"
    (ready / "x/y").mkdir(parents=True)
    (ready / "x/y/z.md").write_text("z")
    (tmp_path / "in").mkdir()
    async with watched(tmp_path / "in") as told:
        ready.rename(tmp_path / "in/moved")
        await told.until("moved/x/y/z.md")
        for number in range(20):
            folder = tmp_path / f"in/n{number}/deep/er"
            folder.mkdir(parents=True)
            (folder / "a.md").write_text("a")
        await told.until(*(f"n{number}/deep/er/a.md" for number in range(20)))
        (tmp_path / "in/n3/deep/er/b.md").write_text("b")
        assert await told.until("n3/deep/er/b.md") == {"n3/deep/er/b.md"}


@linux
async def test_folders_that_go_ask_for_a_look_at_everything(tmp_path: Path) -> None:
    (tmp_path / "in/sub/deep").mkdir(parents=True)
    (tmp_path / "in/sub/deep/a.md").write_text("a")
    async with watched(tmp_path / "in") as told:
        (tmp_path / "in/sub").rename(tmp_path / "in/other")
        await told.until_all()
        (tmp_path / "in/other/deep/a.md").write_text("b")
        assert await told.until("other/deep/a.md") == {"other/deep/a.md"}
        shutil.rmtree(tmp_path / "in/other")
        await told.until("other/deep/a.md")


@linux
async def test_mass_changes_ask_for_a_look_at_everything(tmp_path: Path) -> None:
    async with watched(tmp_path) as told:
        for number in range(watching.MOST + 50):
            (tmp_path / f"{number}.md").write_text("x")
        await told.until_all()
        (tmp_path / "last.md").write_text("x")
        await told.until("last.md")


@linux
async def test_new_rules_ask_for_a_look_at_everything(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    async with watched(tmp_path) as told:
        (tmp_path / ".gitignore").write_text("*.md")
        await told.until_all()


@linux
async def test_a_root_that_is_replaced_is_watched_again(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    async with watched(root) as told:
        root.rename(tmp_path / "old")
        await told.until_all()
        root.mkdir()
        (root / "a.md").write_text("a")
        await told.until_all()
        (root / "b.md").write_text("b")
        await told.until("b.md")


@linux
async def test_what_nobody_tells_of_is_looked_for_now_and_then(tmp_path: Path) -> None:
    async with watched(tmp_path, regular=0.1) as told:
        assert await told.following() == ALL


@linux
async def test_watching_holds_nothing_when_it_ends(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    async with watched(tmp_path):
        assert len(os.listdir("/proc/self/fd")) > before
    assert len(os.listdir("/proc/self/fd")) == before


async def test_looking_finds_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    (tmp_path / "b.md").write_text("b")
    async with aclosing(polled(tree(tmp_path), 0.05)) as looked:
        told = Watched(looked)
        assert await told.following() == ALL
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(told.until("a.md", "b.md", "new/c.md"))
            while not waiting.done():
                _disturb(tmp_path)
                await asyncio.sleep(0.1)


def _disturb(folder: Path) -> None:
    """A file that changes, one that comes and goes, one in a folder that is new."""
    with (folder / "a.md").open("a") as out:
        out.write("more")
    if (folder / "new").exists():
        shutil.rmtree(folder / "new")
        (folder / "b.md").write_text("b")
    else:
        (folder / "new").mkdir()
        (folder / "new/c.md").write_text("c")
        (folder / "b.md").unlink()


@pytest.mark.parametrize(
    ("notice", "meant"),
    [
        (Notice("d", "a.md", inotify.CLOSE_WRITE), Meaning(file="d/a.md")),
        (Notice("", "a.md", inotify.MOVED_FROM), Meaning(file="a.md")),
        (Notice("", "d", inotify.CREATE | inotify.IS_FOLDER), Meaning(folder="d")),
        (Notice("d", "e", inotify.MOVED_TO | inotify.IS_FOLDER), Meaning(folder="d/e")),
        (Notice("d", "e", inotify.MOVED_FROM | inotify.IS_FOLDER), Meaning(all=True)),
        (Notice("d", "e", inotify.DELETE | inotify.IS_FOLDER), Meaning()),
        (Notice(None, "", inotify.OVERFLOW), Meaning(all=True)),
        (Notice("d", ".gitignore", inotify.CLOSE_WRITE), Meaning(all=True)),
    ],
)
def test_what_notices_mean(notice: Notice, meant: Meaning) -> None:
    assert meaning(notice) == meant
