"""All metrics, each with what it counts: the one list that the page, the documentation and the tests read.

Names stand here without the namespace, which the page puts in front, and counters without `_total`, which the formats
put behind them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from hector.observe.metrics_series import Bounds, Counter, Distribution, Family, Gauge, Histogram, Value

if TYPE_CHECKING:
    from hector.core.event import Event

AgentCells: TypeAlias = tuple[str, Value, Distribution, Value]
"""An agent's type, calls, seconds, and how many of it are at work."""


def _doubling(first: float, count: int, factor: float = 2.0) -> tuple[float, ...]:
    return tuple(float(f"{first * factor**at:.12g}") for at in range(count))


AGENT: Final = _doubling(0.01, 15)
LLM: Final = _doubling(0.1, 12)
TOOL: Final = _doubling(0.001, 15)
LOOK_UP: Final = _doubling(0.001, 12)
SIZE: Final = _doubling(100, 7, 10)
REQUEST: Final = _doubling(0.001, 15)
LAG: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
RESULTS: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Upper ends of buckets: seconds, octets, results."""

_AGENT: Final = ("agent_name", "agent_type")
_MODEL: Final = ("model", "provider")
_PATH: Final = ("method", "path")


class Agents:
    """Agents, models, tools, memories."""

    def __init__(self) -> None:
        self.agent_calls = Counter(
            "agent_calls", "Parts of runs that agents have begun; what goes on after a pause or a crash is not new.",
            _AGENT,
        )  # fmt: skip
        self.agent_seconds = Histogram(
            "agent_call_duration_seconds", "How long agents worked, from begin or resumption to their end or pause.",
            AGENT, _AGENT,
        )  # fmt: skip
        self.agent_errors = Counter(
            "agent_errors", "Attempts of agents that failed, those included that are made again.",
            (*_AGENT, "error_type"),
        )  # fmt: skip
        self.agent_active = Gauge("agent_active_runs", "Agents at work now, called ones included.", ("agent_name",))
        self.llm_calls = Counter("llm_calls", "Calls of models.", _MODEL)
        self.llm_seconds = Histogram("llm_call_duration_seconds", "How long models took to answer.", LLM, _MODEL)
        self.llm_input = Counter("llm_tokens_input", "Tokens that models were sent.", _MODEL)
        self.llm_output = Counter("llm_tokens_output", "Tokens that models answered with.", _MODEL)
        self.llm_errors = Counter("llm_errors", "Calls of models that failed.", (*_MODEL, "error_type"))
        self.tool_calls = Counter(
            "tool_calls", "Calls of tools. Names that models invented count as (unknown).", ("tool_name",)
        )
        self.tool_seconds = Histogram("tool_call_duration_seconds", "How long tools took.", TOOL, ("tool_name",))
        self.tool_errors = Counter("tool_errors", "Calls of tools that failed.", ("tool_name", "error_type"))
        self.memory_searches = Counter("memory_searches", "Searches of memories.")
        self.memory_seconds = Histogram("memory_search_duration_seconds", "How long these took.", LOOK_UP)
        self.memory_indexed = Counter(
            "memory_indexed", "Memories that were stored to be found by words (keyword) or meaning (vector).",
            ("index_type",),
        )  # fmt: skip


class Work:
    """Sessions, the queue, notifications, apps."""

    def __init__(self) -> None:
        self.sessions = Counter("session_created", "Sessions that were begun.", alias=True)
        self.sessions_active = Gauge("session_active", "Sessions that this process works for now.", alias=True)
        self.events = Counter("session_events", "Events that were stored.", ("event_type",), alias=True)
        self.queue_depth = Gauge(
            "queue_depth", "Jobs in the database that wait, are worked on, or given up; of all processes.", ("status",),
            alias=True,
        )  # fmt: skip
        self.queue_latency = Histogram(
            "queue_latency_seconds", "How long runs waited until they were begun for the first time.", LOOK_UP,
            ("agent_name",), alias=True,
        )  # fmt: skip
        self.queue_seconds = Histogram(
            "queue_processing_duration_seconds", "How long attempts at runs took.", AGENT, ("agent_name",), alias=True
        )
        self.dead_letters = Counter("dead_letters", "Jobs that were given up.", ("kind",))
        self.notifications = Counter(
            "notification_sent", "Attempts to deliver push notifications.", ("agent_name", "type", "status")
        )
        self.notification_seconds = Histogram(
            "notification_duration_seconds", "How long these took.", LOOK_UP, ("agent_name", "type")
        )
        self.notification_retries = Counter(
            "notification_retries", "Of these, those after the first of each notification.", ("agent_name", "type")
        )
        self.app_loads = Counter("app_load", "Apps that were loaded, or could not be.", ("status",), alias=True)
        self.app_load_seconds = Histogram("app_load_duration_seconds", "How long that took.", LOOK_UP, alias=True)
        self.app_unloads = Counter("app_unload", "Apps that were let go of.", alias=True)


class Edge:
    """HTTP, document stores, the process."""

    def __init__(self) -> None:
        self.requests = Counter(
            "http_requests", "Requests by the template of their route; (none) is a path that leads nowhere.",
            (*_PATH, "status"),
        )  # fmt: skip
        self.request_seconds = Histogram(
            "http_request_duration_seconds", "How long answers took to their end, streams included.", REQUEST, _PATH
        )
        self.request_size = Histogram("http_request_size_bytes", "Bodies of requests.", SIZE, _PATH)
        self.response_size = Histogram("http_response_size_bytes", "Bodies of answers.", SIZE, _PATH)
        self.documents_indexed = Counter("rag_documents_indexed", "Documents that were read.", ("store_name",))
        self.documents_skipped = Counter("rag_documents_skipped", "Documents that had not changed.", ("store_name",))
        self.documents_failed = Counter("rag_documents_errors", "Documents that could not be read.", ("store_name",))
        self.index_seconds = Histogram(
            "rag_index_duration_seconds", "How long it took to look through a source.", AGENT, ("store_name",)
        )
        self.searches = Counter("rag_searches", "Searches of document stores.", ("store_name",))
        self.search_seconds = Histogram("rag_search_duration_seconds", "How long they took.", LOOK_UP, ("store_name",))
        self.search_results = Histogram("rag_search_results_count", "Passages found.", RESULTS, ("store_name",))
        self.loop_lag = Histogram(
            "event_loop_lag_seconds", "How much later than it asked for a timer of the event loop rang.", LAG,
            of_apps=False,
        )  # fmt: skip
        self.folded = Counter(
            "metrics_folded", "What found no room for a series of its own and was counted in one named (other).",
            ("metric",), of_apps=False,
        )  # fmt: skip


class Metrics(Agents, Work, Edge):
    """All of one process."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        for group in (Agents, Work, Edge):
            group.__init__(self)
        for family in self.families():
            family.bounds = bounds or Bounds()
        self.forgotten = 0
        """How many apps are no more: whoever keeps cells asks for them anew when it has changed."""
        self._types: dict[str, Mapping[str, str]] = {}
        self._agents: dict[tuple[str, str], AgentCells] = {}

    def families(self) -> Iterator[Family[Any]]:
        """All of them."""
        return (one for one in vars(self).values() if isinstance(one, Family))

    def forget(self, app: str) -> None:
        """An app is no more."""
        for family in self.families():
            family.forget(app)
        self.forgotten += 1
        self.note_types(app, {})

    def note_types(self, app: str, types: Mapping[str, str]) -> None:
        """Say of which types the agents of an app are, by id, when it has been built."""
        self._types[app] = types
        self._agents.clear()
        if not types:
            del self._types[app]

    def agent(self, app: str, agent: str) -> AgentCells:
        """What an agent's work adds to."""
        found = self._agents.get((app, agent))
        if found is None:
            kind = self._types.get(app, {}).get(agent, "")
            place = (app, agent, kind)
            cells = self.agent_calls.cell(*place), self.agent_seconds.cell(*place), self.agent_active.cell(app, agent)
            found = self._agents[app, agent] = (kind, *cells)
        return found

    def accepted(self, app: str, agent: str, fresh: bool, fence: int) -> None:
        """Count a message: of a `fresh` session or a known one, begun at once if its claim has a fence."""
        if fresh:
            self.sessions.add(app)
        self.events.add(app, "user")
        if fence:
            self.queue_latency.observe(0.0, app, agent)

    def stored(self, app: str, events: "Sequence[Event]") -> None:
        """Count events that have been stored."""
        for event in events:
            self.events.add(app, event_type(event))


def event_type(event: "Event") -> str:
    """What kind of step an event tells of."""
    if event.author == "user":
        return "user"
    if event.control is not None:
        return "control"
    if event.tool_results:
        return "tool_result"
    if event.message.tool_calls:
        return "tool_call"
    return "message" if event.message.parts else "mark"
