"""Older spellings, turned into ours before anything is checked."""

from collections.abc import Mapping
from typing import Any, Final

from hector.config import databases, handlers, sourceforms
from hector.config.document import Document, at, matches
from hector.config.findings import Where
from hector.core.record import dataclass


@dataclass(frozen=True, slots=True)
class Renamed:
    """A key that now stands elsewhere: `to` is a path from the block that held it."""

    pattern: str
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Respelled:
    """Values of a key that are written differently now. `to` None leaves the key out."""

    pattern: str
    values: Mapping[str, str | None]


_VECTOR_STORES: Final = ("chromem", "qdrant", "weaviate", "milvus", "chroma", "pinecone", "pgvector")
"""In any case of letters."""

_TRIES: Final = ("max_retries", "max_attempts", "initial_delay", "base_delay")
"""Words of which some blocks know one, and take another."""

HANDLERS: Final[dict[str, str | None]] = {
    "approvaltool": "request_approval", "str_replace_editor": "text_editor", "editor": "text_editor",
    "edit": "text_editor", "grep": "grep_search", "todo": "todo_write", "memory": "memory_search",
    "searchtool": "search",
}  # fmt: skip
"""Names of tools."""

KEYS: Final[tuple[Renamed, ...]] = (
    Renamed("agents.*.prompt.system", ("system_prompt",)),
    Renamed("agents.*.system_prompt", ("prompt", "system_prompt")),
    Renamed("agents.*.workflow", ("type",)),
    Renamed("tools.*.max_execution_time", ("timeout",)),
    Renamed("databases.*.path", ("database",)),
    Renamed("databases.*.dsn", ("database",)),
    Renamed("databases.*.user", ("username",)),
    Renamed("databases.*.sslmode", ("ssl_mode",)),
    Renamed("databases.*.max_open_conns", ("max_conns",)),
    Renamed("vector_stores.*.dsn", ("url",)),
    Renamed("vector_stores.*.connection_string", ("url",)),
)

MOVES: Final[tuple[tuple[Where, Where], ...]] = (
    (("server", "tasks"), ("storage", "tasks")),
    (("server", "sessions"), ("storage", "sessions")),
    (("server", "storage"), ("storage",)),
    (("server", "rate_limiting"), ("rate_limiting",)),
    (("server", "memory"), ("storage", "memory")),
    (("server", "observability"), ("observability",)),
    (("server", "metrics"), ("observability", "metrics")),
    (("metrics",), ("observability", "metrics")),
)

VALUES: Final[tuple[Respelled, ...]] = (
    Respelled("databases.*.driver", {"sqlite3": "sqlite"}),
    Respelled("storage.*.backend", {"memory": "inmemory", "in_memory": "inmemory", "sqlite": "sql"}),
    Respelled("rate_limiting.backend", {"inmemory": "memory", "in_memory": "memory"}),
    Respelled("rate_limiting.scope", {"ip": "address"}),
    Respelled("logger.format", {"simple": "text", "verbose": "text", "custom": "text"}),
    Respelled("logger.level", {"warning": "warn"}),
    Respelled("agents.*.context.strategy", {"sliding_window": "buffer_window", "summary": "summary_buffer"}),
    Respelled("tools.*.handler", HANDLERS),
    Respelled("agents.*.tools.*", HANDLERS),
    Respelled("agents.*.type", {"": None}),
    Respelled(
        "vector_stores.*.type",
        {
            "embedded": "chromem",
            "numpy": "chromem",
            "local": "chromem",
            "postgres": "pgvector",
            "postgresql": "pgvector",
        }
        | {name: name for name in _VECTOR_STORES},
    ),
)


def apply(document: Document) -> None:
    """Bring the document into today's spelling. Old and new name together are a duplicate."""
    for renamed in KEYS:
        for where in list(matches(document.value, renamed.pattern)):
            _move(document, where, (*where[:-1], *renamed.to))
    for old, new in MOVES:
        if next(matches(document.value, ".".join(map(str, old))), None):
            _move(document, old, new)
    for respelled in VALUES:
        for where in list(matches(document.value, respelled.pattern)):
            _respell(document, respelled, where)
    databases.unfold(document)
    if any(word in document.text for word in _TRIES):
        from hector.config import retries  # noqa: PLC0415 - most files say nothing of tries

        retries.unfold(document)
    handlers.unfold(document)
    sourceforms.unfold(document)
    if next(matches(document.value, "agents.*.trigger"), None):
        from hector.config import triggerforms  # noqa: PLC0415 - most files have none

        triggerforms.unfold(document)


def _move(document: Document, old: Where, new: Where) -> None:
    holder: Any = document.value
    for step in new[:-1]:
        holder = holder.get(step, {}) if isinstance(holder, dict) else None
    if not isinstance(holder, dict):
        return
    if new[-1] in holder:
        document.report(
            "duplicate",
            old,
            f"{old[-1]!r} is another name of {new[-1]!r}, which is given too",
            key=True,
            hint="keep one",
        )
        del at(document.value, old[:-1])[old[-1]]
        return
    document.move(old, new)


def _respell(document: Document, row: Respelled, where: Where) -> None:
    value = at(document.value, where)
    if not isinstance(value, str) or value.strip().lower() not in row.values:
        return
    new = row.values[value.strip().lower()]
    holder = at(document.value, where[:-1])
    if new is None:
        del holder[where[-1]]
    else:
        document.written.setdefault(where, value)
        holder[where[-1]] = new
