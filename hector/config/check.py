"""What no single field can know: what is left out, what refers to what, which files must exist."""

import re
from collections.abc import Collection, Iterable
from dataclasses import field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Protocol

from hector.config import delegation, handlers, plans, providers
from hector.config.document import Document, matches
from hector.config.environment import Environment
from hector.config.findings import Where
from hector.config.shape import peek
from hector.config.tools import BUILT_IN, kind_of
from hector.config.translate import found, suggest
from hector.core.pattern import pattern
from hector.core.record import dataclass

_KEY: Final = pattern(r"[!-~]+")
_HEADER_NAME: Final = pattern(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = pattern(r"[\t -~\xa0-\xff]*")
_DECLARED: Final = {
    "handler": "for a function of yours, start the program that registers it instead of hector",
    "tool": "declare it under tools",
    "model": "declare it under llms",
    "agent": "declare it under agents",
    "document store": "declare it under document_stores",
    "embedder": "declare it under embedders, or leave the key out",
    "vector store": "declare it under vector_stores, or leave the key out",
}
"""Where that comes from which something refers to."""
_PATTERNS: Final = ("user", "system", "tool_result_matches")


class Restriction(Protocol):
    """What a configuration may use, where whoever wrote it may not use everything. It reports, and takes out."""

    @property
    def folder(self) -> Path | None:
        """Where the files are that it may name."""

    def before(self, document: Document) -> None:
        """Judge what is written, before variables are filled in."""

    def after(self, document: Document) -> None:
        """Judge what is meant, before any file is read."""


@dataclass(slots=True)
class Surroundings:
    """What a configuration is checked against. `files` collects what was read beside it."""

    folder: Path
    environment: Environment
    handlers: Collection[str] = ()
    restriction: Restriction | None = None
    files: list[Path] = field(default_factory=list)


def drop_empty(document: Document) -> None:
    """`key:` without a value means that the key is left out; an id without a value is a block of defaults.

    Keys of the top level that begin with `x-` are a place for anchors and say nothing by themselves.
    """
    document.value = {key: value for key, value in document.value.items() if not key.startswith("x-")}
    for name in ("llms", "agents", "tools", "document_stores", "embedders", "vector_stores"):
        block = document.value.get(name)
        if isinstance(block, dict):
            document.value[name] = {key: {} if value is None else value for key, value in block.items()}
    document.value = _without_none(document.value)


def _without_none(value: Any, depth: int = 0) -> Any:
    if isinstance(value, dict):
        return {
            key: inner if key in {"schema", "parameters", "args"} and depth > 1 else _without_none(inner, depth + 1)
            for key, inner in value.items()
            if inner is not None
        }
    return [_without_none(inner, depth + 1) for inner in value] if isinstance(value, list) else value


def blocks(document: Document, name: str) -> dict[str, dict[str, Any]]:
    """The well-formed entries of a map of blocks."""
    found_blocks = document.value.get(name)
    if not isinstance(found_blocks, dict):
        return {}
    return {key: value for key, value in found_blocks.items() if isinstance(value, dict)}


def declared(document: Document, name: str) -> list[str]:
    """Ids under a block, those that were refused included."""
    entries = document.value.get(name)
    ids = [str(key) for key in entries] if isinstance(entries, dict) else []
    return ids + [str(where[1]) for where in document.set_aside if len(where) == 2 and where[0] == name]


def complete(document: Document, around: Surroundings) -> None:
    """Put in the model and the agent that an empty file means, and what each of them may leave out."""
    value = document.value
    if not declared(document, "llms") and isinstance(value.setdefault("llms", {}), dict):
        value["llms"]["default"] = {}
    if not declared(document, "agents") and isinstance(value.setdefault("agents", {}), dict):
        value["agents"]["assistant"] = {}
    for name, llm in blocks(document, "llms").items():
        providers.complete(llm, around.environment)
        _need_key(document, name, llm)
    plans.settle(document, blocks(document, "agents"))
    for name, tool in blocks(document, "tools").items():
        if tool.setdefault("type", kind_of(tool)) == "function" and tool.get("handler") in (None, ""):
            tool["handler"] = name
    if any(document.value.get(kind) for kind in ("document_stores", "embedders", "vector_stores")):
        from hector.config import stores  # noqa: PLC0415 - only where a file has any

        stores.complete(document, around.environment)


def settle(document: Document) -> None:
    """Give every agent that is run by a model, and names none, the one that is meant."""
    fallback = _default_llm(document)
    for agent in _with_models(document):
        agent.setdefault("llm", fallback)


def _with_models(document: Document) -> list[dict[str, Any]]:
    return [agent for agent in blocks(document, "agents").values() if plans.type_of(agent) == "llm"]


def _need_key(document: Document, name: str, llm: dict[str, Any]) -> None:
    provider = providers.lacks_key(llm)
    if provider is None:
        return
    where: Where = ("llms", name, "api_key")
    unset = document.unset.get(where)
    if unset:
        document.findings = [finding for finding in document.findings if finding.where != where]
    message = f"the variable {unset} is not set" if unset else "the key is missing"
    variables = " or ".join(provider.keys)
    document.report(
        "variable" if unset else "missing",
        where,
        f"{message}, and {provider.name} wants one",
        allowed=f"a key, as text or as ${{{unset or provider.keys[0]}}}",
        hint=f"set {unset or variables} in the environment or in a .env file",
    )


def _default_llm(document: Document) -> Any:
    chosen = peek(document.value, ("defaults", "llm"))
    if isinstance(chosen, str | list) and chosen:
        return chosen
    ids = declared(document, "llms")
    if "default" in ids or not ids:
        return "default"
    if len(ids) > 1 and any("llm" not in agent for agent in _with_models(document)):
        document.report(
            "reference",
            ("llms",),
            f"no model is named 'default'; agents that name none use the first one, {ids[0]!r}",
            key=True,
            hint=f"set defaults.llm to one of {', '.join(ids)}",
            severity="warning",
        )
    return ids[0]


def references(document: Document, around: Surroundings) -> None:
    """Every reference must lead to something."""
    llms, tools = declared(document, "llms"), declared(document, "tools")
    for keys in ("defaults.llm", "agents.*.llm"):
        _refer(document, keys, "model", llms)
        _refer(document, f"{keys}.*", "model", llms)
    _refer(document, "agents.*.context.summarizer_llm", "model", llms)
    _refer(document, "storage.*.database", "database", declared(document, "databases"))
    _refer(document, "storage.memory.embedder", "embedder", (*declared(document, "embedders"), "default", "builtin"))
    agents, known = blocks(document, "agents"), declared(document, "agents")
    for agent in agents:
        _tools_of(document, agent, tools)
    delegation.check(document, agents, known, lambda where, name: _dangling(document, where, name, "agent", known))
    _refer(document, "mcp_server.agents.*", "agent", known)
    if document.value.get("document_stores") or any("document_stores" in agent for agent in agents.values()):
        from hector.config import stores  # noqa: PLC0415 - only where a file has any

        stores.references(document, lambda where, name, noun, ids: _dangling(document, where, name, noun, ids))
    if document.value.get("vector_stores"):
        from hector.config import stores  # noqa: PLC0415 - only where a file has any

        stores.servers(document, lambda where, name, noun, ids: _dangling(document, where, name, noun, ids))
    for where in matches(document.value, "tools.*.handler"):
        handler = _text(peek(document.value, where))
        if handler and handler not in BUILT_IN and handler not in around.handlers:
            _dangling(document, where, handler, "handler", {*BUILT_IN, *handlers.KINDS, *around.handlers})


def _refer(document: Document, keys: str, noun: str, known: Collection[str]) -> None:
    for where in matches(document.value, keys):
        name = _text(peek(document.value, where))
        if name and name not in known and _is_block(document, f"{noun}s"):
            _dangling(document, where, name, noun, known)


def _is_block(document: Document, noun: str) -> bool:
    """Whether the entries can be known: what is no block of keys is complained about elsewhere."""
    return isinstance(document.value.get({"models": "llms"}.get(noun, noun), {}), dict)


def _tools_of(document: Document, agent: str, tools: Collection[str]) -> None:
    where: Where = ("agents", agent, "tools")
    value = peek(document.value, where)
    names = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    for index, item in enumerate(names):
        step, name = (*where, index) if isinstance(value, list) else where, _text(item).strip()
        if not name or name in tools or name in BUILT_IN or name in delegation.FAMILIES:
            _warn_if_off(document, step, name)
        elif _of_a_server(document, name) or handlers.offered(blocks(document, "tools"), name):
            continue
        else:
            _dangling(document, step, name, "tool", {*tools, *BUILT_IN, *handlers.KINDS})


def _of_a_server(document: Document, name: str) -> bool:
    """Whether an MCP server may have a tool of that name: its filter says so, or there is none."""
    for block in blocks(document, "tools").values():
        if block.get("type") != "mcp":
            continue
        given, own = block.get("filter"), name.removeprefix(str(block.get("prefix", "")))
        patterns = given.split(",") if isinstance(given, str) else given
        if not isinstance(patterns, list) or any(fnmatchcase(own, str(one).strip()) for one in patterns):
            return True
    return False


def _text(value: Any) -> str:
    """A reference as the type check will read it; empty for what it will refuse."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if isinstance(value, str) else str(value) if is_number else ""


def _warn_if_off(document: Document, where: Where, name: str) -> None:
    if peek(document.value, ("tools", name, "enabled")) is False:
        message = f"the tool {name!r} is switched off, so the agent does not have it"
        document.report("reference", where, message, severity="warning")


def _dangling(document: Document, where: Where, name: str, noun: str, known: Iterable[str]) -> None:
    ids = sorted(known)
    document.report(
        "reference",
        where,
        f"there is no {noun} {name!r}",
        found=found(document, where),
        allowed=", ".join(ids) or f"nothing, since no {noun} is declared",
        hint=suggest(name, ids) or _DECLARED.get(noun, ""),
    )


def files(document: Document, around: Surroundings) -> None:
    """Read the instruction files and make the other paths absolute; what is missing is reported."""
    for where in matches(document.value, "agents.*.instruction_file"):
        _instruction(document, where, around)
    for keys in (
        "llms.*.ca_bundle",
        "llms.*.path",
        "tools.*.ca_bundle",
        "agents.*.ca_bundle",
        "agents.*.agent_card_file",
        "embedders.*.ca_bundle",
        "document_stores.*.source.*.ca_bundle",
    ):
        for where in matches(document.value, keys):
            path = _existing(document, where, around)
            if path is not None:
                _holder(document, where)[str(where[-1])] = str(path)
    if document.value.get("embedders"):
        from hector.config import stores  # noqa: PLC0415 - only where a file has any

        stores.paths(document, around.folder)


def _holder(document: Document, where: Where) -> dict[str, Any]:
    holder = peek(document.value, where[:-1])
    return holder if isinstance(holder, dict) else {}


def _existing(document: Document, where: Where, around: Surroundings) -> Path | None:
    written = peek(document.value, where)
    if not isinstance(written, str) or not written:
        return None
    path = (around.folder / Path(written).expanduser()).absolute()
    if path.is_file():
        return path
    message = "this is a folder, not a file" if path.is_dir() else "there is no such file"
    document.report("file", where, message, found=found(document, where), hint=f"looked for {path}")
    return None


def _instruction(document: Document, where: Where, around: Surroundings) -> None:
    path = _existing(document, where, around)
    if path is None:
        return
    around.files.append(path)
    from hector.config.skill import body_of  # noqa: PLC0415 - loaded for the first instruction in a file

    try:
        _holder(document, where)["instruction"] = body_of(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        document.report("file", where, "the file is not UTF-8 text", found=found(document, where))
    except OSError as error:
        document.report("file", where, f"the file cannot be read: {error.strerror}", found=found(document, where))


def patterns(document: Document) -> None:
    """Regular expressions of scripted models must compile."""
    for name in _PATTERNS:
        for where in matches(document.value, f"llms.*.rules.*.{name}"):
            text = peek(document.value, where)
            try:
                re.compile(text if isinstance(text, str) else "")
            except re.error as error:
                document.report(
                    "range", where, "this is no regular expression", found=found(document, where), hint=str(error)
                )


def idle(document: Document) -> None:
    """Settings that a provider has no use for are said to be idle; the file stays valid for a change of provider."""
    for name, llm in blocks(document, "llms").items():
        provider = str(llm.get("provider"))
        for key in sorted(providers.IDLE.get(provider, frozenset()) & llm.keys()):
            message = f"{key!r} has no effect with provider {provider}"
            document.report("range", ("llms", name, key), message, key=True, hint="remove it", severity="warning")


def wire_texts(document: Document) -> None:
    """Keys and headers travel in HTTP headers, which take no line breaks, no control signs and, in keys, no spaces."""
    for where in matches(document.value, "llms.*.api_key"):
        key = peek(document.value, where)
        if isinstance(key, str) and key and not _KEY.fullmatch(key):
            _unsendable(
                document, where, "the key holds spaces or signs that no key has", "letters, digits and signs of ASCII"
            )
    for keys in ("llms.*.headers.*", "agents.*.headers.*", "tools.*.headers.*"):
        for where in matches(document.value, keys):
            value = peek(document.value, where)
            if not _HEADER_NAME.fullmatch(str(where[-1])):
                _unsendable(document, where, "this is no name of a header", "letters, digits and '-'")
            elif isinstance(value, str) and not _HEADER_VALUE.fullmatch(value):
                _unsendable(document, where, "a header takes one line without control signs", "one line of Latin text")


def _unsendable(document: Document, where: Where, message: str, allowed: str) -> None:
    document.report("range", where, message, allowed=allowed)


def storage(document: Document) -> None:
    """Tasks and sessions are written in one transaction, so they live in one place."""
    sides = [peek(document.value, ("storage", side)) for side in ("tasks", "sessions")]
    if all(isinstance(side, dict) for side in sides) and _place(sides[0]) != _place(sides[1]):
        document.report(
            "range", ("storage", "sessions"), "tasks and sessions must be kept in the same place", key=True,
            hint="give both the same backend and database, or leave one out",
        )  # fmt: skip
    for where in matches(document.value, "storage.*.database"):
        if _holder(document, where).get("backend") == "inmemory":
            document.report("range", where, "an inmemory backend has no database", hint="remove the key")


def _place(side: Any) -> tuple[Any, Any]:
    return side.get("backend", "sql"), side.get("database")
