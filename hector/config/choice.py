"""Which models an agent uses: one id, or several in order."""

from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from hector.config.base import complaint

_ALLOWED = "an id under `llms`, or a list of different ids: the first is used, the others stand in for it"


def one_or_many(value: Any) -> str | tuple[str, ...]:
    """An id, or several: a list of one is that one. Raises the complaint that the loader turns into a finding."""
    names = list(value) if isinstance(value, list | tuple) else [value]
    texts = tuple(_id(name) for name in names)
    if not texts or len({*texts}) < len(texts) or (len(texts) > 1 and not all(texts)):
        raise complaint("this names no models", _ALLOWED)
    return texts[0] if len(texts) == 1 else texts


def _id(value: Any) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise complaint("this names no model", _ALLOWED)


def listed(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """The same as a list, empty where nothing is named."""
    return ((value,) if value else ()) if isinstance(value, str | None) else value


ModelNames = Annotated[
    str | tuple[str, ...],
    PlainValidator(one_or_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
"""One model, or several in the order in which they are tried."""
