"""What people have seen of the tools of servers: a description that changes behind their backs needs their word again.

The first description of a tool is taken as it comes, and kept. When the server describes the tool otherwise, each call
of it waits for a person, until an operator has accepted just that change, or the server takes it back.
"""

from collections.abc import Awaitable, Mapping
from typing import Protocol, runtime_checkable


class Pins(Protocol):
    """The kept digests of one app."""

    def compare(
        self, app: str, server: str, digests: Mapping[str, str], texts: Mapping[str, str]
    ) -> Awaitable[frozenset[str]]:
        """Keep the digests of tools that are new, note those that differ, and say which do. Raises StoreError.

        `texts` are what people are shown of the tools before they accept a digest.
        """


@runtime_checkable
class Pinned(Protocol):
    """A toolset whose tools may change behind people's backs."""

    def pin(self, pins: Pins) -> None:
        """Use what is kept there from now on."""
