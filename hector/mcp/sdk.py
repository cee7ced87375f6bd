"""Loads the official package, of which only the client's session and the messages are used.

Its root imports the server side with starlette, uvicorn and their settings: half of its time and a third of its memory.
So the root is entered without being run; whoever asks it for anything else gets all of it.
"""

import importlib.util
import sys
import threading
from importlib import import_module
from typing import Any, Final

_PACKAGE: Final = "mcp"
_loading: Final = threading.Lock()


def load() -> Any:
    """The module `hector.mcp.session`. Takes half a second of CPU the first time: call it in a thread."""
    with _loading:
        if _PACKAGE not in sys.modules:
            _enter()
        return import_module("hector.mcp.session")


def _enter() -> None:
    """Put a root in place from which the modules below are found, and which runs itself when more is wanted of it."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.loader is None:
        return  # the import of the session says so
    root, loader = importlib.util.module_from_spec(spec), spec.loader

    def whole(name: str) -> Any:
        if name.startswith("__") or vars(root).pop("__getattr__", None) is None:
            raise AttributeError(f"module {_PACKAGE!r} has no attribute {name!r}")
        loader.exec_module(root)
        return getattr(root, name)

    vars(root)["__getattr__"] = whole
    sys.modules[_PACKAGE] = root
