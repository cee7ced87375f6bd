"""Regular expressions that are compiled when they are first used: most of those that a module names, a run never asks.

Compiling one costs 0.1 to 3 ms, and a start loads thirty. Type checkers see `re.compile`. What has been asked for once
is kept on the pattern itself, so that a match costs what it costs with `re`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from re import compile as pattern
else:
    _compile = re.compile  # itself, also while a package is loaded that is given ours

    class pattern:  # noqa: N801 - stands for a function
        """What `re.compile` makes, as soon as something of it is used. For module level; `re` itself knows it not."""

        def __init__(self, text, flags=0):
            self._written = text, flags
            self.pattern = text

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            found = getattr(_compile(*self._written), name)
            setattr(self, name, found)
            return found


@contextmanager
def on_demand() -> Iterator[None]:
    """The same for those of a package that is loaded meanwhile, and that hands none of them to `re` itself."""
    compiles, re.compile = re.compile, pattern
    try:
        yield
    finally:
        re.compile = compiles


__all__ = ["on_demand", "pattern"]
