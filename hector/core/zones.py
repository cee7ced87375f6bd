"""Time zones by name: the machine's own data, or what the executable carries where a machine has none."""

import sys
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

_CARRIED: Final = "zones.zip"
"""The package tzdata, packed into one file: the executable unpacks its files at every start, and those are 600."""


def zone(name: str) -> tzinfo:
    """The zone of an IANA name, or UTC. Raises KeyError, ValueError or OSError where there is none."""
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except KeyError:
        carried = Path(getattr(sys, "_MEIPASS", "")) / _CARRIED
        if str(carried) in sys.path or not carried.is_file():
            raise
        sys.path.append(str(carried))
        return ZoneInfo(name)
