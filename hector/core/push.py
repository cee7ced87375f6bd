"""Push notifications: where a client wants the updates of its task to be sent."""

from typing import Final

from hector.core.record import dataclass

CALLBACK: Final = "callback"
"""The `version` of a receiver that is told the result alone, in the words of webhooks, at an address from a request."""
OWN_CALLBACK: Final = "callback-own"
"""The same at an address of the operator's configuration."""
CALLBACKS: Final = frozenset((CALLBACK, OWN_CALLBACK))


@dataclass(frozen=True, slots=True)
class PushConfig:
    """One receiver. The empty `id` stands for the task's own, as A2A 0.3 has it.

    `scheme` and `credentials` make up the Authorization header, `token` a header of its own; `version` is that of A2A
    which the receiver understands; callbacks have one of their own, and sign with `credentials`. Secrets: token,
    credentials, and often the URL.
    """

    id: str
    url: str
    token: str | None = None
    scheme: str | None = None
    credentials: str | None = None
    version: str = "1.0"

    def __repr__(self) -> str:
        return f"PushConfig({self.id!r})"


@dataclass(frozen=True, slots=True)
class PushPage:
    """Some of a task's receivers, in order of their ids; `next_token` is empty on the last page."""

    configs: tuple[PushConfig, ...]
    next_token: str
