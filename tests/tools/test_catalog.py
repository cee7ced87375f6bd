from collections.abc import Callable
from typing import Any

import pytest

from hector.core.errors import ConfigError
from hector.tools.catalog import Catalog


def bare(text) -> str:  # type: ignore[no-untyped-def]
    """No hint."""
    return str(text)


def rest(*texts: str) -> str:
    """Any number."""
    return "".join(texts)


def hidden(_text: str) -> str:
    """A name that no schema takes."""
    return _text


def lost(text: "Nowhere") -> str:  # type: ignore[name-defined]  # noqa: F821
    """A hint that does not resolve."""
    return str(text)


class Odd:
    """No JSON."""


def odd(value: Odd) -> str:
    """A type that no schema describes."""
    return str(value)


@pytest.mark.proves("agents.function-tools")
@pytest.mark.parametrize("function", [bare, rest, hidden, lost, odd])
def test_a_function_that_cannot_be_a_tool_is_an_error_of_the_configuration(function: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=f"'{function.__name__}' cannot be offered to a model"):
        Catalog([function]).create(function.__name__)


def test_an_unknown_handler_is_told_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"registered as 'nobody'; registered are: ask_user, .*rest"):
        Catalog([rest]).create("nobody")
