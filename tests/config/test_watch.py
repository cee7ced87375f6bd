"""Changed files are noticed: written, replaced, removed, new."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from hector.config.watch import changes

QUICK = {"interval": 0.01, "settle": 0.02, "grace": 0.2}


async def first(stream: AsyncIterator[frozenset[Path]]) -> frozenset[Path]:
    async with asyncio.timeout(60):
        return await anext(stream)


async def started(stream: AsyncIterator[frozenset[Path]]) -> "asyncio.Task[frozenset[Path]]":
    """The next change as a task that has had its first look."""
    task = asyncio.get_running_loop().create_task(first(stream))
    await asyncio.sleep(0)
    return task


@pytest.mark.proves("config.hot-reload")
async def test_kinds_of_changes(tmp_path: Path) -> None:
    config, dotenv, other = tmp_path / "c.yaml", tmp_path / ".env", tmp_path / "new.yaml"
    config.write_text("a", encoding="utf-8")
    async with aclosing(changes(lambda: [config, dotenv], **QUICK)) as stream:
        task = await started(stream)
        config.write_text("longer", encoding="utf-8")
        assert await task == {config}

        task = await started(stream)
        dotenv.write_text("A=1", encoding="utf-8")
        assert await task == {dotenv}, "a file that was not there"

        task = await started(stream)
        other.write_text("longer", encoding="utf-8")
        os.replace(other, config)
        assert await task == {config}, "an editor that replaces the file"

        task = await started(stream)
        dotenv.unlink()
        assert await task == {dotenv}, "gone for good"


async def test_a_file_that_comes_back_the_same_is_no_change(tmp_path: Path) -> None:
    config, aside, marker = tmp_path / "c.yaml", tmp_path / "aside", tmp_path / "marker"
    config.write_text("a", encoding="utf-8")
    async with aclosing(changes(lambda: [config, marker], **QUICK)) as stream:
        task = await started(stream)
        os.rename(config, aside)
        await asyncio.sleep(0.08)
        os.rename(aside, config)
        marker.write_text("x", encoding="utf-8")
        assert await task == {marker}


async def test_a_burst_is_one_change(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("", encoding="utf-8")
    async with aclosing(changes(lambda: [config], interval=0.01, settle=0.1)) as stream:
        task = await started(stream)
        for size in range(1, 6):
            config.write_text("x" * size, encoding="utf-8")
            await asyncio.sleep(0.02)
        assert await task == {config}
        task = await started(stream)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await task


async def test_files_may_join_the_watch(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("", encoding="utf-8")
    two.write_text("", encoding="utf-8")
    files = [one]
    async with aclosing(changes(lambda: files, **QUICK)) as stream:
        task = await started(stream)
        files.append(two)
        await asyncio.sleep(0.1)
        two.write_text("x", encoding="utf-8")
        assert await task == {two}
