"""Search: a question in, passages out, from one document store or several of one app.

question -> forms of it (a model's help, if asked for) -> chunks by words and by meaning -> one order -> passages, each
once -> the order that a model or a service gives them (if asked for) -> the best of them.

Whatever fails on the way but the index itself leaves a note, and the search does without it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from hector.config.searching import Search
from hector.core.errors import HectorError
from hector.core.record import dataclass
from hector.core.retrieval import Findings, Passage, Payer, Question, Retriever
from hector.rag.errors import SearchError
from hector.rag.search_legs import Found, Legs, Shelf, store_of
from hector.rag.search_models import Helper, Named, Unhelpful
from hector.rag.search_order import Ranked, ranked
from hector.rag.search_passages import distinct
from hector.rag.search_question import Forms, Recipe, recipe_of, taken

_SPARE: Final = 3
"""How many times as many passages are looked at as are wanted: some are the same, or belong together."""
_LEAST: Final = 30


@dataclass(frozen=True, slots=True)
class Searcher(Retriever):
    """Searches the given stores. `models` makes models that help; `own_key`: with keys of the server's environment."""

    shelves: Sequence[Shelf]
    models: Named | None = None
    own_key: bool = True

    async def search(self, question: Question, payer: Payer | None = None) -> Findings:
        """Raises SearchError where no store can be searched at all."""
        text, note = taken(question.text)
        notes = [note] if note else []
        if not text or not self.shelves:
            return Findings((), tuple(notes))
        helper = None if self.models is None else Helper(self.models, payer)
        found = await self._found(text, question, helper, notes)
        limit = question.limit or max(one.settings.limit for one in self.shelves)
        passages = await self._passages(ranked(found, text), limit, notes)
        if not passages:
            notes += await self._empty()
        passages = _above(passages, question.threshold, {one.id: one.settings for one in self.shelves}, notes)
        passages = distinct(passages)
        if len(passages) > 1:
            passages = await self._reordered(text, passages, helper, notes)
        return Findings(tuple(passages[:limit]), tuple(dict.fromkeys(notes)))

    async def _found(self, text: str, question: Question, helper: Helper | None, notes: list[str]) -> list[Found]:
        """What all stores give; those with the same recipe share what models are asked for."""
        recipes: dict[Recipe, list[tuple[int, Shelf]]] = {}
        for number, shelf in enumerate(self.shelves):
            recipes.setdefault(recipe_of(shelf.settings), []).append((number, shelf))

        async def search(recipe: Recipe, shelves: Sequence[tuple[int, Shelf]]) -> list[Found]:
            forms = await _forms(recipe, text, helper, notes)
            return await Legs(forms, question.where).search(shelves)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(search(*one)) for one in recipes.items()]
        found = [one for task in tasks for one in task.result()]
        notes += [note for one in found for note in one.notes]
        if all(one.failed and not one.dense for one in found):
            raise SearchError("; ".join(dict.fromkeys(notes)) or "no document store can be searched")
        return found

    async def _passages(self, order: Sequence[Ranked], limit: int, notes: list[str]) -> list[Passage]:
        """The best chunks as passages, in order."""
        most = max(_SPARE * limit, _LEAST, *(one.settings.rerank_max_results for one in self.shelves))
        wanted: dict[int, list[int]] = {}
        for one in order[:most]:
            number, key = store_of(one.key)
            wanted.setdefault(number, []).append(key)
        read: dict[int, Mapping[int, Passage]] = {}
        for number, keys in wanted.items():
            try:
                read[number] = await self.shelves[number].collection.passages(keys)
            except HectorError as error:
                notes.append(f"store {self.shelves[number].id}: what was found cannot be read: {error}")
        passages = []
        for one in order[:most]:
            number, key = store_of(one.key)
            passage = read.get(number, {}).get(key)
            if passage is not None:
                store = self.shelves[number].id
                passages.append(replace(passage, store=store, score=one.score, dense=one.dense, lexical=one.lexical))
        return passages

    async def _empty(self) -> list[str]:
        """Which stores nothing can be found in yet."""
        notes = []
        for one in self.shelves:
            try:
                if not (await one.collection.counts()).documents:
                    notes.append(f"store {one.id}: it holds no documents yet")
            except HectorError as error:
                notes.append(f"store {one.id}: {error}")
        return notes

    async def _reordered(
        self, text: str, passages: list[Passage], helper: Helper | None, notes: list[str]
    ) -> list[Passage]:
        """As the first store says that asks for it; the rest stays behind those that are judged."""
        settings = next((one.settings for one in self.shelves if one.settings.enable_rerank), None)
        if settings is None:
            return passages
        head, rest = passages[: settings.rerank_max_results], passages[settings.rerank_max_results :]
        try:
            order = await self._order(settings, text, head, helper)
        except Unhelpful as error:
            notes.append(f"the order is that of the search: nobody could be asked for a better one: {error}")
            return passages
        behind = [at for at in range(len(head)) if at not in set(order)]
        return [*(head[at] for at in (*order, *behind)), *rest]

    async def _order(
        self, settings: Search, text: str, passages: Sequence[Passage], helper: Helper | None
    ) -> list[int]:
        if settings.reranker is not None:
            from hector.rag.search_rerank import order  # noqa: PLC0415 - loaded where a service is asked

            return await order(settings.reranker, text, passages, self.own_key)
        if helper is None:
            raise Unhelpful("there is no model")
        return await helper.order(settings.rerank_llm, text, passages, settings.model_timeout)


async def _forms(recipe: Recipe, text: str, helper: Helper | None, notes: list[str]) -> Forms:
    """The question in all forms that models give it; without those that fail."""
    others, answer = list[str](), ""

    async def rephrase(llm: str, count: int) -> None:
        nonlocal others
        try:
            others = await _asked(helper).forms(llm, text, count, recipe.patience)
        except Unhelpful as error:
            notes.append(f"the question was looked for as it is, without other forms of it: {error}")

    async def imagine(llm: str) -> None:
        nonlocal answer
        try:
            answer = await _asked(helper).answer(llm, text, recipe.patience)
        except Unhelpful as error:
            notes.append(f"the question was looked for itself, not what an answer might say: {error}")

    async with asyncio.TaskGroup() as group:
        if recipe.forms is not None:
            group.create_task(rephrase(*recipe.forms))
        if recipe.answer is not None:
            group.create_task(imagine(recipe.answer))
    return Forms((text, *others), answer)


def _asked(helper: Helper | None) -> Helper:
    if helper is None:
        raise Unhelpful("there is no model")
    return helper


def _above(
    passages: list[Passage], asked: float | None, settings: Mapping[str, Search], notes: list[str]
) -> list[Passage]:
    """Those whose score is not below the threshold; where none is left, a note says how far the best was from it."""
    kept = [one for one in passages if one.score >= (settings[one.store].threshold if asked is None else asked)]
    if passages and not kept:
        best = max(one.score for one in passages)
        notes.append(
            f"{len(passages)} passages were found, none with a score at or above the threshold: the best has {best:.2f}"
        )
    return kept
