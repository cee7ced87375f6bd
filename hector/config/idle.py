"""Keys that are right but without effect beside what else is said: each is a warning, so that nobody relies on them.

Looked at once names and short forms have been settled; what is no block of keys is complained about elsewhere.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from hector.config.document import Document
from hector.config.findings import Where

Block: TypeAlias = dict[str, Any]
Found: TypeAlias = Iterator[tuple[str, str]]
"""A key of a block that has no effect, and the rest of the sentence that says why."""

_STRATEGIES: Final[Mapping[str, frozenset[str]]] = {
    "none": frozenset(),
    "buffer_window": frozenset(("window_size",)),
    "token_window": frozenset(("budget", "preserve_recent")),
    "summary_buffer": frozenset(("budget", "threshold", "target", "preserve_recent", "summarizer_llm")),
}
"""What each strategy of `context` goes by."""
_WINDOWS: Final = frozenset().union(*_STRATEGIES.values())
_REMEMBERING: Final = frozenset(("memory_search", "remember", "forget", "memorytool"))
_READING: Final = frozenset(("read_file", "grep_search", "list_files"))
"""File tools that change nothing."""
_CHANGING: Final = ("read_only", "max_write", "undo")
_CONFINED: Final = ("network", "read", "write", "hide")
"""What only the levels from landlock on can hold."""


_SWITCHED: Final[Mapping[str, str]] = {
    "hyde_llm": "enable_hyde", "multi_query_llm": "enable_multi_query", "multi_query_count": "enable_multi_query",
    "rerank_llm": "enable_rerank", "rerank_max_results": "enable_rerank", "reranker": "enable_rerank",
}  # fmt: skip
"""Keys of a store's `search`, and what they take."""
_SILENT: Final = frozenset(("sql", "api", "git"))
"""Sources that never tell of changes."""


def check(document: Document) -> None:
    """Report every one of them."""
    agents, tools = _blocks(document.value, "agents"), _blocks(document.value, "tools")
    memory = _block(document.value.get("storage")).get("memory")
    for name, agent in agents.items():
        where: Where = ("agents", name)
        context = _block(agent.get("context"))
        trigger = _block(agent.get("trigger"))
        _say(document, (*where, "context"), _windows(context))
        _say(document, (*where, "trigger"), _deliveries(trigger))
        _say(document, (*where, "trigger", "response"), _answers(_block(trigger.get("response"))))
        _say(document, where, _alone(name, agent, agents))
        _say(document, where, _documents(document, agent))
        _memory(document, where, agent, memory, tools)
    for name, tool in tools.items():
        for path, rule in _RULES.get(str(tool.get("type")), ()):
            block = tool
            for key in path:
                block = _block(block.get(key))
            _say(document, ("tools", name, *path), rule(tool, block))
        if memory is None and str(tool.get("handler")) in _REMEMBERING:
            _unkept(document, ("tools", name, "handler"), str(tool["handler"]), key=False)
    for name, store in _blocks(document.value, "document_stores").items():
        _say(document, ("document_stores", name), _watching(store))
        _say(document, ("document_stores", name, "search"), _helpers(_block(store.get("search"))))
    for name, database in _blocks(document.value, "databases").items():
        _say(document, ("databases", name), _certificates(database))
    _say(document, ("server", "cors"), _nobody(_block(_block(document.value.get("server")).get("cors"))))
    _say(document, ("storage", "memory"), _turns(_block(memory)))
    _say(document, ("storage", "memory"), _by_words(_block(memory)))


def _block(value: Any) -> Block:
    return value if isinstance(value, dict) else {}


def _blocks(value: Block, name: str) -> dict[str, Block]:
    return {key: block for key, block in _block(value.get(name)).items() if isinstance(block, dict)}


def _say(document: Document, where: Where, found: Found) -> None:
    for key, why in list(found):
        document.report(
            "range", (*where, key), f"{key!r} has no effect {why}", key=True, hint="remove it", severity="warning"
        )


def _windows(context: Block) -> Found:
    strategy = str(context.get("strategy", "none"))
    for key in [key for key in context if key in _WINDOWS - _STRATEGIES.get(strategy, _WINDOWS)]:
        uses = " or ".join(name for name, keys in _STRATEGIES.items() if key in keys)
        yield key, f"with strategy {strategy}, only with {uses}"


def _alone(name: str, agent: Block, agents: Mapping[str, Block]) -> Found:
    kind = str(agent.get("type", "llm"))
    if kind in {"remote", "runner"} and "delegation" in agent:
        yield "delegation", f"for an agent of type {kind}: it has no other agent work for it"
    if kind == "conditional" and "condition_operator" in agent and not agent.get("condition_value"):
        yield "condition_operator", "without a condition_value to compare with"
    if not any(name in _names(other.get("sub_agents")) for other in agents.values()):
        for key in ("disallow_transfer_to_parent", "disallow_transfer_to_peers"):
            if agent.get(key) is True:
                yield key, "for an agent that is nobody's sub-agent"


def _names(value: Any) -> list[str]:
    names = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return [str(one).strip() for one in names]


def _memory(document: Document, where: Where, agent: Block, memory: Any, tools: Mapping[str, Block]) -> None:
    """An agent's `memory` and the tools that it names for it."""
    block = _block(agent.get("memory"))
    if memory is None:
        if block:
            _unkept(document, (*where, "memory"), "memory", key=True)
        for step, name in enumerate(_names(agent.get("tools"))):
            if name in _REMEMBERING and name not in tools:
                place: Where = (*where, "tools", step) if isinstance(agent.get("tools"), list) else (*where, "tools")
                _unkept(document, place, name, key=False)
        return
    if block.get("recall") is False and "limit" in block:
        _say(document, (*where, "memory"), iter((("limit", "without recall"),)))
    if _block(memory).get("turns") is False and block.get("save") is True:
        _say(document, (*where, "memory"), iter((("save", "while storage.memory.turns is off"),)))


def _unkept(document: Document, where: Where, what: str, *, key: bool) -> None:
    document.report(
        "range", where, f"{what!r} has no effect: nothing is remembered without storage.memory", key=key,
        hint="add storage: {memory: {}}, or remove it", severity="warning",
    )  # fmt: skip


def _turns(memory: Block) -> Found:
    if memory.get("turns") is False and "expires" in memory:
        yield "expires", "without turns: what agents are told to remember says for how long"


def _by_words(memory: Block) -> Found:
    if memory.get("backend", "keyword") == "keyword":
        for key in ("embedder", "vector_provider"):
            if memory.get(key):
                yield key, "with backend keyword, only with vector"


def _documents(document: Document, agent: Block) -> Found:
    """Keys about documents, of an agent that has none or is shown none."""
    has_stores = bool(document.value.get("document_stores")) and agent.get("document_stores") not in ([], "")
    for key in ("include_context", "search"):
        if agent.get(key) and not has_stores:
            yield key, "for an agent without document stores"
    for key in ("include_context_limit", "include_context_max_length"):
        if key in agent and agent.get("include_context") is not True:
            yield key, "without include_context"


def _deliveries(trigger: Block) -> Found:
    kind = str(trigger.get("deduplicate", "auto"))
    for key in ("delivery_header", "replay_window"):
        if key in trigger and kind in {"body", "off"}:
            yield key, f"with deduplicate {kind}, only with auto"


def _answers(response: Block) -> Found:
    """Beside what triggerforms.py says."""
    mode = str(response.get("mode", "sync"))
    if "timeout" in response and mode != "sync":
        yield "timeout", f"with mode {mode}, only with sync"
    if response.get("callback_url") and "callback_field" in response and mode == "callback":
        yield "callback_field", "beside callback_url"


def _watching(store: Block) -> Found:
    kind = str(_block(store.get("source")).get("type"))
    if store.get("watch") is True and kind in _SILENT:
        yield "watch", f"for a source of type {kind}, which tells of no changes: set indexing.interval"


def _helpers(search: Block) -> Found:
    for key, switch in _SWITCHED.items():
        if search.get(key) and search.get(switch) in (None, False):
            yield key, f"without {switch}"
    if search.get("rerank_llm") and search.get("reranker"):
        yield "rerank_llm", "beside reranker"


def _certificates(database: Block) -> Found:
    """Files that TLS to PostgreSQL does not look at."""
    mode = str(database.get("ssl_mode", "disable"))
    for key in ("ssl_root_cert", "ssl_cert", "ssl_key") if database.get("driver") == "postgres" else ():
        if database.get(key) and mode in {"disable", "allow", "prefer"}:
            yield key, f"with ssl_mode {mode}, only with require, verify-ca and verify-full"
        elif key == "ssl_key" and database.get(key) and not database.get("ssl_cert"):
            yield key, "without ssl_cert"


def _nobody(cors: Block) -> Found:
    if not cors.get("allowed_origins"):
        for key in cors.keys() - {"allowed_origins"}:
            yield key, "without allowed_origins"


def _sandbox(tool: Block, sandbox: Block) -> Found:
    level = str(sandbox.get("level", "auto"))
    for key in _CONFINED if level in {"none", "process"} else ():
        if key in sandbox:
            yield key, f"with level {level}, only with landlock or namespaces"


def _files(tool: Block, files: Block) -> Found:
    handler = str(tool.get("handler"))
    for key in _CHANGING:
        if key in files and handler in _READING:
            yield key, f"with {handler}, which changes nothing"
        elif key in files and key != "read_only" and files.get("read_only") is True:
            yield key, "with read_only"


def _web(tool: Block, _: Block) -> Found:
    offered = _names(tool["tools"]) if "tools" in tool else ["web_fetch", "web_request", "web_search"]
    if "methods" in tool and "web_request" not in offered:
        yield "methods", "without web_request"
    if "search" in tool and "web_search" not in offered:
        yield "search", "without web_search"


def _search(tool: Block, search: Block) -> Found:
    if search.get("provider") == "searxng" and "api_key" in search:
        yield "api_key", "with provider searxng; set headers.Authorization where it wants one"


def _oauth(tool: Block, oauth: Block) -> Found:
    if oauth.get("token_url") and "issuer" in oauth:
        yield "issuer", "beside token_url"


_Rule: TypeAlias = tuple[tuple[str, ...], Callable[[Block, Block], Found]]
_RULES: Final[Mapping[str, tuple[_Rule, ...]]] = {
    "command": ((("sandbox",), _sandbox),),
    "function": ((("files",), _files),),
    "mcp": ((("oauth",), _oauth),),
    "web": (((), _web), (("search",), _search)),
}
"""By type of tool: where in the entry a block stands, and what is without effect in it."""
