"""The tools of a request as a format writes them: put into words once, for as long as the same ones are offered.

Fifty tools take longer to write down than all the rest of a plain turn, strict schemas several times as long.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Final

from hector.core.content import JsonObject
from hector.core.ports import ModelRequest, ToolSpec, once
from hector.core.record import dataclass
from hector.models.wire import encoded


@dataclass(frozen=True, slots=True)
class Wording:
    """The value of a body's `tools`, and its text as JSON. Requests share both: neither is ever changed."""

    tools: list[JsonObject]
    text: bytes


NOTHING: Final = Wording([], b"")
"""Of no tools."""


def worded(
    request: ModelRequest,
    names: Mapping[str, str],
    form: Hashable,
    write: Callable[[ToolSpec], JsonObject],
    whole: Callable[[list[JsonObject]], list[JsonObject]] = list,
) -> Wording:
    """The tools on offer, each as `write` puts it, all of them as `whole` does.

    `names` are those of the wire, for names that differ. `form` says what else the wording depends on: the format, and
    each setting or refusal that `write` and `whole` look at.
    """
    tools = request.tools
    changed = tuple([(tool.name, names[tool.name]) for tool in tools if tool.name in names]) if names else ()

    def make() -> Wording:
        found = whole([write(tool) for tool in tools])
        return Wording(found, encoded(found)) if found else NOTHING

    return once(tools, ("wording", form, changed), make)
