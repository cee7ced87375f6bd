"""Processes that read documents: what ends with them, and what does not."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from hector.core.retrieval import Content, Item
from hector.rag.chunking import Plain, chunk
from hector.rag.errors import Unreadable
from hector.rag.extract import wire
from hector.rag.extract.limits import Limits
from hector.rag.extract.pool import Readers
from hector.rag.extract.reading import read
from tests.rag.extract.hostile import endless_text

FILES = Path(__file__).with_name("files")
ROOT = Path(__file__).parents[3]
GOOD = Content(Item("good.md", "good.md", "1"), b"# Fine\n\nStill here.")


def slow() -> Content:
    """Takes half a minute of processor time."""
    return Content(Item("slow.pdf", "slow.pdf", "1"), endless_text())


@pytest.fixture
async def readers() -> AsyncIterator[Readers]:
    made = Readers(2)
    yield made
    await made.aclose()


async def until(check: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if check():
                return
            await asyncio.sleep(0.01)


def told(process: int, file: str) -> bytes:
    """What the system says of a process."""
    return Path(f"/proc/{process}/{file}").read_bytes()


@pytest.mark.proves("rag.extract.apart")
async def test_a_process_says_the_same_as_reading_here(readers: Readers) -> None:
    for name in ("handbook.docx", "orders.xlsx", "launch.pptx", "manual.pdf"):
        content = Content(Item(name, name, "1"), (FILES / name).read_bytes())
        here = read(content)
        found, chunks = await readers.read(content, Plain("semantic"))
        assert (found.title, dict(found.metadata), found.notes, found.sections) == (
            here.title,
            here.metadata,
            here.notes,
            (),
        )
        assert chunks == chunk(here, Plain("semantic"))
    text = Content(Item("a", "a", "1"), "Text \ud800 of a table.")
    assert (await readers.read(text, Plain()))[1][0].text == "Text \ufffd of a table."
    assert len(readers.processes) == 1


@pytest.mark.proves("rag.extract.apart")
async def test_a_process_that_is_killed_costs_its_document_alone() -> None:
    readers = Readers(1)
    try:
        async with asyncio.TaskGroup() as group:
            hostile = group.create_task(reason(readers, slow()))
            await until(lambda: bool(readers.processes))
            others = [group.create_task(readers.read(GOOD, Plain())) for _ in range(3)]
            await asyncio.sleep(0.3)
            os.kill(readers.processes[0], signal.SIGKILL)
        assert hostile.result() == "it takes too much memory to be read, or its reader was killed"
        assert [one.result()[1][0].text for one in others] == ["# Fine\n\nStill here."] * 3
    finally:
        await readers.aclose()
    assert readers.processes == ()


async def reason(readers: Readers, content: Content) -> str:
    with pytest.raises(Unreadable) as caught:
        await readers.read(content, Plain())
    return str(caught.value)


@pytest.mark.proves("rag.extract.apart", "rag.extract.limits")
async def test_time_and_memory_are_bounded() -> None:
    readers = Readers(2, Limits(seconds=1))
    lean = Readers(1, Limits(memory=48 * 2**20))
    large = Content(Item("large.txt", "large.txt", "1"), "many words " * 1_500_000)
    try:
        async with asyncio.TaskGroup() as group:
            late = group.create_task(reason(readers, slow()))
            thick = group.create_task(reason(lean, large))
        assert late.result() == "it takes more than 1 s of processor time to be read"
        assert "too much memory" in thick.result()
        assert (await lean.read(GOOD, Plain()))[0].title == "Fine"
    finally:
        await readers.aclose()
        await lean.aclose()


@pytest.mark.slow
@pytest.mark.proves("rag.extract.fair")
async def test_hostile_documents_of_one_store_hold_up_no_other() -> None:
    readers = Readers(1, Limits(seconds=2))
    try:
        async with asyncio.TaskGroup() as group:
            hostile = [group.create_task(hostile_read(readers)) for _ in range(4)]
            await until(lambda: len(readers.processes) == 1)
            for owner in (("a", "other"), ("b", "other")):
                for _ in range(10):
                    assert (await readers.read(GOOD, Plain(), owner))[0].title == "Fine"
            assert len(readers.processes) <= 3
            assert not all(task.done() for task in hostile), "the others did not wait for them"
    finally:
        await readers.aclose()


async def hostile_read(readers: Readers) -> None:
    with pytest.raises(Unreadable):
        await readers.read(slow(), Plain(), ("a", "one"))


@pytest.mark.proves("rag.extract.apart")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_process_knows_no_secrets_and_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_API_KEY", "canary-secret")
    readers = Readers(1)
    try:
        await readers.read(GOOD, Plain())
        (process,) = readers.processes
        environment = told(process, "environ")
        assert b"canary" not in environment.lower()
        assert b"HOME=" not in environment
        assert os.getpriority(os.PRIO_PROCESS, process) >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
        assert b"canary" not in told(process, "cmdline")
    finally:
        await readers.aclose()


@pytest.mark.proves("rag.extract.apart")
async def test_cancelling_ends_the_process_and_nothing_else(readers: Readers) -> None:
    task = asyncio.create_task(readers.read(slow(), Plain()))
    await until(lambda: bool(readers.processes))
    await asyncio.sleep(0.2)
    (busy,) = readers.processes
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert busy not in readers.processes
    assert (await readers.read(GOOD, Plain()))[0].title == "Fine"


@pytest.mark.proves("rag.extract.apart")
async def test_processes_end_when_there_is_nothing_to_do() -> None:
    readers = Readers(1, idle=0.05)
    try:
        await readers.read(GOOD, Plain())
        await until(lambda: not readers.processes)
        assert (await readers.read(GOOD, Plain()))[0].title == "Fine"
    finally:
        await readers.aclose()


SERVER = """
import asyncio, sys
sys.path.insert(0, {root!r})
from hector.rag.chunking import Plain
from hector.rag.extract.pool import Readers
from tests.rag.extract.test_pool import GOOD, slow

async def main():
    readers = Readers(2)
    await readers.read(GOOD, Plain())
    task = asyncio.create_task(readers.read(slow(), Plain()))
    other = asyncio.create_task(readers.read(slow(), Plain()))
    while len(readers.processes) < 2:
        await asyncio.sleep(0.01)
    print(*readers.processes, flush=True)
    await task

asyncio.run(main())
"""


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.proves("rag.extract.apart")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_processes_end_with_the_server_however_it_ends() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER.format(root=str(ROOT)), stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout
    async with asyncio.timeout(60):
        processes = [int(word) for word in (await program.stdout.readline()).split()]
        assert len(processes) == 2
        assert all(alive(process) for process in processes)
        program.kill()
        await program.wait()
        await until(lambda: not any(alive(process) for process in processes))


@pytest.mark.proves("rag.extract.apart")
async def test_the_loop_goes_on_while_documents_are_read(readers: Readers) -> None:
    """What the loop does between two turns of its own: processor time, as others use this machine, too."""
    text = "The quick brown fox jumps over the lazy dog, and does so again.\n" * 50_000
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    await readers.read(GOOD, Plain())
    content = Content(Item("a.txt", "a.txt", "1"), text.encode())
    beating = asyncio.create_task(beat())
    _, chunks = await readers.read(content, Plain())
    beating.cancel()
    assert len(chunks) > 3000
    assert longest < 0.05


@pytest.mark.proves("rag.extract.apart")
def test_the_executable_has_a_hidden_command_for_it() -> None:
    head, data = wire.ordered(GOOD, Plain(), Limits())
    said: list[dict[str, object]] = []
    program = subprocess.Popen(
        [sys.executable, "-m", "hector", "boxed-extractor"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with program:
        assert program.stdin
        assert program.stdout
        program.stdin.write(head + data)
        program.stdin.flush()
        while not said or "worn" not in said[-1]:
            size = int.from_bytes(program.stdout.read(wire.LENGTH), "big")
            said.append(json.loads(program.stdout.read(size)))
    assert program.returncode == 0
    assert [next(iter(one)) for one in said] == ["chunks", "title", "worn"]
