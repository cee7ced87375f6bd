"""What a server offers, and under which names an agent is offered it. Pure."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final
from zlib import crc32

from hector.core.content import JsonObject
from hector.core.digest import args_hash
from hector.core.record import dataclass
from hector.core.unseen import seen, spelt

LONGEST_NAME: Final = 64
"""Characters that all providers take."""
LONGEST_DESCRIPTION: Final = 8000
LONGEST_TOLD: Final = 32_000
"""Characters of a description and its schemas that are kept for people."""
MOST_TOOLS: Final = 1000
_UNFIT: Final = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True, slots=True)
class Offered:
    """One tool of a server, by the server's own name. `digest` is of all that a model or a person judges it by."""

    name: str
    description: str
    parameters: JsonObject
    digest: str
    repeatable: bool = False
    told: str = ""
    """For people: what the digest is of."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a server offers at a time. A new one takes its place when anything of it changes."""

    tools: tuple[Offered, ...]
    resources: bool = False
    prompts: bool = False


def offered(tool: Any) -> Offered:
    """A tool as the server describes it."""
    hints = tool.annotations
    told = {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "parameters": tool.inputSchema,
        "output": tool.outputSchema,
        "hints": hints.model_dump(exclude_none=True) if hints else None,
    }
    return Offered(
        tool.name,
        seen(tool.description or tool.title or "")[0][:LONGEST_DESCRIPTION],
        _parameters(tool.inputSchema),
        args_hash(told),
        bool(hints and (hints.readOnlyHint or hints.idempotentHint)),
        told_of(told),
    )


def told_of(facts: JsonObject) -> str:
    """What a server says of a tool, for people to compare: each fact on lines of its own, signs that nobody sees as
    their numbers, so that a text cannot pass for another fact.
    """
    lines: list[str] = []
    for name, value in facts.items():
        if value is None:
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
        lines += [f"{name}:", *(f"  {line}" for line in spelt(text).replace("\r", "<U+000D>").split("\n"))]
    whole = "\n".join(lines)
    more = len(whole) - LONGEST_TOLD
    return whole if more <= 0 else f"{whole[:LONGEST_TOLD]}\n({more} characters more, which are not kept)"


def _parameters(schema: JsonObject) -> JsonObject:
    """What a provider takes, whatever the server says: one schema that is none would take all tools down."""
    plain: JsonObject = {key: _visible(value) for key, value in schema.items() if key != "$schema"}
    properties, required = plain.get("properties"), plain.get("required")
    plain |= {"type": "object", "properties": properties if isinstance(properties, dict) else {}}
    if required is not None:
        plain["required"] = [one for one in required if isinstance(one, str)] if isinstance(required, list) else []
    return plain


def _visible(value: Any) -> Any:
    """A part of a schema, all texts in it without what people do not see. Names stay, since calls use them."""
    if isinstance(value, dict):
        return {key: _visible(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_visible(inner) for inner in value]
    return seen(value)[0] if isinstance(value, str) else value


def wanted(tools: Iterable[Offered], patterns: Sequence[str] | None) -> tuple[Offered, ...]:
    """Those that the filter lets through, by the server's own names; None lets all through."""
    found = (tool for tool in tools if patterns is None or any(fnmatchcase(tool.name, one) for one in patterns))
    return tuple(found)[:MOST_TOOLS]


def fit(name: str) -> str:
    """A name that every provider takes. One that had to be changed ends in a mark, so that no two become one."""
    plain = _UNFIT.sub("_", name)
    if plain == name and len(name) <= LONGEST_NAME:
        return name
    if len(plain) <= LONGEST_NAME and not _UNFIT.search(name.replace(".", "_").replace("/", "_").replace(":", "_")):
        return plain
    return f"{plain[: LONGEST_NAME - 9]}_{crc32(name.encode('utf-8', 'surrogatepass')):08x}"


def assign(
    server: str, prefix: str, names: Iterable[str], taken: Collection[str], known: Mapping[str, str]
) -> dict[str, str]:
    """The names under which a model is offered a server's tools, by their own names.

    A name that it had before (`known`) it keeps. One that is taken by another tool gets the server's name in front, and
    a number if that is taken, too.
    """
    found: dict[str, str] = {}
    used = set(taken) | set(known.values())
    for name in names:
        if name in known:
            found[name] = known[name]
            continue
        choices = (
            fit(prefix + name),
            fit(f"{server}_{name}"),
            *(fit(f"{server}_{name}_{at}") for at in range(2, 1000)),
        )
        found[name] = next((choice for choice in choices if choice not in used), "")
        used.add(found[name])
    return {name: chosen for name, chosen in found.items() if chosen}
