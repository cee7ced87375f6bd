from typing import Any

import pytest

from hector.core.content import Text
from hector.core.task import TaskState
from tests.tasks.conftest import Start
from tests.tasks.test_service import answer_of, ask

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "number"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
GOOD = '{"city": "Bonn", "degrees": 21}'
OUTPUT = {"structured_output": {"schema": SCHEMA}}


@pytest.mark.proves("agents.structured-output")
@pytest.mark.parametrize("text", [GOOD, f"```json\n{GOOD}\n```"])
async def test_a_valid_answer_is_given_as_bare_json(start: Start, text: str) -> None:
    async with start([{"text": text}], **OUTPUT) as service:
        task = await ask(service, "weather?")
    assert answer_of(task) == GOOD
    assert [part.media_type for part in task.artifacts[0].parts if isinstance(part, Text)] == ["application/json"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("no idea", "it is not JSON"),
        ('{"city": "Bonn"}', "'degrees' is a required"),
        ('{"city": 1, "degrees": 2}', "city: "),
    ],
)
async def test_a_wrong_answer_is_repaired_once_by_telling_the_model_what_is_wrong(
    start: Start, wrong: str, named: str
) -> None:
    rules: list[dict[str, Any]] = [{"user": f"does not fit.*{named}", "text": GOOD}, {"text": wrong}]
    async with start(rules, **OUTPUT) as service:
        assert answer_of(await ask(service, "weather?")) == GOOD


async def test_a_second_wrong_answer_fails_the_task_and_says_why(start: Start) -> None:
    async with start([{"text": "no idea"}], **OUTPUT) as service:
        task = await ask(service, "weather?")
    assert task.status.state is TaskState.FAILED
    assert task.status.message is not None
    assert "not JSON" in task.status.message.message.text
    assert not task.artifacts


async def test_an_unchecked_answer_is_never_streamed(start: Start) -> None:
    from hector.core.event import TextDelta
    from hector.core.task import AnswerDelta
    from hector.tasks.service import SendOptions
    from tests.tasks.test_service import ANA, collect, say

    rules: list[dict[str, Any]] = [{"user": "does not fit", "text": GOOD}, {"text": "wrong first"}]
    async with start(rules, **OUTPUT) as service:
        stream = await service.stream(ANA, "helper", say("weather?"), SendOptions())
        updates = await collect(stream)
    shown = [d.text for u in updates if isinstance(u, AnswerDelta) for d in u.deltas if isinstance(d, TextDelta)]
    assert "".join(shown) == GOOD
