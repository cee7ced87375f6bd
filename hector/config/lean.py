"""A faster first validation, for processes that are ours alone."""

import sys
from types import ModuleType
from typing import Final

_LOADER: Final = "pydantic.plugin._loader"


def skip_plugins() -> None:
    """Keep pydantic from searching every installed package for plugins before it builds its first validator.

    The search costs a tenth of a second and loads the mail and package-metadata modules; nobody else's plugin has a say
    in our configuration anyway. Only for the command line: a program that embeds Hector may want its plugins. Without
    effect if pydantic has searched already, or keeps its search elsewhere.
    """
    if _LOADER not in sys.modules:
        module = ModuleType(_LOADER)
        setattr(module, "get_plugins", tuple)  # noqa: B010 - a module has no such attribute for the type checker
        sys.modules[_LOADER] = module
