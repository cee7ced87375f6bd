"""Files below a folder: what is found, what is read, and what nobody can make it read."""

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from hector.config.sources import DirectorySource
from hector.core.retrieval import Item
from hector.rag.errors import Gone, SourceError, Unreadable, Unsettled
from hector.rag.sources.directory import Directory
from hector.rag.sources.kinds import Around, build


def source(folder: Path, own: tuple[str, ...] = (), **keys: object) -> Directory:
    made = build(DirectorySource.model_validate({"path": str(folder), **keys}), Around(own=own))
    assert isinstance(made, Directory)
    return made


def write(folder: Path, **files: str | bytes) -> None:
    """Keys are paths with __ for a slash and _ for a dot's place: a__b_md is a/b.md."""
    for key, text in files.items():
        path = folder / key.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)


async def listed(found: AsyncIterator[Item]) -> dict[str, Item]:
    return {item.id: item async for item in found}


@pytest.mark.proves("rag.directory")
async def test_documents_are_found_by_patterns(tmp_path: Path) -> None:
    write(tmp_path, a_md="# A", docs__b_md="# B", docs__node_modules__c_md="c", docs__d_txt="d", x_png="png")
    write(tmp_path, _env="KEY=1", k_pem="key", _git__config_md="x")
    files = source(tmp_path, include=["**/*.md", "**/*.pdf"], exclude=["**/node.modules/**"])

    found = await listed(files.items())

    assert sorted(found) == ["a.md", "docs/b.md"]
    assert found["docs/b.md"].metadata["folder"] == "docs"
    assert found["docs/b.md"].uri.endswith("docs/b.md")
    content = await files.read(found["docs/b.md"])
    assert content.data == b"# B"
    assert content.path == str(tmp_path / "docs/b.md")


@pytest.mark.proves("rag.directory")
async def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    write(tmp_path, a_md="a", b_png="b", c_md="", d_md="d" * 200, e="text", f=b"ELF\0\0", _env="x")
    (tmp_path / "link.md").symlink_to("/etc/passwd")
    (tmp_path / "way").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe.md")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s.md"))
    files = source(tmp_path, max_file_size=100)

    assert sorted(await listed(files.items())) == ["a.md", "e"]
    assert files.omitted.counts == {
        "no text in it": 2, "empty": 1, "too large": 1, "named like a secret": 1, "a link": 2, "no plain file": 2,
    }  # fmt: skip


async def test_ignore_files_are_obeyed_down_the_tree(tmp_path: Path) -> None:
    write(tmp_path, a_md="a", b_log="b", docs__c_log="c", docs__keep_log="k", build__d_md="d", x__build__e_md="e")
    (tmp_path / ".gitignore").write_text("*.log\n/build/\n")
    (tmp_path / "docs/.ignore").write_text("!keep.log\n")
    (tmp_path / "x/.hectorignore").write_text("build\n")

    files = source(tmp_path)
    assert sorted(await listed(files.items())) == ["a.md", "docs/keep.log"]
    asked = ["a.md", "b.log", "docs/keep.log", "x/build/e.md", "build/d.md"]
    assert sorted(await listed(files.items(asked))) == ["a.md", "docs/keep.log"]
    assert len(await listed(source(tmp_path, ignore_files=False).items())) == 6


async def test_the_servers_own_files_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, a_md="a", hector_yaml="name: x", data__b_md="b")
    own = (str(tmp_path / "hector.yaml"), str(tmp_path / "data"))

    assert sorted(await listed(source(tmp_path, own).items())) == ["a.md"]
    named = source(tmp_path, own, include=["*.md", "hector.yaml"])
    assert sorted(await listed(named.items())) == ["a.md", "hector.yaml"]


async def test_ids_of_strangers_lead_nowhere(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    write(inside, a_md="a", sub__b_md="b")
    write(tmp_path, out_md="secret")
    (inside / "l.md").symlink_to(tmp_path / "out.md")
    (inside / "way").symlink_to(tmp_path)
    files = source(inside)
    ids = ["../out.md", "sub/../../out.md", "/etc/passwd", str(tmp_path / "out.md"), "l.md", "way/out.md", "", "./a.md"]

    assert sorted(await listed(files.items([*ids, "sub//b.md", "a.md", "sub", "a.md\0", "a.md/x"]))) == ["a.md"]
    for item in ids:
        with pytest.raises((Gone, Unreadable)):
            await files.read(Item(item, "x", "1"))


async def test_a_folder_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    write(inside, sub__a_md="a")
    write(tmp_path, other__a_md="secret")
    files = source(inside)
    item = (await listed(files.items()))["sub/a.md"]
    (inside / "sub").rename(tmp_path / "gone")
    (inside / "sub").symlink_to(tmp_path / "other")

    with pytest.raises(Gone):
        await files.read(item)
    assert await listed(files.items()) == {}


async def test_names_that_are_no_text_have_ids_that_are(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/\xff\xfe.md", "wb") as out:  # noqa: ASYNC230 - the test is alone in its loop
        out.write(b"odd")
    write(tmp_path, **{"100%25_md": "plain"})
    files = source(tmp_path)

    found = await listed(files.items())
    assert sorted(found) == ["/caf%E9/%FF%FE.md", "100%25.md"]
    for item in found.values():
        (item.id + item.name + item.uri + str(item.metadata)).encode()
        assert (await files.read(item)).data in {b"odd", b"plain"}
    assert sorted(await listed(files.items(list(found)))) == sorted(found)


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may open everything")
async def test_a_folder_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    write(tmp_path, a_md="a", shut__b_md="b")
    (tmp_path / "shut").chmod(0)
    files = source(tmp_path)
    try:
        assert sorted(await listed(files.items())) == ["a.md"]
        assert "shut/b.md".startswith(files.omitted.unseen)
        with pytest.raises(SourceError):
            await listed(files.items(["shut/b.md"]))
    finally:
        (tmp_path / "shut").chmod(0o700)


async def test_folders_that_are_too_deep_are_told(tmp_path: Path) -> None:
    current = os.open(tmp_path, os.O_RDONLY)
    for _ in range(120):
        os.mkdir("d", dir_fd=current)
        inner = os.open("d", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = inner
    os.close(os.open("x.md", os.O_CREAT | os.O_WRONLY, dir_fd=current))
    os.close(current)
    write(tmp_path, a_md="a")
    files = source(tmp_path)

    assert sorted(await listed(files.items())) == ["a.md"]
    assert ("d/" * 120 + "x.md").startswith(files.omitted.unseen)


async def test_a_missing_folder_is_an_error_and_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        await listed(source(tmp_path / "none").items())


async def test_a_change_changes_the_fingerprint(tmp_path: Path) -> None:
    write(tmp_path, a_md="one")
    files = source(tmp_path)
    before = (await listed(files.items()))["a.md"]
    facts = os.stat(tmp_path / "a.md")
    (tmp_path / "new").write_text("two")
    os.utime(tmp_path / "new", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    os.rename(tmp_path / "new", tmp_path / "a.md")

    after = (await listed(files.items()))["a.md"]
    assert after.fingerprint != before.fingerprint
    assert (await files.read(before)).item.size == 3


async def test_a_file_that_has_just_changed_is_looked_at_again(tmp_path: Path) -> None:
    """Within the resolution of times, a second change of the same size leaves the same time."""
    write(tmp_path, a_md="one")
    files = source(tmp_path)
    os.utime(tmp_path / "a.md")
    fresh = (await listed(files.items()))["a.md"]
    os.utime(tmp_path / "a.md", ns=(0, time.time_ns() - 10**9))
    settled = (await listed(files.items()))["a.md"]

    assert fresh.fingerprint.endswith("-fresh")
    assert not settled.fingerprint.endswith("-fresh")


async def test_a_file_that_changes_while_it_is_read_waits(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"x" * 4_000_000)
    files = source(tmp_path)
    item = (await listed(files.items()))["a.md"]
    done = threading.Event()

    def writing() -> None:
        with path.open("ab") as out:
            while not done.is_set():
                out.write(b"y")
                out.flush()

    async def reading() -> None:
        """Until the writer has had its turn in the middle of it."""
        while True:
            await files.read(item)

    writer = threading.Thread(target=writing)
    writer.start()
    try:
        with pytest.raises(Unsettled):
            await reading()
    finally:
        done.set()
        writer.join()
    assert len((await files.read(item)).data) > 4_000_000


async def test_keys_and_binaries_are_not_read_whatever_they_are_called(tmp_path: Path) -> None:
    write(tmp_path, a_md="-----BEGIN OPENSSH PRIVATE KEY-----\nb3B", b_txt="ok", c="text")
    files = source(tmp_path)
    found = await listed(files.items())
    (tmp_path / "c").write_bytes(b"\x7fELF\0\0")

    with pytest.raises(Unreadable, match="private key"):
        await files.read(found["a.md"])
    with pytest.raises(Unreadable, match="no text"):
        await files.read(found["c"])
    named = await source(tmp_path, include=["a.md"]).read(found["a.md"])
    assert isinstance(named.data, bytes)
    assert named.data.startswith(b"-----BEGIN")


@pytest.mark.slow
@pytest.mark.alone
async def test_a_hundred_thousand_files_are_listed_beside_other_work(tmp_path: Path) -> None:
    for folder in range(100):
        (tmp_path / f"f{folder}").mkdir()
        for number in range(1000):
            os.close(os.open(tmp_path / f"f{folder}/{number}.md", os.O_CREAT | os.O_WRONLY))
            os.truncate(tmp_path / f"f{folder}/{number}.md", 5)
    files, count, longest = source(tmp_path), 0, 0.0
    done = asyncio.Event()

    async def beat() -> None:
        nonlocal longest
        while not done.is_set():
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - begun)

    async with asyncio.TaskGroup() as group:
        group.create_task(beat())
        async for _ in files.items():
            count += 1
        done.set()
    assert count == 100_000
    assert longest < 1


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_listing_that_is_left_early_gives_back_what_it_holds(tmp_path: Path) -> None:
    write(tmp_path, a_md="a", b_md="b")
    before = len(os.listdir("/proc/self/fd"))
    async with aclosing(source(tmp_path).items()) as items:
        async for _ in items:
            break
    assert len(os.listdir("/proc/self/fd")) <= before
