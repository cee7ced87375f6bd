"""The web tools of an app that somebody else has written: they go where the operator has opened, like all else."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hector.config.findings import Where
from hector.config.hosts import is_listed

_READING = frozenset(("web_fetch", "web_request"))
_TAVILY = "api.tavily.com"


def closed_hosts(tool: Mapping[str, Any], hosts: Sequence[str]) -> Iterator[tuple[Where, str]]:
    """Places within a web tool that name hosts which are not open, and those hosts; without a place: there are none."""
    named = _list(tool.get("allowed_hosts"))
    offered = set(_list(tool.get("tools"))) or {*_READING, "web_search"}
    if offered & _READING and not hosts:
        yield (), "no host at all"
    for number, host in enumerate(named):
        if not is_listed(host.strip().rstrip("."), hosts):
            yield ("allowed_hosts", number) if isinstance(tool["allowed_hosts"], list) else ("allowed_hosts",), host
    search = tool.get("search")
    asks = isinstance(search, dict) and search.get("api_key") and not search.get("base_url")
    if asks and "web_search" in offered and not is_listed(_TAVILY, hosts):
        yield ("search",), _TAVILY


def opened_hosts(tool: Mapping[str, Any], hosts: Sequence[str]) -> list[str]:
    """What a web tool may reach that names nothing itself: names and domains, since that is what it compares."""
    return _list(tool.get("allowed_hosts")) or list(hosts)


def _list(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return [str(value)] if value else []
