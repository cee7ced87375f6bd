"""The egress policy: whether a connection may be opened, whoever has chosen where to. Pure: looks nothing up.

It only narrows. What is closed to addresses that clients and models choose is said in egress.py, and stays closed.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from hector.config.destinations import Address, Destination, parse, plain
from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.config.egress import Egress, Governed

    Purpose: TypeAlias = Governed | Literal["console", "child", "other"]
    """What a connection is for. console: what the person at the terminal has typed; child: a process that Hector has
    started on this machine. These two are nobody's to forbid; `other` follows the rules of the whole server."""

_UNGOVERNED: Final = ("console", "child")


@dataclass(frozen=True, slots=True)
class Decision:
    """`refusal` says why not, empty if all is well. `looks`: only addresses can tell, each has to be judged."""

    refusal: str = ""
    looks: bool = False


GO: Final = Decision()
LOOK: Final = Decision(looks=True)


@dataclass(frozen=True, slots=True)
class Rules:
    """The policy for one purpose."""

    purpose: "Purpose"
    mode: str = "open"
    allow: tuple[Destination, ...] = ()
    deny: tuple[Destination, ...] = ()

    def judge_name(self, host: str, port: int) -> Decision:
        """A host as it is written, before anything is looked up: what is not listed is not asked of a resolver."""
        host = host.lower().removesuffix(".")
        address = address_of(host)
        if address is not None:
            return Decision(self.judge_address(host, port, address))
        if any(entry.is_named(host, port) for entry in self.deny):
            return Decision(self._denied(_place(host, port)))
        closed = any(entry.network is not None for entry in self.deny)
        if self.mode == "none":
            return LOOK if is_this_machine(host) else Decision(self._closed(_place(host, port)))
        if self.mode == "listed" and not any(entry.is_named(host, port) for entry in self.allow):
            nets = any(entry.network is not None and entry.first <= port <= entry.last for entry in self.allow)
            return LOOK if nets else Decision(self._unlisted(host, port))
        return LOOK if closed else GO

    def judge_unknown(self, host: str, port: int) -> str:
        """A name behind a proxy that cannot be looked up here. Only its being closed by address is overlooked then."""
        return self._unlisted(host, port) if self.mode != "open" and self.judge_name(host, port).looks else ""

    def judge_address(self, host: str, port: int, address: Address) -> str:
        """One address of a host. Empty if a connection may be made to it, else why not."""
        host, address = host.lower().removesuffix("."), plain(address)
        place = _place(host, port) if address_of(host) is not None else f"{_place(host, port)} ({address})"
        if any(entry.is_named(host, port) or entry.holds(address, port) for entry in self.deny):
            return self._denied(place)
        if self.mode == "none":
            return "" if address.is_loopback else self._closed(place)
        if self.mode == "listed" and not any(
            entry.is_named(host, port) or entry.holds(address, port) for entry in self.allow
        ):
            return self._unlisted(host, port, place)
        return ""

    def _denied(self, place: str) -> str:
        return (
            f"{self._begin(place)}: it is on a list of what is closed; to open it, take it out of server.egress.deny "
            f"(or server.egress.purposes.{self.purpose}.deny)"
        )

    def _closed(self, place: str) -> str:
        return (
            f"{self._begin(place)}: connections leave this machine for nothing (mode none); to open it, set "
            "server.egress.mode to listed and name it in server.egress.allow"
        )

    def _unlisted(self, host: str, port: int, place: str = "") -> str:
        entry = _place(host, port)
        return (
            f"{self._begin(place or entry)}: it is not listed (mode listed); to open it, add {entry!r} to "
            f"server.egress.allow, or to server.egress.purposes.{self.purpose}.allow"
        )

    def _begin(self, place: str) -> str:
        return f"the egress policy of this server forbids the connection to {place} (purpose {self.purpose})"


class EgressPolicy:
    """The rules of all purposes. Without settings everything is open."""

    def __init__(self, settings: "Egress | None" = None) -> None:
        self.settings = settings
        self._rules: dict[str, Rules] = {}

    def rules(self, purpose: "Purpose") -> Rules:
        """Those of one purpose."""
        found = self._rules.get(purpose)
        if found is None:
            found = self._rules[purpose] = self._made(purpose)
        return found

    def _made(self, purpose: "Purpose") -> Rules:
        settings = self.settings
        if settings is None or purpose in _UNGOVERNED:
            return Rules(purpose)
        own = next((rules for name, rules in settings.purposes.items() if name == purpose), None)
        mode = own.mode if own is not None and own.mode is not None else settings.mode
        allow = (*settings.allow, *(own.allow if own is not None else ()))
        deny = (*settings.deny, *(own.deny if own is not None else ()))
        return Rules(purpose, mode, tuple(map(parse, allow)), tuple(map(parse, deny)))


def is_this_machine(host: str) -> bool:
    """Whether a name means this machine everywhere (RFC 6761)."""
    return host == "localhost" or host.endswith(".localhost")


def describe(settings: "Egress | None") -> Iterator[str]:
    """The policy in a few lines, for people."""
    if settings is None:
        yield "open (server.egress is not set): every destination of the configuration may be reached"
        return
    lists = {"allow": settings.allow, "deny": settings.deny}
    yield settings.mode + "".join(f"; {name} {', '.join(found)}" for name, found in lists.items() if found)
    for purpose, rules in settings.purposes.items():
        own = {"allow": rules.allow, "deny": rules.deny}
        said = "".join(f"; {name} {', '.join(found)}" for name, found in own.items() if found)
        yield f"{purpose}: {rules.mode or settings.mode}{said}"


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def address_of(host: str) -> Address | None:
    """The address that a host is, None for a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
