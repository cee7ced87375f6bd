"""Tool names that a provider accepts, and the way back.

Providers allow fewer characters in a function name than tool servers use ("fs.read", "github/search issues"). Each
request maps the names it needs; names that fit stay as they are, so that most requests need no map at all.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from hector.core.content import ToolCall
from hector.core.pattern import pattern
from hector.core.ports import ModelRequest, once

PLAIN: Final = pattern(r"[A-Za-z0-9_-]{1,64}")
"""Anthropic, OpenAI and most servers that speak their formats."""

GEMINI: Final = pattern(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
"""Gemini also takes dots and colons, and wants a letter or an underscore first."""

_LIMIT: Final = 64
_DIGITS: Final = 8


def wire_names(request: ModelRequest, fits: re.Pattern[str] = PLAIN) -> Mapping[str, str]:
    """Our name -> the name for the wire, of the tools on offer and of those in the history; as `mangle`."""
    offered, mangled = once(request.tools, ("names", fits), lambda: _offered(request, fits))
    past = _called(request) - offered
    if not past or (not mangled and all(map(fits.fullmatch, past))):
        return mangled
    return mangle(past | offered, fits)


def _offered(request: ModelRequest, fits: re.Pattern[str]) -> tuple[frozenset[str], Mapping[str, str]]:
    names = frozenset([tool.name for tool in request.tools])
    return names, mangle(names, fits)


def _called(request: ModelRequest) -> set[str]:
    names: set[str] = set()
    for message in request.messages:
        if message.role == "assistant":
            names.update([part.name for part in message.parts if isinstance(part, ToolCall)])
    return names


def mangle(names: Iterable[str], fits: re.Pattern[str] = PLAIN) -> dict[str, str]:
    """Our name -> the name for the wire, only for those that differ. No two names share one.

    The result for a name depends on the other names only where they collide, so that cached prompts stay valid.
    """
    given = set(names)
    if all(map(fits.fullmatch, given)):
        return {}
    unfit = sorted(name for name in given if not fits.fullmatch(name))
    taken = {name for name in given if fits.fullmatch(name)}
    mangled: dict[str, str] = {}
    for name in unfit:
        mangled[name] = _free(name, taken)
        taken.add(mangled[name])
    return mangled


def _free(name: str, taken: set[str]) -> str:
    """`name` with foreign characters replaced; a digest of it is added when that is too long or taken already."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    plain = plain if plain[:1].isalpha() or plain[:1] == "_" else f"_{plain}"
    candidate, salt = plain, 0
    while len(candidate) > _LIMIT or candidate in taken:
        digest = hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()[:_DIGITS]
        candidate, salt = f"{plain[: _LIMIT - _DIGITS - 1]}_{digest}", salt + 1
    return candidate


def reverse(mangled: Mapping[str, str]) -> dict[str, str]:
    """Wire name -> our name: the `names` of an HttpCall."""
    return {wire: ours for ours, wire in mangled.items()}
