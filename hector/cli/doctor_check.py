"""One finding of `hector doctor`."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from hector.core.record import dataclass


class State(StrEnum):
    """How it stands. A warning is worth a look; only a failure keeps something from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Check:
    """`destination`, `purpose` and `via` (a proxy) are given for what is contacted; `took` in seconds by step."""

    group: str
    name: str
    state: State
    text: str
    remedy: str = ""
    destination: str = ""
    purpose: str = ""
    via: str = ""
    took: Mapping[str, float] = field(default_factory=dict)
    expires: float | None = None
