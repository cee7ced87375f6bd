from typing import Any

import pytest

from hector.apps.build import build
from hector.core.content import Text
from hector.core.errors import ConfigError
from hector.core.task import TaskState
from hector.tools.catalog import Catalog
from tests.tasks.conftest import Start, configure
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


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"city": "Bonn", "degrees": NaN}', "NaN is not a JSON value"),
        ("[" * 100_000, "it is not JSON"),
        ('{"city": "' + "x" * 100_000 + '", "degrees": "warm"}', "degrees: "),
    ],
)
async def test_what_a_model_makes_up_is_told_in_few_words(start: Start, text: str, named: str) -> None:
    async with start([{"text": text}], **OUTPUT) as service:
        task = await ask(service, "weather?")
    assert task.status.message is not None
    assert named in task.status.message.message.text
    assert len(task.status.message.message.text) < 1000


async def test_a_schema_fetches_nothing(start: Start) -> None:
    output = {"schema": {"$ref": "http://127.0.0.1:1/schema.json"}}
    async with start([{"text": "{}"}], structured_output=output) as service:
        task = await ask(service, "weather?")
    assert task.status.message is not None
    assert "leads nowhere" in task.status.message.message.text


def test_what_is_no_schema_is_an_error_of_the_configuration() -> None:
    config = configure([{"text": "{}"}], structured_output={"schema": {"properties": {"a": {"type": "objekt"}}}})
    with pytest.raises(
        ConfigError, match=r"agents\.helper\.structured_output\.schema: .*properties\.a\.type: 'objekt'"
    ):
        build(config, Catalog())
