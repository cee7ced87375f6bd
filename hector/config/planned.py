"""Capabilities that the format knows and this version lacks: refused by name, never ignored.

When one is built, its rows leave this module and its section enters the package. A row may list values that mean "off":
they say what is the case anyway and are dropped without a word.
"""

from typing import Any, Final

from hector.config.document import Document, at, matches
from hector.config.findings import Where
from hector.core.record import dataclass

REASON: Final = "is not available in this version"


@dataclass(frozen=True, slots=True)
class Planned:
    """`pattern` is a path with stars; `what` names the capability; `off` are values that ask for nothing."""

    pattern: str
    what: str
    off: tuple[Any, ...] = (None,)
    instead: str = ""


@dataclass(frozen=True, slots=True)
class PlannedValue:
    """Values of a key that are not available. With `whole`, the block around the key is set aside with it."""

    pattern: str
    values: frozenset[str]
    what: str
    whole: bool = False
    instead: str = ""


_NONE: Final[tuple[Any, ...]] = (None, {}, [])

TOP: Final = (
    Planned("guardrails", "guardrails", _NONE),
    Planned("observability.tracing", "tracing", (*_NONE, {"enabled": False})),
)


AGENTS: Final = (
    Planned("agents.*.guardrails", "guardrails", (None, "")),
    Planned("agents.*.notifications", "notifications", _NONE),
    Planned("agents.*.reasoning.termination_conditions", "choosing when a turn ends", _NONE),
)

OPERATIONS: Final = (
    Planned("server.grpc_port", "gRPC", (None, 0)),
    Planned("server.transport", "gRPC", (None, "json-rpc", "jsonrpc", "http", "rest", "http+json"),
            "JSON-RPC and HTTP+JSON are both always served"),
    Planned("server.studio", "Studio", (None, {}, {"enabled": False})),
    Planned("rate_limiting.sql_database", "a database of its own for counters",
            instead="leave it out: with backend sql they are kept where the sessions are"),
    Planned("server.credentials", "credentials towards other servers"),
)  # fmt: skip

KEYS: Final[tuple[Planned, ...]] = (*TOP, *AGENTS, *OPERATIONS)

VALUES: Final[tuple[PlannedValue, ...]] = (
    PlannedValue("agents.*.trigger.type", frozenset(("schedule",)), "trigger", whole=True),
    PlannedValue(
        "storage.memory.vector_provider.type",
        frozenset(("qdrant", "chroma", "pinecone", "weaviate", "milvus", "pgvector")), "vector store of memories",
        instead="leave vector_provider out, or use type chromem: their vectors stand beside them, in the database",
    ),
    PlannedValue(
        "llms.*.provider", frozenset(("deepseek", "groq", "mistral", "cohere")), "provider", whole=True,
        instead="use provider openai with the base_url of its compatible interface",
    ),
    PlannedValue(
        "databases.*.driver", frozenset(("mysql", "mariadb")), "database", whole=True,
        instead="use driver postgres or sqlite",
    ),
)  # fmt: skip


def refuse(document: Document) -> None:
    """Report everything planned and take it out of the document, so that nothing else complains about it."""
    for choice in VALUES:
        for where in reversed(list(matches(document.value, choice.pattern))):
            _refuse_value(document, choice, where)
    for row in KEYS:
        for where in list(matches(document.value, row.pattern)):
            _refuse_key(document, row, where)


def _refuse_value(document: Document, row: PlannedValue, where: Where) -> None:
    value = at(document.value, where)
    if not isinstance(value, str) or value.strip().lower() not in row.values:
        return
    document.report(
        "planned",
        where,
        f"{row.what} {value!r} {REASON}",
        hint=row.instead or ("remove the block" if row.whole else "remove the key"),
    )
    out = where[:-1] if row.whole else where
    del at(document.value, out[:-1])[out[-1]]
    document.set_aside.add(out)


def _refuse_key(document: Document, row: Planned, where: Where) -> None:
    holder = at(document.value, where[:-1])
    value = holder.pop(where[-1])
    if not any(value == off and type(value) is type(off) for off in row.off):
        hint = row.instead or "remove the key"
        what = "" if row.what.replace(" ", "_") == where[-1] else f" ({row.what})"
        document.report("planned", where, f"{where[-1]!r}{what} {REASON}", key=True, hint=hint)
