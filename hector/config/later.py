"""Blocks whose class is loaded when a file first has them.

Defining a section costs a millisecond, whether or not anybody uses it. A field of a block that most files leave out is
therefore annotated with a stand-in at run time, and with the section itself for type checkers:

    if TYPE_CHECKING:
        from hector.config.limits import Limits
    else:
        Limits = later("hector.config.limits", "Limits")

    class HectorConfig(Section):
        limits: Limits | None = Field(None, description="...")

Blocks of several kinds have `tagged.ByTag`, which does the same for each kind.
"""

from importlib import import_module
from typing import Any, ClassVar, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Later:
    """Stands for a section, or for a section with marks, in annotations."""

    module: ClassVar[str]
    name: ClassVar[str]

    @classmethod
    def section(cls) -> Any:
        """What it stands for."""
        return getattr(import_module(cls.module), cls.name)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._check)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = cls.section()
        for mark in get_args(found)[1:]:
            if hasattr(mark, "__get_pydantic_json_schema__"):  # of several kinds, which its mark knows
                described: JsonSchemaValue = mark.__get_pydantic_json_schema__(schema, handler)
                return described
        return handler(TypeAdapter(found).core_schema)

    @classmethod
    def _check(cls, value: Any) -> Any:
        return TypeAdapter(cls.section()).validate_python(value)


def later(module: str, name: str) -> type[Later]:
    """The stand-in for what a module calls `name`."""
    return type(name, (Later,), {"module": module, "name": name})
