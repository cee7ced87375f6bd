"""What an agent card offers to a caller: where the agent is, in which dialect, and whether it streams. Pure."""

from typing import Any, Final
from urllib.parse import urlsplit

from hector.core.content import JsonObject
from hector.core.errors import AgentError
from hector.core.record import dataclass

WELL_KNOWN: Final = "/.well-known/agent-card.json"
_BINDINGS: Final = {"JSONRPC": "JSONRPC", "HTTP+JSON": "REST", "REST": "REST"}


@dataclass(frozen=True, slots=True)
class Offered:
    """`url` is that of the interface; `binding` JSONRPC or REST; `old` means A2A 0.3."""

    url: str
    binding: str = "JSONRPC"
    old: bool = False
    tenant: str = ""
    streaming: bool = False


def offered(card: JsonObject) -> Offered:
    """The interface to use: of those that can be spoken the first, 1.0 before 0.3. Raises AgentError."""
    found = [one for entry in _entries(card) if (one := _interface(card, entry)) is not None]
    for one in sorted(found, key=lambda one: one.old):
        return one
    raise AgentError("its card offers no interface that can be spoken: JSONRPC in A2A 1.0 or 0.3, HTTP+JSON in 1.0")


def _entries(card: JsonObject) -> list[JsonObject]:
    """Interfaces of the card in the words of 1.0, those of an older card included."""
    entries = [one for one in card.get("supportedInterfaces") or () if isinstance(one, dict)]
    version = str(card.get("protocolVersion") or "0.3")
    if card.get("url") and not entries:
        first = {"url": card["url"], "protocolBinding": card.get("preferredTransport") or "JSONRPC"}
        others = [
            {"url": one.get("url"), "protocolBinding": one.get("transport")}
            for one in card.get("additionalInterfaces") or ()
            if isinstance(one, dict)
        ]
        entries = [{**one, "protocolVersion": version} for one in (first, *others)]
    return entries


def _interface(card: JsonObject, entry: JsonObject) -> Offered | None:
    binding = _BINDINGS.get(str(entry.get("protocolBinding") or "").upper())
    major = str(entry.get("protocolVersion") or "1.0").partition(".")[0]
    url, old = entry.get("url"), major == "0"
    if binding is None or major not in {"0", "1"} or not isinstance(url, str) or (old and binding == "REST"):
        return None
    if urlsplit(url).scheme not in {"http", "https"}:
        return None
    capabilities: Any = card.get("capabilities")
    streaming = isinstance(capabilities, dict) and capabilities.get("streaming") is True
    return Offered(url.rstrip("/"), binding, old, str(entry.get("tenant") or ""), streaming)
