"""Units of work side by side in one transaction, so that one round trip answers the same question of many.

A unit is a coroutine that waits for nothing but its connection. Here its connection hands each question to whoever
drives the unit; the driver gathers the questions of all units and sends those with the same text together. Units that
run side by side must not look at what another of them changes: that is what the key given to `Database.write` says.
"""

import re
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from hector.core.errors import HectorError
from hector.store.database import Row
from hector.store.notices import Notice
from hector.store.postgres_connection import PostgresConnection, statement

Kind: TypeAlias = Literal["count", "key", "many", "rows"]
FEW: Final = 4
"""Rows that are sent with what else a unit sends; more travel by themselves."""
MOST: Final = 8
_TABLE: Final = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")
_PARAMETER: Final = re.compile(r"\$(\d+)")
_PLAIN_SELECT: Final = re.compile(r"SELECT (?!DISTINCT\b)(?!.*\b(?:UNION|EXCEPT|INTERSECT)\b)", re.DOTALL)


class Question:
    """What a unit wants to know; awaited by the unit, answered by its driver."""

    __slots__ = ("args", "kind", "sql")

    def __init__(self, kind: Kind, sql: str, args: Any) -> None:
        self.kind = kind
        self.sql = sql
        self.args = args

    def __await__(self) -> Generator["Question", Any, Any]:
        return (yield self)


class AskingConnection:
    """`database.Connection` of one unit that is driven together with others.

    What is only sent waits until the unit asks about the same tables, or ends, and then travels as one statement.
    """

    __slots__ = ("again", "changed", "notices", "sent")

    def __init__(self, *, again: bool = False) -> None:
        self.again = again
        self.changed = False
        self.notices: list[Notice] = []
        self.sent: list[tuple[str, Sequence[Any]]] = []

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        count: int = await self._ask("count", sql, args)
        if count and statement(sql).writes:
            self.changed = True
        return count

    async def send(self, sql: str, args: Sequence[Any] = ()) -> None:
        self.changed = True
        self.sent.append((sql, args))

    async def insert(self, sql: str, args: Sequence[Any]) -> int:
        key: int = await self._ask("key", sql, args)
        if key:
            self.changed = True
        return key

    async def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        listed = list(rows)
        self.changed = self.changed or bool(listed)
        if len(listed) <= FEW:
            self.sent += [(sql, row) for row in listed]
        else:
            await self._ask("many", sql, listed)

    async def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        found: list[Row] = await self.all(sql, args)
        return found[0] if found else None

    async def all(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        found: list[Row] = await self._ask("rows", sql, args)
        if found and statement(sql).writes:
            self.changed = True
        return found

    async def notify(self, channel: str, payload: str = "") -> None:
        self.notices.append((channel, payload))

    async def _ask(self, kind: Kind, sql: str, args: Any) -> Any:
        if self.sent and any(concerns(sql, one) for one, _ in self.sent):
            for question in self.flush():
                await question
        return await Question(kind, sql, args)

    def flush(self) -> list[Question]:
        """What was sent, in as few statements as possible: usually one."""
        sent, self.sent = self.sent, []
        questions: list[Question] = []
        while sent:
            count = together(tuple(sql for sql, _ in sent))
            text = combined(tuple(sql for sql, _ in sent[:count]))
            questions.append(Question("many", text, [[value for _, args in sent[:count] for value in args]]))
            sent = sent[count:]
        return questions


@lru_cache(maxsize=4096)
def concerns(sql: str, sent: str) -> bool:
    """Whether a statement speaks of the table that another one changes."""
    table = _TABLE.match(sent)
    return table is None or re.search(rf"\b{table[1]}\b", sql) is not None


@lru_cache(maxsize=1024)
def together(statements: tuple[str, ...]) -> int:
    """How many of them, from the first, may be one statement: they change different tables, or only add rows."""
    seen: dict[str, bool] = {}
    for count, sql in enumerate(statements):
        table = _TABLE.match(sql)
        adds = sql.startswith("INSERT") and "ON CONFLICT" not in sql
        if table is None or count >= MOST or (table[1] in seen and not (adds and seen[table[1]])):
            return max(count, 1)
        seen[table[1]] = adds
    return len(statements)


@lru_cache(maxsize=1024)
def combined(statements: tuple[str, ...]) -> str:
    """One statement that does what all of them do, its parameters those of all, one after the other."""
    offset = 0
    texts: list[str] = []
    for sql in statements:
        text = statement(sql).sql
        texts.append(_PARAMETER.sub(lambda found: f"${int(found[1]) + offset}", text))  # noqa: B023 - used at once
        offset += max((int(number) for number in _PARAMETER.findall(text)), default=0)
    *parts, last = texts
    return f"WITH {', '.join(f'w{n} AS ({text})' for n, text in enumerate(parts))} {last}" if parts else last


class Performance:
    """One unit under way. `question` is what it waits for, None once it has ended with `value` or `error`."""

    __slots__ = ("_ended", "_rest", "con", "error", "question", "steps", "unit", "value")

    def __init__(self, unit: Coroutine[Any, Any, Any], con: AskingConnection) -> None:
        self.unit = unit
        self.con = con
        self.question: Question | None = None
        self.value: Any = None
        self.error: HectorError | None = None
        self.steps = 0
        self._ended = False
        self._rest: list[Question] = []

    def go_on(self, answer: Any) -> None:
        """Run it to its next question, or to its end. What it raises after its first change is raised here, too."""
        self.steps += 1
        self.question = None
        if self._ended:
            self._finish()
            return
        try:
            self.question = self.unit.send(answer)
        except StopIteration as end:
            self.value = end.value
            self._finish()
        except HectorError as error:
            if self.con.changed:
                raise
            self.error = error

    def _finish(self) -> None:
        """Have what was sent and not asked about carried out."""
        if not self._ended:
            self._ended = True
            self._rest = self.con.flush()
        self.question = self._rest.pop(0) if self._rest else None


async def perform(con: PostgresConnection, cast: Sequence[Performance]) -> None:
    """Bring all of them to their ends."""
    try:
        for one in cast:
            one.go_on(None)
        while waiting := [one for one in cast if one.question is not None]:
            group = _most_behind(waiting)
            first = group[0].question
            assert first is not None  # noqa: S101 - that is what they wait for
            args = [one.question.args for one in group if one.question is not None]
            for one, answer in zip(group, await _ask(con, first.kind, first.sql, args), strict=True):
                one.go_on(answer)
    finally:
        for one in cast:
            one.unit.close()


async def perform_once(con: PostgresConnection, one: Performance) -> bool:
    """Bring a unit that asks once to its end; False, and nothing done, when it asks again."""
    try:
        one.go_on(None)
        if one.question is not None:
            question = one.question
            one.go_on((await _ask(con, question.kind, question.sql, [question.args]))[0])
        return one.question is None
    finally:
        one.unit.close()


def _most_behind(waiting: Sequence[Performance]) -> list[Performance]:
    """Those with the same question as the one that has asked least so far: the others get company by waiting."""
    behind = min(waiting, key=lambda one: one.steps).question
    assert behind is not None  # noqa: S101 - that is what it waits for
    return [
        one for one in waiting if one.question and one.question.sql == behind.sql and one.question.kind == behind.kind
    ]


@lru_cache(maxsize=1024)
def _tagged(kind: Kind, sql: str, reading: bool) -> str | None:
    """The statement with a number of ours at the front of each row; None where that is not possible."""
    found = statement(sql)
    text = found.unlocked if reading else found.sql
    tag = f"${1 + max((int(number) for number in _PARAMETER.findall(text)), default=0)}::int4"
    if kind == "rows" and text == found.unlocked and not found.writes:
        return f"SELECT {tag}, q.* FROM ({text}) AS q"  # noqa: S608 - made of our own statements, arguments apart
    if kind == "rows":
        return f"SELECT {tag}, {text.removeprefix('SELECT ')}" if _PLAIN_SELECT.match(text) else None
    if not found.writes or re.search(r"\bRETURNING\b", text, re.IGNORECASE):
        return None
    return f"{text} RETURNING {tag}{', key' if kind == 'key' else ''}"


async def _ask(con: PostgresConnection, kind: Kind, sql: str, args: Sequence[Sequence[Any]]) -> list[Any]:
    """One answer per set of arguments, in order."""
    if kind == "many":
        await con.many(sql, [row for rows in args for row in rows])
        return [None] * len(args)
    text = _tagged(kind, sql, con.reading) if len(args) > 1 else None
    if text is None:
        return [await _ask_alone(con, kind, sql, one) for one in args]
    rows = await con.raw.fetchmany(text, [(*one, number) for number, one in enumerate(args)])
    return _ANSWERS[kind](rows, len(args))


async def _ask_alone(con: PostgresConnection, kind: Kind, sql: str, args: Sequence[Any]) -> Any:
    if kind == "rows":
        return await con.all(sql, args)
    return await (con.insert(sql, args) if kind == "key" else con.execute(sql, args))


def _rows(rows: Sequence[Any], count: int) -> list[list[Row]]:
    answers: list[list[Row]] = [[] for _ in range(count)]
    for row in rows:
        answers[row[0]].append(tuple(row)[1:])
    return answers


def _counts(rows: Sequence[Any], count: int) -> list[int]:
    answers = [0] * count
    for row in rows:
        answers[row[0]] += 1
    return answers


def _keys(rows: Sequence[Any], count: int) -> list[int]:
    found = {row[0]: row[1] for row in rows}
    return [found.get(number, 0) for number in range(count)]


_ANSWERS: Final[Mapping[str, Callable[[Sequence[Any], int], list[Any]]]] = {
    "rows": _rows, "count": _counts, "key": _keys,
}  # fmt: skip
