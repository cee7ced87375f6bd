"""Files of git repositories: from git's own server by either protocol, from folders, and from those who mean ill."""

import hashlib
import json
import os
import struct
import subprocess
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hector.config.egress import Egress
from hector.config.sources_remote import GitSource
from hector.core.errors import ConfigError, HectorError
from hector.core.retrieval import Item
from hector.net.gate import governed
from hector.rag.errors import SourceError, SourceRefused, Unreadable
from hector.rag.sources.git import GitFiles
from hector.rag.sources.git_pack import Bounds, Damaged, Pack
from hector.rag.sources.git_wire import Reader, line
from hector.rag.sources.kinds import Around, build
from tests.cli.driver import environment, hector
from tests.rag.sources.repositories import Repository, Served, git, serving

FILES: dict[str, bytes | None] = {
    "a.md": b"# A", "docs/b c.md": b"# B\n" * 400, "docs/ü.md": b"# U", "x.png": b"png",
    ".env": b"KEY=1", "key.md": b"-----BEGIN RSA PRIVATE KEY-----\n", "drafts/d.md": b"# D", "empty.md": b"",
    ".hectorignore": b"drafts/\n", "odd\x1b[31m.md": b"# O", "big.md": os.urandom(3000), "zeros.md": b"0" * 5000,
    "film.md": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
}  # fmt: skip
READ = {"a.md", "docs/b c.md", "docs/ü.md", "odd\x1b[31m.md"}
ALL_AT_ONCE, OLD = "all at once", "version 0"


def slow(kind: str) -> Any:
    return pytest.param(kind, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    folder = tmp_path_factory.mktemp("git")
    with serving(folder) as served:
        yield folder, served


def source(url: str, environment: dict[str, str] | None = None, **keys: Any) -> GitFiles:
    beside = {name: keys.pop(name) for name in ("include", "exclude", "ignore_files") if name in keys}
    section = GitSource.model_validate({"git": {"url": url, **keys}, "max_file_size": 2000, **beside})
    made = build(section, Around(environment=environment or {}))
    assert isinstance(made, GitFiles)
    return made


async def listed(found: AsyncIterator[Item]) -> dict[str, Item]:
    return {item.id: item async for item in found}


@pytest.mark.proves("rag.git")
@pytest.mark.parametrize("kind", ["piecewise", slow(ALL_AT_ONCE), slow(OLD), "folder"])
async def test_files_of_a_repository(world: tuple[Path, Served], kind: str) -> None:
    folder, served = world
    repository = Repository(folder / kind.replace(" ", "-"), filters=kind == "piecewise")
    first = repository.commit(FILES)
    served.password, served.is_old = "hush", kind == OLD
    served.asked.clear()
    address = f"{served.url}/{kind.replace(' ', '-')}/served/docs.git"
    found = source(str(repository.bare) if kind == "folder" else address, username="reader", password="hush")

    items = await listed(found.items())
    assert set(items) >= READ
    assert not {"drafts/d.md", "x.png", ".env", "empty.md"} & set(items)
    assert found.omitted.counts.items() >= {"named like a secret": 1, "no text in it": 1, "empty": 1}.items()
    for name in READ:
        assert (await found.read(items[name])).data == FILES[name]
    for name, why in {
        "key.md": "private key",
        "film.md": "LFS",
        **dict.fromkeys(items.keys() & {"big.md", "zeros.md"}, "2000"),
    }.items():
        with pytest.raises(Unreadable, match=why):
            await found.read(items[name])
    about = items["docs/b c.md"]
    assert about.uri.endswith(f"#{first}:docs/b c.md")
    assert (about.metadata["git_commit"], about.metadata["git_ref"]) == (first, "HEAD")

    fetches = len(served.fetches)
    assert await listed(found.items()) == items
    assert len(served.fetches) == fetches, "nothing is fetched for a commit that is known"

    second = repository.commit({"a.md": b"# A now", "docs/b c.md": None, "new.md": b"# N"})
    after = await listed(found.items())
    assert set(items) - set(after) == {"docs/b c.md"}
    assert set(after) - set(items) == {"new.md"}
    same = {name for name in after if name in items and after[name].fingerprint == items[name].fingerprint}
    assert set(after) - same == {"a.md", "new.md"}
    assert after["a.md"].metadata["git_commit"] == second
    assert (await found.read(after["a.md"])).data == b"# A now"
    assert set(await listed(found.items(["a.md", "nothing.md"]))) == {"a.md"}
    await found.aclose()


@pytest.mark.proves("rag.git")
@pytest.mark.parametrize("kind", [slow("served"), "folder"])
async def test_branches_tags_commits_and_what_becomes_of_them(world: tuple[Path, Served], kind: str) -> None:
    folder, served = world
    repository = Repository(folder / f"refs-{kind}")
    served.password, served.is_old = "", False
    address = str(repository.bare) if kind == "folder" else f"{served.url}/refs-{kind}/served/docs.git"
    first = repository.commit({"a.md": b"one"})
    git(repository.folder, "tag", "-a", "v1", "-m", "the first")
    tag = git(repository.folder, "rev-parse", "v1")
    repository.commit({"a.md": b"two"}, "next")
    if kind == "folder":
        git(repository.bare, "gc", "-q")

    async def text(ref: str) -> bytes | str:
        found = source(address, ref=ref)
        try:
            items = await listed(found.items())
            assert ref not in {"v1", tag} or items["a.md"].metadata["git_commit"] == first
            return (await found.read(items["a.md"])).data
        finally:
            await found.aclose()

    assert [await text(ref) for ref in ("", "main", "v1", tag, first)] == [b"one"] * 5
    assert [await text(ref) for ref in ("next", "refs/heads/next")] == [b"two"] * 2
    kept = source(address, ref="next")
    assert await listed(kept.items())
    git(repository.folder, "checkout", "-q", "--orphan", "other")
    repository.commit({"a.md": b"forced"}, "next")
    forced = await listed(kept.items())
    assert (await kept.read(forced["a.md"])).data == b"forced"
    git(repository.bare, "update-ref", "-d", "refs/heads/next")
    with pytest.raises(SourceError, match="no branch or tag 'next': there is main"):
        await listed(kept.items())
    await kept.aclose()
    with pytest.raises(SourceError):
        await text("f" * 40)


@pytest.mark.proves("rag.git")
async def test_files_that_only_an_earlier_commit_had_are_not_asked_for_any_more(world: tuple[Path, Served]) -> None:
    folder, served = world
    repository = Repository(folder / "forced")
    served.password, served.is_old = "", False
    before = {f"{number}.md": b"before %d" % number for number in range(0, 20, 2)}
    same = {f"{number}.md": b"same %d" % number for number in range(1, 20, 2)}
    repository.commit(before | same)
    found = source(f"{served.url}/forced/served/docs.git")
    await listed(found.items())
    git(repository.folder, "checkout", "-q", "--orphan", "other")
    repository.commit(dict.fromkeys(before, b"after"))
    git(repository.bare, "gc", "-q", "--prune=now")
    items = await listed(found.items())
    assert {name: (await found.read(items[name])).data for name in same} == same
    await found.aclose()


@pytest.mark.proves("rag.git")
async def test_a_damaged_folder_is_named_and_no_defect(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit({"a.md": b"a"})
    head, packs = repository.bare / "HEAD", repository.bare / "objects/pack"
    odd = git(
        repository.bare, "hash-object", "-w", "-t", "commit", "--literally", "--stdin", stdin=b"tree xx/dev/zero\n"
    )
    found, by_id = source(str(repository.bare)), source(str(repository.bare), ref=odd)
    with pytest.raises(SourceError, match=f"{odd} is no commit"):
        await listed(by_id.items())
    whole = head.read_bytes()
    head.write_bytes(b"ref: refs/heads/\0")
    with pytest.raises(SourceError, match="no default branch: there is main"):
        await listed(found.items())
    head.write_bytes(whole)
    (packs / "pack-cut.idx").touch()
    with pytest.raises(SourceError, match=r"pack-cut\.idx is empty"):
        await listed(found.items())
    (packs / "pack-cut.idx").unlink()
    assert set(await listed(found.items())) == {"a.md"}
    await found.aclose()
    await by_id.aclose()


@pytest.mark.proves("rag.git")
async def test_who_may_not_read_is_told_so(world: tuple[Path, Served]) -> None:
    folder, served = world
    Repository(folder / "closed").commit({"a.md": b"a"})
    served.password = "hush"
    attempts: list[tuple[str, dict[str, Any], str]] = [
        (f"{served.url}/closed/served/docs.git", {}, "credentials"),
        (f"{served.url}/closed/served/docs.git", {"token": "wrong"}, "credentials"),
        (f"{served.url}/closed/served/none.git", {"username": "reader", "password": "hush"}, "404"),
        (str(folder), {}, "no repository"),
    ]
    for url, keys, why in attempts:
        found = source(url, **keys)
        with pytest.raises(SourceError, match=why):
            await listed(found.items())
        await found.aclose()
    served.asked.clear()
    with governed(Egress(mode="listed")):
        found = source(f"{served.url}/closed/served/docs.git", {"T": "hush"}, token_env="T")
        with pytest.raises(SourceRefused, match="purpose retrieval"):
            await listed(found.items())
        await found.aclose()
    assert served.asked == []
    with pytest.raises(ConfigError, match="variable NOT_SET"):
        source("https://example.org/x.git", token_env="NOT_SET")


@pytest.mark.proves("rag.git.hostile")
async def test_answers_that_are_no_packs_or_lead_elsewhere_or_never_end(world: tuple[Path, Served]) -> None:
    folder, served = world
    Repository(folder / "odd").commit({f"{number}.md": os.urandom(900) for number in range(40)})
    served.password, served.is_old = "", False
    found = source(f"{served.url}/odd/served/docs.git")
    spoils: list[tuple[Callable[[bytes], bytes], str]] = [
        (lambda data: data[: len(data) // 2], "breaks off"),
        (lambda data: data[:-4], "breaks off"),
        (lambda data: data.replace(b"PACK", b"KCAP"), "something else than a pack"),
        (lambda _: b"<html>hello", "something else than git's protocol"),
        (lambda _: line("ERR \x1b[31mno\n such thing"), r"refuses: '.\[31mno such thing'"),
        (lambda data: data[:-4] + b"fff0\1" + b"x" * 65515, "breaks off"),
        (lambda _: b"", "breaks off"),
    ]
    for spoil, why in spoils:
        served.spoil = spoil
        with pytest.raises(SourceError, match=why):
            await listed(found.items())
    served.spoil = None
    items = await listed(found.items())
    served.spoil = lambda data: data[:-4] + (b"fff0\1" + b"x" * 65515) * 300
    with pytest.raises(Unreadable, match="more than 2000 bytes"):
        await found.read(items["0.md"])
    served.spoil, served.elsewhere = None, "http://127.0.0.1:9/other.git"
    with pytest.raises(SourceRefused, match="not followed"):
        await listed(found.items())
    served.elsewhere = ""
    await found.aclose()


@pytest.mark.slow  # starts the program three times
@pytest.mark.proves("rag.git")
def test_hector_index_and_search_name_commit_and_path(world: tuple[Path, Served], tmp_path: Path) -> None:
    folder, served = world
    repository = Repository(folder / "door")
    first = repository.commit({"guide/oil.md": b"Change the oil every 500 hours.", "b.md": b"The pump is red."})
    served.password = "hush"
    (tmp_path / "hector.yaml").write_text(
        "llms: {default: {provider: scripted, rules: [{text: ok}]}}\nagents: {helper: {instruction: Help.}}\n"
        "document_stores: {docs: {embedder: none, incremental_indexing: true, source: {type: git, branch: main,\n"
        f"  url: '{served.url}/door/served/docs.git', username: reader, password: '${{GIT_PASSWORD}}'}}}}}}\n"
    )

    def run(*words: str) -> str:
        done = subprocess.run(
            hector(*words, "--config", "hector.yaml"), cwd=tmp_path, env=environment(tmp_path, GIT_PASSWORD="hush"),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "2 documents, 2 chunks (2 read" in run("index")
    (found,) = json.loads(run("search", "oil change", "--json", "--limit", "1"))["passages"]
    assert found["uri"] == f"{served.url}/door/served/docs.git#{first}:guide/oil.md"
    repository.commit({"b.md": b"The pump is blue."})
    assert "(1 read, 1 unchanged, 0 removed)" in run("index")


def hashed(kind: str, data: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


@pytest.mark.proves("rag.git.hostile")
async def test_names_and_kinds_that_would_lead_elsewhere(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit({"a.md": b"a"})
    blob = git(repository.bare, "hash-object", "-w", "--stdin", stdin=b"outside")

    def tree(*entries: tuple[str, bytes, str]) -> str:
        data = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(one) for mode, name, one in entries)
        return git(repository.bare, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=data)

    inner = tree(("100644", b"..", blob), ("100644", b"ok.md", blob))
    root = tree(
        ("40000", b"..", inner), ("40000", b".git", inner), ("100644", b"x/../../y.md", blob),
        ("120000", b"link.md", blob),
        ("160000", b"module.md", "1" * 40), ("40000", b"fine", inner), ("100644", b"\xff.md", blob),
        ("100644", b"twice.md", blob), ("100644", b"twice.md", blob), ("999999", b"mode.md", blob),
    )  # fmt: skip
    commit = git(repository.bare, "commit-tree", root, "-m", "x")
    found = source(str(repository.bare), ref=commit)
    items = await listed(found.items())
    await found.aclose()

    assert set(items) == {"fine/ok.md", "/%FF.md", "twice.md"}
    assert found.omitted.counts == {
        "a name that no file can have": 4, "a link": 1, "a submodule": 2,
    }  # fmt: skip


@pytest.mark.proves("rag.git.hostile")
async def test_a_bomb_of_folders_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hector.rag.sources.git_tree._MOST", 2000)
    repository = Repository(tmp_path)
    lower = git(repository.bare, "hash-object", "-w", "--stdin", stdin=b"text")
    kind = b"100644 %d.md"
    for _ in range(10):
        data = b"".join(kind % number + b"\0" + bytes.fromhex(lower) for number in range(10))
        lower = git(repository.bare, "hash-object", "-w", "-t", "tree", "--stdin", stdin=data)
        kind = b"40000 %d"
    git(repository.bare, "update-ref", "refs/heads/main", git(repository.bare, "commit-tree", lower, "-m", "x"))
    found = source(str(repository.bare))
    with pytest.raises(SourceError, match="more than 2000 files"):
        await listed(found.items())
    await found.aclose()


def head(kind: int, size: int) -> bytes:
    made, size = bytearray([kind << 4 | size & 15]), size >> 4
    while size:
        made[-1] |= 0x80
        made.append(size & 0x7F)
        size >>= 7
    return bytes(made)


def packed(*objects: bytes, count: int | None = None) -> bytes:
    body = b"PACK" + struct.pack(">II", 2, len(objects) if count is None else count) + b"".join(objects)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def plain(data: bytes, size: int | None = None) -> bytes:
    return head(3, len(data) if size is None else size) + zlib.compress(data)


def delta(base: bytes, data: bytes) -> bytes:
    return head(7, len(data)) + base + zlib.compress(data)


A, B = bytes.fromhex(hashed("blob", b"a")), b"\2" * 20


@pytest.mark.proves("rag.git.hostile")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "something else"),
        (b"PACK" + b"\0" * 40, "something else"),
        (packed(plain(b"a"), count=4_000_000), "objects"),
        (packed(plain(b"a"), count=2), "cut off"),
        (packed(plain(b"\0" * 3_000_000)), "unpacks to more"),
        (packed(plain(b"\0" * 3_000_000, 10)), "larger than it says"),
        (packed(plain(b"a", 10)), "smaller than it says"),
        (packed(plain(b"a")[:-3]), "damaged|cut off"),
        (packed(head(5, 1) + zlib.compress(b"a")), "no known kind"),
        (packed(head(6, 4) + b"\x7f" + zlib.compress(b"abcd")), "from nowhere"),
        (packed(plain(b"a"), delta(A, b"\1\1\0")), "does not fit"),
        (packed(plain(b"a"), delta(A, b"\1\5\x91\0\5")), "does not fit"),
        (packed(plain(b"a"), delta(A, b"\1\x80")), "cut off"),
        (packed(plain(b"a"), delta(A, b"\1\1" + b"\1a" * 300)), "larger than what it makes"),
        (packed(head(3, 2**70) + zlib.compress(b"a")), "smaller than it says"),
    ],
)  # fmt: skip
def test_packs_of_those_who_mean_ill(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "pack"
    path.write_bytes(data)
    pack = Pack(path.open("rb"))
    with pytest.raises(Damaged, match=why):
        pack.read_through(Bounds(unpacked=1_000_000, largest=1000))
    pack.close()


@pytest.mark.proves("rag.git.hostile")
def test_differences_that_lead_in_circles_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "pack"
    large = b"\x01" + b"\x80\x80\x80\x01" + b"\xff\0\0\0\0\xff\xff\xff"
    path.write_bytes(packed(plain(b"a"), delta(B, b"\1\1\1a"), delta(A, large), delta(A, b"\1\2\2bc")))
    pack = Pack(path.open("rb"))
    pack.read_through(Bounds(unpacked=1_000_000, largest=1000))

    place = pack.place(bytes.fromhex(hashed("blob", b"bc")))
    assert place is not None
    assert pack.content(place, 10) == (3, b"bc")
    assert pack.place(B) is None
    pack.close()


@pytest.mark.proves("rag.git.hostile")
def test_noise_in_place_of_packs_and_answers(tmp_path: Path) -> None:
    """Any change of a pack, and any noise: an error of ours, or what it was."""
    whole = packed(plain(b"a" * 50), delta(bytes.fromhex(hashed("blob", b"a" * 50)), b"\x32\2\2bc"), plain(b"z" * 300))
    for number in range(len(whole)):
        path = tmp_path / str(number)
        path.write_bytes(whole[:number] + bytes([whole[number] ^ (1 << number % 8)]) + whole[number + 1 :])
        pack = Pack(path.open("rb"))
        try:
            pack.read_through(Bounds(unpacked=100_000, largest=1000, seconds=5))
        except HectorError:
            pass
        finally:
            pack.close()
    for number in range(200):
        with_noise = b"0008NAK\n" + hashlib.sha512(bytes([number])).digest() * 3
        reader = Reader(is_new=bool(number % 2), where="it")
        try:
            list(reader.feed(with_noise))
        except SourceError:
            continue
        assert not reader.is_whole
