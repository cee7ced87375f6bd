"""The sections as a map: which class, which field, which keys stand at a path of the file."""

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from hector.config.base import Section
from hector.config.document import at
from hector.config.findings import Where
from hector.config.later import Later
from hector.config.root import HectorConfig
from hector.config.tagged import ByTag

_UNIONS: Final = (Union, types.UnionType)


def choices(annotation: Any) -> list[Any]:
    """The values of a Literal, also inside an Optional."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return (
        [value for part in get_args(annotation) for value in choices(part)] if get_origin(annotation) in _UNIONS else []
    )


def peek(value: Any, where: Where) -> Any:
    """The value at a path, or None where the path does not lead."""
    try:
        return at(value, where)
    except (KeyError, IndexError, TypeError):
        return None


def path_of(location: Sequence[str | int], value: Any) -> Where:
    """pydantic's location without the names of union branches, which stand in no file."""
    where: list[str | int] = []
    annotation: Any = HectorConfig
    for step in location:
        if _is_union(annotation):
            annotation = _branch(annotation, value)
            if step == getattr(value, "get", lambda _: None)("provider"):
                continue
        where.append(step)
        annotation = _inner(annotation, step)
        value = peek(value, (step,))
    return tuple(where)


def _strip(annotation: Any) -> Any:
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, type) and issubclass(annotation, Later):
            annotation = annotation.section()
        else:
            return annotation


def _tagged(annotation: Any) -> ByTag | None:
    if isinstance(annotation, type) and issubclass(annotation, Later):
        annotation = annotation.section()
    marks = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((mark for mark in marks if isinstance(mark, ByTag)), None)


def _members(annotation: Any) -> list[Any]:
    if (tagged := _tagged(annotation)) is not None:
        return list(tagged.members())
    annotation = _strip(annotation)
    if get_origin(annotation) not in _UNIONS:
        return [annotation]
    return [inner for part in get_args(annotation) if part is not type(None) for inner in _members(part)]


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _is_union(annotation: Any) -> bool:
    return len([part for part in _members(annotation) if _is_section(part)]) > 1


def _branch(annotation: Any, value: Any) -> Any:
    """The member of a union of sections that the value's tag picks; of other unions the first."""
    tagged, members = _tagged(annotation), _members(annotation)
    if tagged is not None:
        return tagged.chosen(value) or members[0]
    tag = value.get("provider") if isinstance(value, dict) else None
    for member in members:
        field = member.model_fields.get("provider") if _is_section(member) else None
        if field is not None and tag in choices(field.annotation):
            return member
    return members[0]


def _inner(annotation: Any, step: str | int) -> Any:
    annotation = _members(annotation)[0]
    if _is_section(annotation):
        field = _field_of(annotation, step)
        return _annotated(field) if field else Any
    args = get_args(annotation)
    if get_origin(annotation) is dict:
        return args[1]
    return args[0] if get_origin(annotation) is tuple else Any


def _annotated(field: FieldInfo) -> Any:
    """The annotation with the mark of kinds told apart, which pydantic has taken off it."""
    tagged = next((mark for mark in field.metadata if isinstance(mark, ByTag)), None)
    return field.annotation if tagged is None else Annotated[field.annotation, tagged]


def _field_of(section: type[Section], step: str | int) -> FieldInfo | None:
    for name, field in section.model_fields.items():
        if step == (field.alias or name):
            return field
    return None


def section_at(where: Where, value: Any) -> type[Section] | None:
    """The section class that a path leads to, for a given content."""
    annotation: Any = HectorConfig
    for step in where:
        annotation = _inner(_branch(annotation, value), step)
        value = peek(value, (step,))
    annotation = _branch(annotation, value)
    return annotation if _is_section(annotation) else None


def field_at(where: Where, value: Any) -> FieldInfo | None:
    """The field at a path; for an entry of a list, the list's."""
    while where:
        section = section_at(where[:-1], value)
        if section is not None:
            return _field_of(section, where[-1])
        where = where[:-1]
    return None


def keys_of(section: type[Section]) -> list[str]:
    """The keys as they stand in the file."""
    return [field.alias or name for name, field in section.model_fields.items()]


def sections(annotation: Any = HectorConfig, where: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Every section of the format with its path, `<id>` for ids and `[]` for list positions."""
    for member in _members(annotation):
        if _is_section(member):
            yield where, member
            for name, field in member.model_fields.items():
                key = field.alias or name
                yield from sections(_annotated(field), f"{where}.{key}" if where else key)
        elif get_origin(member) is dict:
            yield from sections(get_args(member)[1], f"{where}.<id>")
        elif get_origin(member) is tuple:
            yield from sections(get_args(member)[0], f"{where}[]")
