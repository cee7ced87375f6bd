"""What no single field can know: what is left out, what refers to what, which files must exist."""

import re
from collections.abc import Collection, Iterable
from dataclasses import field
from pathlib import Path
from typing import Any, Final, Protocol

from hector.config import delegation, providers
from hector.config.document import Document, matches
from hector.config.environment import Environment
from hector.config.findings import Where
from hector.config.planned import HANDLERS, REASON
from hector.config.shape import peek
from hector.config.tools import GENERIC_TOOLS
from hector.config.translate import found, suggest
from hector.core.record import dataclass

_KEY: Final = re.compile(r"[!-~]+")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[\t -~\xa0-\xff]*")
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
    for name in ("llms", "agents", "tools"):
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


def settle(document: Document) -> None:
    """Give every agent that names no model the one that is meant."""
    fallback = _default_llm(document)
    for agent in blocks(document, "agents").values():
        agent.setdefault("llm", fallback)


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


def _default_llm(document: Document) -> str:
    chosen = peek(document.value, ("defaults", "llm"))
    if isinstance(chosen, str) and chosen:
        return chosen
    ids = declared(document, "llms")
    if "default" in ids or not ids:
        return "default"
    if len(ids) > 1 and any("llm" not in agent for agent in blocks(document, "agents").values()):
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
    _refer(document, "defaults.llm", "model", llms)
    _refer(document, "agents.*.llm", "model", llms)
    _refer(document, "storage.*.database", "database", declared(document, "databases"))
    agents, known = blocks(document, "agents"), declared(document, "agents")
    for agent in agents:
        _tools_of(document, agent, tools)
    delegation.check(document, agents, known, lambda where, name: _dangling(document, where, name, "agent", known))
    for where in matches(document.value, "tools.*.handler"):
        handler = _text(peek(document.value, where))
        if handler and handler not in GENERIC_TOOLS and handler not in around.handlers:
            _dangling(document, where, handler, "handler", {*GENERIC_TOOLS, *around.handlers})


def _refer(document: Document, pattern: str, noun: str, known: Collection[str]) -> None:
    for where in matches(document.value, pattern):
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
        if not name or name in tools or name in GENERIC_TOOLS or name in delegation.FAMILIES:
            _warn_if_off(document, step, name)
        elif name in HANDLERS:
            document.report("planned", step, f"built-in tool {name!r} {REASON}", hint="remove it from the list")
        else:
            _dangling(document, step, name, "tool", [*tools, *GENERIC_TOOLS])


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
        hint=suggest(name, ids),
    )


def files(document: Document, around: Surroundings) -> None:
    """Read the instruction files and make the other paths absolute; what is missing is reported."""
    for where in matches(document.value, "agents.*.instruction_file"):
        _instruction(document, where, around)
    for pattern in ("llms.*.ca_bundle", "llms.*.path"):
        for where in matches(document.value, pattern):
            path = _existing(document, where, around)
            if path is not None:
                _holder(document, where)[str(where[-1])] = str(path)


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
    for where in matches(document.value, "llms.*.headers.*"):
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
