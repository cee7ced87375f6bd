"""Section: the base of every block of the file; and the value types that people write by hand."""

import re
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from hector.core.pattern import pattern
from hector.core.record import dataclass

SECRET_KEYS: Final = pattern(
    r"(?i)(api[_-]?key|[_-]key|^key|[_-]seed|password|passwd|secret|token|credential|authorization|[_-]auth|cookie|signature)$"
)
"""Keys (names of headers, too) whose values are never shown: neither in messages nor in a printed configuration."""

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PIECE: Final = pattern(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_SIZES: Final = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_SIZE: Final = pattern(r"(\d+(?:\.\d+)?)\s*(|b|[kmg](?:i?b)?)", re.IGNORECASE)


CollectionName = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,127})?$")]
"""Of a collection of documents, which is a folder, too: nothing in it may lead to another one. Empty: left out."""


def seconds(value: object) -> object:
    """Seconds from 1.5, "1.5", "30s", "1h30m" or "200ms"; anything else is handed back for the type check."""
    if isinstance(value, str):
        text = value.strip().replace(" ", "").lower()
        pieces = _PIECE.findall(text)
        if pieces and "".join(number + unit for number, unit in pieces) == text:
            return sum(float(number) * _UNITS[unit] for number, unit in pieces)
    return value


def octets(value: object) -> object:
    """Bytes from 1048576, "1MiB" or "10 MB" (all units are powers of 1024)."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(float(match[1]) * _SIZES[match[2][:1].lower()])
    return value


def split(value: object) -> object:
    """A list from "a, b"; the empty text is the empty list."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


@dataclass(frozen=True, slots=True)
class Unit:
    """Mark of a field that takes a number or a text with a unit."""

    message: str
    allowed: str


TIME: Final = Unit("must be a time span", 'seconds, or a text such as "200ms", "30s", "1h30m", "90d"')
BYTES: Final = Unit("must be a size", 'bytes, or a text such as "10 MiB"')

Duration = Annotated[
    float,
    TIME,
    BeforeValidator(seconds),
    Field(ge=0, allow_inf_nan=False),
    WithJsonSchema(
        {"type": ["number", "string"], "minimum": 0, "pattern": r"^[0-9.]+$|^([0-9.]+(ns|us|ms|s|m|h|d) ?)+$"}
    ),
]
"""A time span in seconds."""

Size = Annotated[
    int,
    BYTES,
    BeforeValidator(octets),
    Field(ge=0),
    WithJsonSchema({"type": ["integer", "string"], "minimum": 0, "pattern": r"^[0-9.]+ *([kKmMgG]i?)?[bB]?$"}),
]
"""A number of bytes."""


def complaint(message: str, allowed: str) -> PydanticCustomError:
    """What a section's own check raises, and the loader turns into a finding."""
    return PydanticCustomError("hector", "{message}; allowed: {allowed}", {"message": message, "allowed": allowed})


def web_address(value: str) -> str:
    """An http(s) address without its last slash. Raises the complaint that the loader turns into a finding."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise complaint("this is no web address", "http://host:port/path or https://host/path")
    return value.rstrip("/")


Address = Annotated[str, AfterValidator(web_address), WithJsonSchema({"type": "string", "format": "uri"})]
"""An http or https address."""

Names = Annotated[tuple[str, ...], BeforeValidator(split)]
"""A list of texts; a comma-separated text is taken for one."""


class Section(BaseModel):
    """A block of the file: immutable, and a typo in it is an error.

    Numbers are taken for texts and texts for numbers where the field asks for it, since people write `version: 2` and
    environment variables are always texts.

    A block within another one is checked by its own class once a file has it. Otherwise the first check of the whole
    file would build those of every block that exists, 1 ms each, of which most files have five.

    Defining the class costs another one, and its import: a new block that most files leave out gets a module of its own
    and stands in the section above it by `later.later`, one of several kinds by `tagged.ByTag`. Then it costs a start
    nothing until a file has it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, coerce_numbers_to_str=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The checks themselves for the block that pydantic was asked about, a way to them for the field of another."""
        if handler.field_name is None:
            return handler(source)
        return core_schema.no_info_plain_validator_function(cls.model_validate)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The whole description wherever the block stands."""
        return handler(TypeAdapter(cls).core_schema if schema["type"] == "function-plain" else schema)

    def with_changes(self, **changes: Any) -> Self:
        """A copy with some fields replaced, unchecked."""
        return self.model_copy(update=changes)
