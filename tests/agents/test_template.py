import pytest

from hector.agents.template import parse
from hector.core.errors import AgentError

STATE = {
    "name": "Ada",
    "app:project": "Hector",
    "user:level": 3,
    "temp:list": ["a", "ü"],
    "artifact.notes.md": "# Notes",
}


@pytest.mark.proves(
    "instruction.variable", "instruction.app", "instruction.user", "instruction.temp", "instruction.optional"
)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello {name}", "Hello Ada"),
        ("{app:project}/{user:level}", "Hector/3"),
        ("{temp:list}", '["a", "ü"]'),
        ("{missing?}!", "!"),
        ('{"key": {name}}', '{"key": Ada}'),
        ("{not a name} {1x} {} {a.b}", "{not a name} {1x} {} {a.b}"),
        ("{{name}}", "{Ada}"),
        ("see {artifact.notes.md}{artifact.gone.md?}", "see # Notes"),
        ("", ""),
    ],
)
def test_placeholders_are_filled_and_other_braces_survive(text: str, expected: str) -> None:
    assert parse(text).render(STATE) == expected


def test_a_missing_required_value_names_the_key_and_the_remedy() -> None:
    with pytest.raises(AgentError, match=r"\{user:nobody\}.*\{user:nobody\?\}"):
        parse("Hi {user:nobody}").render(STATE)


def test_state_values_are_not_expanded_again() -> None:
    assert parse("{name}").render({"name": "{app:secret}"}) == "{app:secret}"
