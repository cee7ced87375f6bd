"""Blocks of several kinds, told apart by one key: each is checked by the class of its kind alone.

Pydantic's own unions would define and build the checks of every kind before the first block is looked at. Here the
class of a kind is imported when the first block of it is.
"""

from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from hector.config.base import Section


class ByTag:
    """The mark of such a block: the base class of its kinds, annotated with this.

    `classes` give the class by the value of the key `tag`; `guess` says the kind of a block that does not name it.
    """

    def __init__(
        self,
        tag: str,
        classes: Mapping[str, Callable[[], type[Section]]],
        guess: Callable[[Mapping[str, Any]], str],
    ) -> None:
        self.tag, self._classes, self._guess = tag, classes, guess

    def members(self) -> list[type[Section]]:
        """All of them: for descriptions of the format, and for messages."""
        return [load() for load in self._classes.values()]

    def chosen(self, value: object) -> type[Section] | None:
        """The class of a block, if it names a kind that exists."""
        if not isinstance(value, Mapping):
            return None
        named = value[self.tag] if self.tag in value else self._guess(value)
        load = self._classes.get(named) if isinstance(named, str) else None
        return load() if load else None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        members = self.members()
        if len(members) == 1:
            return handler(TypeAdapter(members[0]).core_schema)
        every: Any = reduce(or_, members[1:], members[0])
        return handler(TypeAdapter(Annotated[every, Field(discriminator=self.tag)]).core_schema)

    def _check(self, value: Any) -> Any:
        if isinstance(value, Section):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("dict_type", "must be a block of keys")
        chosen = self.chosen(value)
        if chosen is None:
            raise PydanticCustomError(
                "union_tag_invalid",
                "{discriminator}",
                {"discriminator": self.tag, "expected_tags": ", ".join(self._classes)},
            )
        return chosen.model_validate(value)
