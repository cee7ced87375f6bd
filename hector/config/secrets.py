"""The secrets that a configuration holds, to be kept out of everything that is written and shown."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel

from hector.config.base import SECRET_KEYS
from hector.config.postgres import is_postgres, parse


def secrets_of(section: Any) -> Iterator[str]:
    """Values of fields that are never shown, of headers and variables whose names say so, passwords in addresses."""
    if isinstance(section, BaseModel):
        fields = type(section).model_fields
        for name, value in vars(section).items():
            if isinstance(value, str):
                hidden = name in fields and not fields[name].repr
                yield from _texts(value) if hidden else ()
                yield from _password(value)
            else:
                yield from secrets_of(value)
    elif isinstance(section, Mapping):
        for name, value in section.items():
            if isinstance(value, str):
                yield from _texts(value) if SECRET_KEYS.search(str(name)) else _password(value)
            else:
                yield from secrets_of(value)
    elif isinstance(section, list | tuple):
        for value in section:
            yield from secrets_of(value)


def password_of(dsn: str) -> Iterator[str]:
    """That of a database address."""
    if is_postgres(dsn) and (password := parse(dsn).password):
        yield password


def _texts(value: str) -> Iterator[str]:
    """The whole, and what stands behind a word such as Bearer."""
    yield value
    if " " in value.strip():
        yield value.split()[-1]


def _password(value: str) -> Iterator[str]:
    if "://" in value and "@" in value and " " not in value:
        try:
            yield unquote(urlsplit(value).password or "")
        except ValueError:
            return
