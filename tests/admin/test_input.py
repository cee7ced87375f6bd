"""What is wrong with a request is said field by field: what it is, and what is allowed."""

import json
from typing import Any, Literal

import pytest
from pydantic import Field

from hector.core.errors import InvalidRequest
from hector.web.admin_input import read_body, read_query
from hector.web.asgi import Exchange
from hector.web.endpoints import Body, Query

pytestmark = pytest.mark.proves("admin.input")


class Colour(Body):
    """A part of a body."""

    name: str = Field(max_length=8)


class Paint(Body):
    """A body with all that there is."""

    colour: Colour
    coats: int = Field(1, ge=1, le=5)
    finish: Literal["matt", "gloss"] | None = None
    rooms: tuple[str, ...] = ()
    extra: dict[str, Any] = Field(default_factory=dict)


class Find(Query):
    """A query."""

    size: int = Field(50, ge=1, le=100)
    name: str | None = None
    dry: bool = False


async def paint(body: bytes | str | dict[str, Any], content_type: bytes = b"application/json") -> Paint:
    data = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(_: Any) -> None:
        raise AssertionError("nothing is sent")

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", content_type)]}
    return await read_body(Paint, Exchange(scope, receive, send), 1000)


GOOD = {"colour": {"name": "red"}}


async def test_a_good_body_becomes_a_value() -> None:
    found = await paint({**GOOD, "rooms": ["hall"], "extra": {"list": [1, [2]]}})
    assert (found.colour.name, found.coats, found.rooms, found.extra) == ("red", 1, ("hall",), {"list": [1, [2]]})


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, "colour", "is missing; it must be an object"),
        ({"colour": {}}, "colour.name", "is missing; it must be a text of at most 8 characters"),
        ({"colour": {"name": 5}}, "colour.name", "must be a text of at most 8 characters"),
        ({"colour": {"name": "a\0b"}}, "colour.name", "holds a NUL character"),
        ({**GOOD, "coats": "2"}, "coats", "must be a whole number from 1 to 5"),
        ({**GOOD, "coats": True}, "coats", "must be a whole number from 1 to 5"),
        ({**GOOD, "coats": 6}, "coats", "must be a whole number from 1 to 5"),
        ({**GOOD, "finish": "wet"}, "finish", "must be matt or gloss"),
        ({**GOOD, "rooms": "hall"}, "rooms", "must be a list"),
        ({**GOOD, "rooms": ["hall", 1]}, "rooms[1]", "must be a text"),
        ({**GOOD, "coat": 1}, "coat", "is unknown; allowed: colour, coats, finish, rooms, extra"),
        ({**GOOD, "coat": 1}, "coat", "did you mean 'coats'?"),
        ({"colour": {"name": "red", "x": 1}}, "colour.x", "is unknown; allowed: name"),
    ],
)
async def test_a_wrong_field_is_named_with_what_is_allowed(body: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await paint(body)
    (wrong,) = caught.value.violations
    assert wrong.field == field
    assert said in wrong.description
    assert field in str(caught.value)


@pytest.mark.parametrize("body", ["[]", "1", '"x"', "null"])
async def test_a_body_is_an_object(body: str) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        await paint(body)


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        (b"size=0", "size", "must be a whole number from 1 to 100"),
        (b"size=1e1", "size", "must be a whole number from 1 to 100"),
        (b"size=", "size", "must be a whole number from 1 to 100"),
        (b"size=1&size=2", "size", "is given more than once"),
        (b"dry=yes", "dry", "must be true or false"),
        (b"nmae=x", "nmae", "did you mean 'name'?"),
        (b"name=%00", "name", "holds a NUL character"),
    ],
)
def test_a_wrong_parameter_is_named(query: bytes, field: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_query(Find, query)
    (wrong,) = caught.value.violations
    assert (wrong.field, said in wrong.description) == (field, True)


def test_parameters_are_read_as_what_they_are() -> None:
    found = read_query(Find, b"size=7&name=5&dry=true")
    assert (found.size, found.name, found.dry) == (7, "5", True)
    assert read_query(Find, b"") == Find(size=50)


def test_very_many_parameters_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="more than 100 parameters"):
        read_query(Find, b"&".join(b"a%d=1" % at for at in range(200)))
