"""Hector: an AI agent runtime. One executable, one YAML file, or a few lines of Python (docs/guide/python.md)."""

from hector.version import __version__ as __version__

TYPE_CHECKING = False  # `hector version` loads this module and nothing else
if TYPE_CHECKING:
    from hector.api.agent import Agent as Agent
    from hector.api.hector import Hector as Hector
    from hector.api.results import Answer as Answer
    from hector.api.results import Piece as Piece
    from hector.api.tools import tool as tool

_HOMES = {
    "Agent": "hector.api.agent",
    "Hector": "hector.api.hector",
    "Answer": "hector.api.results",
    "Piece": "hector.api.results",
    "tool": "hector.api.tools",
}


def __getattr__(name: str) -> object:
    """What programs import from here, loaded when they do."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hector' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only programs come here

    return getattr(import_module(home), name)
