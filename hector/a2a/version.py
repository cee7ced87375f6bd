"""Which version of A2A a request speaks."""

from typing import Final

from hector.a2a.errors import VERSION_NOT_SUPPORTED, ProtocolError
from hector.core.pattern import pattern

CURRENT: Final = "1.0"
OLD: Final = "0.3"
SUPPORTED: Final = (CURRENT, OLD)
_VERSION: Final = pattern(r"(\d{1,6})(?:\.(\d{1,6}))?(?:\.[0-9A-Za-z.+-]{1,64})?")


def check(asked: str, *, old: bool) -> None:
    """Hold the A2A-Version of a request against the words it uses; patch numbers do not count.

    A request that names no version would be 0.3 by the specification. Since operations of 1.0 have names of their own
    that 0.3 does not know, they are served all the same: a plain curl has nothing to gain from a refusal.
    Raises ProtocolError.
    """
    if asked == CURRENT or not asked.strip():
        return
    match = _VERSION.fullmatch(asked.strip())
    version = f"{int(match[1])}.{int(match[2] or 0)}" if match else ""
    if version not in SUPPORTED:
        raise ProtocolError(
            VERSION_NOT_SUPPORTED, f"A2A version {asked[:50]!r} is not supported; this server speaks 1.0 and 0.3"
        )
    if version == OLD and not old:
        raise ProtocolError(
            VERSION_NOT_SUPPORTED, "A2A-Version says 0.3, but this operation has the name that it bears in 1.0"
        )
