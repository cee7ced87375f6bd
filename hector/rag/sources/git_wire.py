"""A repository behind https: what it offers, and objects of it, by git's own protocol (version 2, else version 0).

Only what is meant is fetched: the folders of one commit without its history and without files, and of the files those
that are asked for, some at once. A server that cannot leave out files (`filter`) gives all of one commit. Objects are
in temporary files without a name; nothing outlives the process. Format: gitprotocol-v2(5), gitprotocol-pack(5).
"""

import asyncio
import base64
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import BinaryIO, Final
from urllib.parse import urlsplit

from hector.config.sources_remote import Git
from hector.core.record import dataclass
from hector.observe.redact import remember
from hector.rag.errors import SourceError, SourceRefused
from hector.rag.sources.git_pack import Bounds, Pack, TooLarge
from hector.rag.sources.web import Reach, opened

_OFFERED: Final = "/info/refs?service=git-upload-pack"
_OFFERS: Final = 32 * 2**20
"""Bytes of a list of branches and tags."""
_FOLDERS: Final = 256 * 2**20
"""Bytes of the folders of a commit, packed."""
_BATCH: Final = 16 * 2**20
"""Bytes of files that are fetched at once, beside the one that is asked for."""
_LONGEST: Final = 1800.0
"""Seconds that one answer may take."""
_BUFFER: Final = 1 << 20
_SHOWN: Final = 200
_NAMED: Final = 8
_FLUSH: Final = b"0000"
_AGENT: Final = "agent=hector"


@dataclass(frozen=True, slots=True)
class Tip:
    """What a branch, a tag or an id leads to now: a commit, or a tag object that leads to one. `name`: the full one."""

    commit: str
    name: str


class Refs:
    """Branches and tags by their full names. Pure."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known

    def tip(self, ref: str, where: str) -> Tip:
        """Raises SourceError, which says what there is, where there is nothing of that name."""
        if is_id(ref):
            return Tip(ref.lower(), "")
        names = (
            ("HEAD",) if not ref else (ref,) if ref.startswith("refs/") else (f"refs/heads/{ref}", f"refs/tags/{ref}")
        )
        for name in names:
            if found := self._known.get(name):
                return Tip(self._known.get(f"{name}^{{}}", found), name)
        heads = [name.removeprefix("refs/heads/") for name in self._known if name.startswith("refs/heads/")]
        there = f"there is {', '.join(sorted(heads)[:_NAMED])}" if heads else "there is no branch at all"
        what = f"no branch or tag {ref!r}" if ref else "no default branch"
        raise SourceError(f"{where} has {what}: {said(there.encode())}{' and more' if len(heads) > _NAMED else ''}")


class Remote:
    """One repository on a server. Not for several callers at once."""

    def __init__(self, section: Git, token: str, largest: int) -> None:
        parts = urlsplit(section.url)
        self._url, self._path = section.url, parts.path.rstrip("/")
        self._web = opened(Reach(f"{parts.scheme}://{parts.netloc}", section.timeout, section.proxy, section.ca_bundle))
        self._headers = _headers(section, token)
        self._largest, self._most = largest, section.max_download
        self._is_new = False
        self._offers: frozenset[str] = frozenset()
        self._refs = Refs({})

    @property
    def is_piecewise(self) -> bool:
        """Whether files can be asked for one by one, as the last `tip` has found."""
        return "filter" in self._offers and (self._is_new or "allow-any-sha1-in-want" in self._offers)

    async def tip(self, ref: str) -> Tip:
        """Where a branch, a tag, or with the empty text the default branch stands. Raises SourceError."""
        self._read_offers(await self._advertised())
        if self._is_new and not is_id(ref):
            exact = (
                ["HEAD"] if not ref else [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
            )
            self._refs = await self._listed(exact)
            try:
                return self._refs.tip(ref, self._url)
            except SourceError:
                self._refs = await self._listed(["refs/heads/"])  # to say what there is
        return self._refs.tip(ref, self._url)

    async def folders(self, commit: str) -> Pack:
        """The commit and its folders; its files, too, where they cannot be left out. Raises SourceError."""
        wanted = [f"want {commit}", "deepen 1"]
        if self.is_piecewise:
            return await self._fetched([*wanted, "filter blob:none"], _FOLDERS)
        bounds = Bounds(unpacked=max(4 * self._most, 2**30), largest=max(self._largest, Bounds().largest))
        return await self._fetched(wanted, self._most, bounds)

    async def files(self, ids: Sequence[str]) -> Pack:
        """Files by their ids. Raises TooLarge, SourceError."""
        most = 2 * self._largest + _BUFFER + (_BATCH if len(ids) > 1 else 0)
        return await self._fetched([f"want {one}" for one in ids], most, Bounds(largest=self._largest))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._web.aclose()

    async def _advertised(self) -> list[bytes]:
        reply = await self._web.ask("GET", f"{self._path}{_OFFERED}", sign=lambda: self._headers, limit=_OFFERS)
        if "git-upload-pack-advertisement" not in reply.headers.get("content-type", ""):
            raise SourceRefused(
                f"{self._url} is no repository that git can be asked for over http (the smart protocol)"
            )
        return lines(reply.body)

    def _read_offers(self, found: list[bytes]) -> None:
        found = [line for line in found if line and not line.startswith(b"# service=")]
        self._is_new = bool(found) and found[0] == b"version 2"
        if self._is_new:
            offers = {
                name: value for name, _, value in (line.decode("utf-8", "replace").partition("=") for line in found)
            }
            self._offers = frozenset(offers.get("fetch", "").split())
            kind = offers.get("object-format", "sha1")
        else:
            self._refs, self._offers = _refs_of_old(found)
            kind = next((one.partition("=")[2] for one in self._offers if one.startswith("object-format=")), "sha1")
        if kind != "sha1":
            raise SourceRefused(
                f"{self._url} names its objects by {said(kind.encode())}, which is not read: only sha1 is"
            )

    async def _listed(self, prefixes: Sequence[str]) -> Refs:
        body = b"".join((
            line("command=ls-refs"), line(_AGENT), b"0001", line("peel"),
            *(line(f"ref-prefix {prefix}") for prefix in prefixes), _FLUSH,
        ))  # fmt: skip
        reply = await self._web.ask(
            "POST", f"{self._path}/git-upload-pack", sign=self._asking, body=body, limit=_OFFERS
        )
        known: dict[str, str] = {}
        for row in lines(reply.body):
            identity, name, *facts = row.decode("utf-8", "replace").split(" ") if row else ["", ""]
            if is_id(identity):
                known[name] = identity
                known |= {f"{name}^{{}}": fact[7:] for fact in facts if fact.startswith("peeled:") and is_id(fact[7:])}
        return Refs(known)

    async def _fetched(self, wanted: Sequence[str], most: int, bounds: Bounds | None = None) -> Pack:
        """Raises TooLarge for more than `most` bytes, SourceError."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as its pack
        try:
            await self._download(self._order(wanted), most, file)
            return await asyncio.to_thread(_read_through, file, bounds or Bounds())
        except BaseException:
            file.close()
            raise

    def _order(self, wanted: Sequence[str]) -> bytes:
        if self._is_new:
            head = b"".join((line("command=fetch"), line(_AGENT), b"0001", line("ofs-delta"), line("no-progress")))
            return head + b"".join(map(line, wanted)) + line("done") + _FLUSH
        asked = ["side-band-64k", "ofs-delta", "no-progress", "shallow", "filter"]
        caps = " ".join([*(one for one in asked if one in self._offers), _AGENT])
        wants = [one for one in wanted if one.startswith("want ")]
        others = [one for one in wanted if not one.startswith("want ")]
        first = line(f"{wants[0]} {caps}")
        return b"".join((first, *map(line, wants[1:]), *map(line, others), _FLUSH, line("done")))

    async def _download(self, order: bytes, most: int, file: BinaryIO) -> None:
        answer = await self._web.stream("POST", f"{self._path}/git-upload-pack", sign=self._asking, body=order)
        reader, held, size = Reader(is_new=self._is_new, where=self._url), bytearray(), 0
        async with answer, aclosing(self._web.pieces(answer, _LONGEST)) as pieces:
            async for piece in pieces:
                for data in reader.feed(piece):
                    held += data
                size += len(piece)
                if size > most:
                    raise TooLarge(f"{self._url} gives more than {most} bytes at once")
                if len(held) > _BUFFER:
                    await asyncio.to_thread(file.write, bytes(held))
                    held.clear()
        if not reader.is_whole:
            raise SourceError(f"{self._url} breaks off in the middle of a pack")
        await asyncio.to_thread(file.write, bytes(held))

    def _asking(self) -> Mapping[str, str]:
        return {
            **self._headers,
            "content-type": "application/x-git-upload-pack-request",
            "accept": "application/x-git-upload-pack-result",
        }


class Reader:
    """The pack within an answer: lines with a length, of which those on band 1 are the pack. Pure."""

    def __init__(self, *, is_new: bool, where: str) -> None:
        self._rest = bytearray()
        self._is_pack = not is_new
        self._where = where
        self._began = False
        self.is_whole = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Pieces of the pack. Raises SourceError for what the server complains of, and for what is no answer."""
        self._rest += data
        at = 0
        while len(self._rest) - at >= len(_FLUSH):
            length = _length(bytes(self._rest[at : at + 4]))
            if length > len(self._rest) - at:
                break
            if length >= len(_FLUSH):
                yield from self._line(bytes(self._rest[at + 4 : at + length]))
            elif length == 0 and self._is_pack and self._began:
                self.is_whole = True
            at += max(length, 4)
        del self._rest[:at]

    def _line(self, found: bytes) -> Iterator[bytes]:
        if found.startswith(b"ERR "):
            raise self._complaint(found[4:])
        if not self._is_pack:
            self._is_pack = found.rstrip(b"\n") == b"packfile"
        elif found[:1] == b"\1":
            self._began = True
            yield found[1:]
        elif found[:1] == b"\3":
            raise self._complaint(found[1:])

    def _complaint(self, words: bytes) -> SourceError:
        return SourceError(f"{self._where} refuses: {said(words)!r}")


def lines(data: bytes) -> list[bytes]:
    """Lines with a length, without the ends of their own; what only divides is left out. Raises SourceError."""
    found, at = [], 0
    while at + 4 <= len(data):
        length = _length(data[at : at + 4])
        if length >= len(_FLUSH):
            found.append(data[at + 4 : at + length].rstrip(b"\n"))
            if found[-1].startswith(b"ERR "):
                raise SourceError(f"the repository refuses: {said(found[-1][4:])!r}")
        at += max(length, 4)
    return found


def line(text: str) -> bytes:
    """One line, with its length."""
    data = text.encode() + b"\n"
    return b"%04x%b" % (len(data) + 4, data)


def is_id(text: str) -> bool:
    """Whether a text is the id of an object."""
    return len(text) == 40 and not set(text.lower()) - set("0123456789abcdef")


def said(words: bytes) -> str:
    """What a stranger says, short and without signs that do something."""
    text = " ".join(words[: 4 * _SHOWN].decode("utf-8", "replace").split())[:_SHOWN]
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _length(head: bytes) -> int:
    try:
        return int(head, 16)
    except ValueError:
        raise SourceError("the server gives something else than git's protocol") from None


def _refs_of_old(found: list[bytes]) -> tuple[Refs, frozenset[str]]:
    """Version 0: all branches and tags, the first of them with what the server offers."""
    known: dict[str, str] = {}
    offers: frozenset[str] = frozenset()
    for row in found:
        text, _, capabilities = row.decode("utf-8", "replace").partition("\0")
        offers = offers or frozenset(capabilities.split())
        identity, _, name = text.partition(" ")
        if is_id(identity) and set(identity) != {"0"}:
            known[name] = identity
    return Refs(known), offers


def _read_through(file: BinaryIO, bounds: Bounds) -> Pack:
    file.flush()
    pack = Pack(file)
    pack.read_through(bounds)
    return pack


def first_question(section: Git, token: str) -> tuple[str, dict[str, str]]:
    """Address and headers of what a repository is asked first: harmless, and answered to whom may read it."""
    return f"{section.url.rstrip('/')}{_OFFERED}", _headers(section, token)


def _headers(section: Git, token: str) -> dict[str, str]:
    return {"git-protocol": "version=2", **section.headers, **_credentials(section, token)}


def _credentials(section: Git, token: str) -> dict[str, str]:
    """As forges take them: a token is the password of any user."""
    user, password = section.username, section.password or token
    if not password:
        return {}
    pair = base64.b64encode(f"{user or 'x-access-token'}:{password}".encode()).decode()
    remember(password, pair)
    return {"authorization": f"Basic {pair}"}
