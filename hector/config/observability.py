"""What the server tells of itself to those who watch over it."""

from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from hector.config.base import Section

_TAKEN: Final = frozenset(
    ("admin", "agents", "api", "health", "livez", "mcp", "readyz", "schema", "tasks", "v1", "webhooks")
)
"""Segments of paths that lead elsewhere."""
OWN_LABELS: Final = frozenset(
    ("agent_name", "agent_type", "app", "app_name", "error_type", "event_type", "index_type", "kind", "le", "method",
     "metric", "model", "path", "provider", "status", "store_name", "tool_name", "type", "version")
)  # fmt: skip
"""Names of labels that series have anyway."""


def _free(path: str) -> str:
    """Raises the complaint that the loader turns into a finding."""
    if taken := [part for part in path.split("/") if part in _TAKEN]:
        raise PydanticCustomError(
            "hector",
            "{message}; allowed: {allowed}",
            {"message": f"{path!r} leads elsewhere: {taken[0]!r} is taken", "allowed": "/metrics or another free path"},
        )
    return path


def _new(labels: dict[str, str]) -> dict[str, str]:
    if taken := sorted(OWN_LABELS & labels.keys()):
        raise PydanticCustomError(
            "hector",
            "{message}; allowed: {allowed}",
            {"message": f"{', '.join(taken)}: series have labels of that name", "allowed": "other names of labels"},
        )
    return labels


Path: TypeAlias = Annotated[str, Field(pattern=r"^(/[a-z0-9_-]+){1,4}$"), AfterValidator(_free)]
Word: TypeAlias = Annotated[str, Field(pattern=r"^([a-zA-Z][a-zA-Z0-9_]{0,62})?$")]
LabelName: TypeAlias = Annotated[str, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_]{0,62}$")]
LabelValue: TypeAlias = Annotated[str, Field(max_length=128)]


class Metrics(Section):
    """Figures for Prometheus."""

    enabled: bool = Field(False, description="Whether they are counted and served; `--metrics` says the same.")
    endpoint: Path = Field("/metrics", description="Where they are served.")
    namespace: Word = Field("hector", description="What their names begin with. Empty: nothing.")
    subsystem: Word = Field("", description="What follows the namespace in their names.")
    const_labels: Annotated[dict[LabelName, LabelValue], AfterValidator(_new)] = Field(
        {}, description="Labels on each series, for example the name of the instance."
    )
    max_apps: int = Field(
        100, ge=1, le=10_000, description="How many apps each metric tells apart; the rest count as `(other)`."
    )
    max_series: int = Field(
        100,
        ge=1,
        le=10_000,
        description="How many series each metric has for one app; further agents, tools and so on count as `(other)`.",
    )

    @property
    def prefix(self) -> str:
        """What their names begin with."""
        return "".join(f"{word}_" for word in (self.namespace, self.subsystem) if word)


class Observability(Section):
    """What is told to those who watch over the server."""

    metrics: Metrics = Field(default_factory=Metrics.model_construct, description="Figures for Prometheus.")
