"""The tool that looks something up in the document stores of an agent."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field

from hector.core.content import JsonObject, Text
from hector.core.errors import HectorError, ToolError
from hector.core.passages import block, facts
from hector.core.ports import Tool, ToolContext, ToolOutput, ToolPolicy
from hector.core.record import dataclass
from hector.core.retrieval import Payer, Question, Retriever
from hector.tools.function import function_tool, idempotent, own_policy

NAME: Final = "search"
MOST: Final = 50
UNTRUSTED: Final = "untrusted"
"""The key of a text's metadata that marks what others have written."""
CITATIONS: Final = "citations"
"""The key of a text's metadata that holds what was found as facts: store, document, place, score of each passage."""

Choose = Callable[[Sequence[str]], Retriever]
"""Makes a retriever of the stores with these ids."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What one agent may look up. `most`: passages where the model names no number, None for what the stores say."""

    choose: Choose
    stores: tuple[str, ...]
    most: int | None = None

    @idempotent
    async def search(
        self,
        context: ToolContext,
        query: Annotated[str, Field(description="what to look for: a question, or key words", max_length=10_000)],
        limit: Annotated[int | None, Field(description="how many passages at most", ge=1, le=MOST)] = None,
        stores: Annotated[list[str] | str | None, Field(description="only in these stores; left out: all")] = None,
        where: Annotated[
            dict[str, Any] | None, Field(description="metadata that documents must have, by name; a list: any of them")
        ] = None,
    ) -> ToolOutput:
        """Look something up in documents. Gives passages with their sources."""
        chosen = self._chosen(stores)
        payer = None if context.meter is None else Payer(context.agent, context.meter)
        began = time.monotonic()
        try:
            question = Question(query, limit or self.most, where=_checked(where))
            findings = await self.choose(chosen).search(question, payer)
        except ToolError:
            raise
        except HectorError as error:
            raise ToolError(f"the documents cannot be searched: {error}") from None
        about: JsonObject = {
            UNTRUSTED: True,
            CITATIONS: facts(findings.passages),
            "total": len(findings.passages),
            "query": query,
            "stores_used": list(chosen),
            "duration_ms": round((time.monotonic() - began) * 1000),
            "notes": list(findings.notes),
        }
        return ToolOutput((Text(block(findings), metadata=about),))

    def _chosen(self, stores: list[str] | str | None) -> tuple[str, ...]:
        """Raises ToolError for a store that the agent has not."""
        wanted = [stores] if isinstance(stores, str) else stores or []
        named = tuple(dict.fromkeys(one.strip() for one in wanted if one.strip()))
        if unknown := [one for one in named if one not in self.stores]:
            raise ToolError(f"there is no store {unknown[0][:60]!r}; there are: {', '.join(self.stores)}")
        return named or self.stores


def search_tool(name: str, lookup: Lookup, fixed: Mapping[str, Any], said: str = "") -> tuple[Tool, ToolPolicy]:
    """The tool of one agent. `said` takes the place of its description, `fixed` are arguments that are set already."""
    about = said or f"Look something up in documents. Gives passages with their sources. {_told(lookup.stores)}"
    return function_tool(lookup.search, name=name, description=about, fixed=fixed), own_policy(lookup.search)


def _told(stores: Sequence[str]) -> str:
    return f"Stores: {', '.join(stores)}."


def _checked(where: dict[str, Any] | None) -> dict[str, Any] | None:
    """Conditions without those that say nothing. Raises ToolError for one that no metadata can fulfil."""
    found = {name: value for name, value in (where or {}).items() if value not in (None, "", [])}
    for name, value in found.items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str | int | float | bool) for one in values):
            raise ToolError(f"where.{name[:60]}: a condition is a text, a number, true or false, or a list of them")
    return found or None
