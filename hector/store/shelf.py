"""What a run may keep as artifacts: judged before it is written, by the bounds that the configuration sets."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import field

from hector.core.errors import StoreError, ToolError
from hector.core.event import Artifact
from hector.core.keeping import StoredArtifact
from hector.core.record import dataclass
from hector.core.task import Caller
from hector.store.artifacts import LONGEST_NAME, Artifacts, fit_name, full, size_of

log = logging.getLogger("hector.store")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The largest artifact, and how much all versions of one user's may take, in bytes; 0 for no bound."""

    size: int = 0
    total: int = 0


@dataclass(slots=True)
class _Turn:
    """What a run has been admitted so far, in bytes, and how much there was `before`."""

    before: int | None = None
    admitted: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Shelf:
    """`core.keeping.ArtifactShelf` over the repository."""

    artifacts: Artifacts
    caller: Caller
    context_id: str
    bounds: Bounds
    _turn: _Turn = field(default_factory=_Turn)

    async def admit(self, artifacts: Sequence[Artifact]) -> None:
        """Raises ToolError. While the database is away the sum is not looked at: the tool has done its work."""
        size = 0
        for artifact in artifacts:
            if artifact.name is not None and not fit_name(artifact.name):
                raise ToolError(
                    f"an artifact cannot be named {artifact.name[:LONGEST_NAME]!r}: names have 1 to {LONGEST_NAME} "
                    "visible characters, after user: for one that belongs to the user"
                )
            size += self._size(artifact)
        if self.bounds.total and size:
            async with self._turn.lock:
                await self._reserve(size)

    async def _reserve(self, size: int) -> None:
        """Calls of one turn end side by side, and nothing of them is written before all have been admitted."""
        turn, total = self._turn, await self._taken()
        turn.before = total if turn.before is None else turn.before
        taken = max(total, turn.before + turn.admitted)
        if taken + size > self.bounds.total:
            raise ToolError(full(taken, size, self.bounds.total))
        turn.admitted += size

    async def _taken(self) -> int:
        try:
            return await self.artifacts.total(self.caller)
        except StoreError as error:
            log.warning("the size of all artifacts of a user is not known now", extra={"error": str(error)})
            return 0

    def _size(self, artifact: Artifact) -> int:
        size = size_of(artifact.parts)
        if self.bounds.size and size > self.bounds.size:
            raise ToolError(
                f"artifact {artifact.name or artifact.id!r} has {size:,} bytes, more than storage.artifacts.max_size "
                f"({self.bounds.size:,}): nothing was saved"
            )
        return size

    async def names(self) -> Sequence[StoredArtifact]:
        own = await self.artifacts.heads(self.caller, self.context_id)
        return (*own, *await self.artifacts.heads(self.caller, None))

    async def load(self, name: str, version: int | None = None) -> Artifact | None:
        found = await self.artifacts.load(self.caller, self.context_id, name, version)
        return None if found is None else found[1]
