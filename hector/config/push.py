"""Push notifications: whether clients may have them, and where the server may send them."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from hector.config.base import Duration, Names, Section
from hector.core.pattern import pattern

_NAME: Final = pattern(r"(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.?", re.I)


def destinations(value: tuple[str, ...]) -> tuple[str, ...]:
    """Names, addresses and networks. Raises the complaint that the loader turns into a finding."""
    for entry in value:
        if not _is_network(entry) and not (
            _NAME.fullmatch(entry) and not entry.rstrip(".").rpartition(".")[2].isdigit()
        ):
            message = {
                "message": f"{entry!r} is no host and no network",
                "allowed": "names such as hooks.example.com or *.example.com, addresses, networks such as 10.1.0.0/16",
            }
            raise PydanticCustomError("hector", "{message}; allowed: {allowed}", message)
    return value


def _is_network(entry: str) -> bool:
    from ipaddress import ip_network  # noqa: PLC0415 - only where something is allowed

    try:
        ip_network(entry, strict=False)
    except ValueError:
        return False
    return True


Destinations = Annotated[Names, AfterValidator(destinations)]
"""Hosts and networks."""


class PushNotifications(Section):
    """Push notifications of A2A: the server calls addresses that clients name."""

    enabled: bool = Field(True, description="Offer them. Off: clients are refused, and what still waits is not sent.")
    allow: Destinations = Field(
        (),
        description="Destinations beyond the internet: names, `*.domain`, addresses, networks. Metadata services of "
        "clouds and multicast stay closed.",
    )
    allow_private: bool = Field(
        False, description="Open this machine and all private networks as destinations (not link-local addresses)."
    )
    max_retries: int = Field(
        15,
        ge=0,
        le=1000,
        description="How often a notification is sent again to a receiver that is away, fails or hangs: by default for "
        "half an hour at least.",
    )
    initial_delay: Duration = Field(
        1.0, description="Longest wait before it is sent again; it doubles each time. At least half of it is waited."
    )
    max_delay: Duration = Field(600.0, description="Longest wait before it is sent again at all.")
