"""The gate that every connection of this process passes: judged by the egress policy, counted by destination.

One policy for one process. `governed` puts it in force for as long as a server runs; without one, everything is open.
Clients ask at each new connection, so that it does not matter when they were made.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from hector.config.destinations import Address
from hector.core.errors import StartupError
from hector.net.egress import EgressRefused, Policy, parse_address
from hector.net.ledger import Ledger, Traffic
from hector.net.policy import EgressPolicy, address_of
from hector.net.resolver import Resolver

if TYPE_CHECKING:
    from hector.config.egress import Egress
    from hector.net.policy import Purpose

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name. Raises OSError."""


class Gate:
    """A policy, and what has passed or was held up under it."""

    def __init__(self, settings: "Egress | None" = None) -> None:
        self.policy = EgressPolicy(settings)
        self.ledger = Ledger()
        self.holders = 0

    @property
    def settings(self) -> "Egress | None":
        """What the policy was made from."""
        return self.policy.settings

    def admit(self, purpose: "Purpose", host: str, port: int) -> bool:
        """Judge a host by what is written. True: its addresses have to be judged too. Raises EgressRefused."""
        decision = self.policy.rules(purpose).judge_name(host, port)
        if decision.refusal:
            self.refuse(purpose, host, port, decision.refusal)
        return decision.looks

    def admit_address(self, purpose: "Purpose", host: str, port: int, address: Address) -> None:
        """Judge one address of a host. Raises EgressRefused."""
        if why := self.policy.rules(purpose).judge_address(host, port, address):
            self.refuse(purpose, host, port, why)

    def refuse(self, purpose: "Purpose", host: str, port: int, why: str) -> None:
        """Note a refusal, whoever has decided it. Raises EgressRefused."""
        self.ledger.row(purpose, host, port, refused=True).refuse(why)
        raise EgressRefused(why)

    async def addresses(
        self, purpose: "Purpose", host: str, port: int, *, outside: Policy | None = None, resolve: Resolve | None = None
    ) -> tuple[Address, ...]:
        """The addresses to connect to, every one of them judged; none: any address of the name will do.

        `outside` is the policy for an address that a client or a model has chosen. One address that is forbidden spoils
        the whole answer. Raises EgressRefused, and OSError when the name cannot be resolved.
        """
        if not self.admit(purpose, host, port) and outside is None:
            return ()
        written = address_of(host)
        found = (host,) if written is not None else await (resolve or Resolver())(host, port)
        addresses = tuple(dict.fromkeys(parse_address(text) for text in found))
        for address in addresses:
            self.admit_address(purpose, host, port, address)
            if outside is not None:
                self._outside(purpose, host, port, address, outside)
        if not addresses:
            raise OSError("the name has no address")
        return addresses

    def _outside(self, purpose: "Purpose", host: str, port: int, address: Address, outside: Policy) -> None:
        try:
            outside.check(host, address)
        except EgressRefused as error:
            self.refuse(purpose, host, port, str(error))

    def traffic(self, purpose: "Purpose", host: str, port: int) -> Traffic:
        """The row to count under."""
        return self.ledger.row(purpose, host, port)


_open = Gate()
_gates: list[Gate] = [_open]


def current() -> Gate:
    """The gate in force."""
    return _gates[-1]


@contextmanager
def governed(settings: "Egress | None") -> Iterator[Gate]:
    """Put a policy in force. Raises StartupError where another one is: a process has one."""
    gate = current()
    if gate.holders and gate.settings != settings:
        raise StartupError(
            "another server of this process has another egress policy, and a process has only one\n"
            "Give both the same server.egress, or run them as two processes"
        )
    if not gate.holders:
        gate = Gate(settings)
        _gates.append(gate)
    gate.holders += 1
    try:
        yield gate
    finally:
        gate.holders -= 1
        if not gate.holders:
            _gates.remove(gate)
