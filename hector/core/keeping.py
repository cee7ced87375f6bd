"""What an agent keeps beside a conversation: artifacts with their versions, and memories; each through a port.

A port is bound to one app, user and session, so that whoever holds it can reach nobody else's.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from hector.core.event import Artifact
from hector.core.record import dataclass

OF_USER: Final = "user:"
"""How the names of artifacts begin that belong to the user, in all sessions; others belong to the session."""


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """One version of an artifact; `size` is in bytes, `created` in seconds since the epoch."""

    name: str
    version: int
    media_type: str
    size: int
    agent: str
    created: float


class ArtifactShelf(Protocol):
    """The artifacts of a session and of its user. They are put there by the events that bring them."""

    async def admit(self, artifacts: Sequence[Artifact]) -> None:
        """Raises ToolError for what is too large to be kept, or has a name that cannot be."""

    async def names(self) -> Sequence[StoredArtifact]:
        """The newest version of each, by name."""

    async def load(self, name: str, version: int | None = None) -> Artifact | None:
        """One version, the newest where none is named."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Something that is known of a user. `kind` is "fact" (told to be remembered) or "turn" (said in a session).

    `session`, `event` and `agent` say where it comes from; `expires` is None for never. Times: seconds since the epoch.
    """

    id: str
    text: str
    kind: str
    session: str
    event: str
    agent: str
    created: float
    expires: float | None = None
    score: float = 0.0


class MemoryShelf(Protocol):
    """The memories of one user of an app."""

    async def search(self, query: str, limit: int, *, elsewhere: bool = False) -> Sequence[Memory]:
        """Those that fit best. `elsewhere`: without what was said in this very session."""

    async def remember(self, memory_id: str, text: str, agent: str, days: float | None = None) -> Memory:
        """Keep a fact; the same id again changes nothing. Raises ToolError for one that cannot be kept."""

    async def forget(self, memory_id: str) -> bool:
        """Remove one of the user's; False when there is none of that id."""
