"""A quicker start, for a process that is ours alone: fewer collections, no plugins, no command line but ours."""

import gc
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

_GC_THRESHOLDS: Final = (20_000, 20, 50)
"""What is loaded at the start stays, and what a turn makes dies by itself: looking for cycles less often saves a tenth
of the start and a few per cent of every turn."""

_PLUGIN_LOADER: Final = "pydantic.plugin._loader"


def hurry() -> None:
    """To be called before anything is loaded."""
    gc.set_threshold(*_GC_THRESHOLDS)
    _skip_plugins()


def _skip_plugins() -> None:
    """Keep pydantic from searching every installed package for plugins before it builds its first validator.

    Nobody else's plugin has a say in our configuration. PYDANTIC_DISABLE_PLUGINS would spare the search, but not
    loading the archive, mail and package-metadata modules for it: 10 ms and 1 MB at every start. Without effect if
    pydantic is loaded already, or keeps its search elsewhere.
    """
    if _PLUGIN_LOADER not in sys.modules:
        module = ModuleType(_PLUGIN_LOADER)
        setattr(module, "get_plugins", tuple)  # noqa: B010 - a module has no such attribute for the type checker
        sys.modules[_PLUGIN_LOADER] = module


def skip_command_line() -> None:
    """Keep uvicorn's package from loading its command line, which brings click and the reloading supervisors along.

    The package itself only passes names on; its modules, which are what we use, load as ever. A sixth of what a bare
    uvicorn loads. Without effect if uvicorn is loaded already.
    """
    if "uvicorn" in sys.modules:
        return
    spec = find_spec("uvicorn")
    if spec is not None and spec.submodule_search_locations is not None:
        package = ModuleType("uvicorn")
        package.__path__ = spec.submodule_search_locations
        package.__spec__ = spec
        package.__dict__["__getattr__"] = _passed_on
        sys.modules["uvicorn"] = package


def _passed_on(name: str) -> Any:
    """The two names that uvicorn's own modules take from the package."""
    if name in ("Config", "Server"):
        return getattr(import_module(f"uvicorn.{name.lower()}"), name)
    raise AttributeError(name)


def settle() -> None:
    """Clear up after the start, and keep what is left out of all later collections."""
    gc.collect()
    gc.freeze()
