"""Which handlers a configuration may name: the generic ones, those registered from Python, those of installed packages.

YAML never names a Python path. A package offers tools through the entry-point group `hector.tools`; a program passes
functions to `hector.__main__.main(tools=[...])`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from hector.config.own import OwnFiles
from hector.config.tools import GENERIC_TOOLS
from hector.core.errors import ConfigError
from hector.core.ports import Tool, ToolPolicy
from hector.tools.function import function_tool, own_policy

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from hector.core.hooks import Hooks

GROUP: Final = "hector.tools"
_ARTIFACTS: Final = frozenset(("list_artifacts", "load_artifact"))
_MEMORY: Final = frozenset(("forget", "memory_search", "remember"))


class Catalog:
    """Handlers by name. Installed packages are looked at only for a name that nobody registered."""

    def __init__(
        self, functions: Iterable[Callable[..., Any]] = (), hooks: "Mapping[str, Hooks] | None" = None
    ) -> None:
        """`hooks` are functions of the program around agents of its own configuration, by their ids."""
        self._functions = {function.__name__: function for function in functions}
        self.hooks: Mapping[str, Hooks] = hooks or {}
        self.own = OwnFiles()
        """Set by whoever serves."""

    def __contains__(self, name: object) -> bool:
        return name in self._functions or name in GENERIC_TOOLS or name in {point.name for point in _installed()}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._functions, *GENERIC_TOOLS, *(point.name for point in _installed())}))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def create(
        self,
        handler: str,
        *,
        name: str | None = None,
        description: str | None = None,
        fixed: Mapping[str, Any] | None = None,
    ) -> Tool:
        """The tool behind a handler, under `name`.

        Raises ConfigError for an unknown handler, naming the known ones, and for a function that cannot be a tool.
        """
        function = self._function(handler)
        try:
            return function_tool(function, name=name or handler, description=description, fixed=fixed)
        except Exception as error:
            raise ConfigError(
                f"function tool {handler!r} cannot be offered to a model: {_first_line(error)}"
            ) from error

    def policy(self, handler: str) -> ToolPolicy:
        """What its function says of itself. Raises ConfigError for an unknown handler."""
        return own_policy(self._function(handler))

    def _function(self, handler: str) -> Callable[..., Any]:
        function = self._functions.get(handler) or _generic(handler) or _load(handler)
        if function is None:
            raise ConfigError(f"no function tool is registered as {handler!r}; registered are: {', '.join(self)}")
        return function


def _installed() -> "Iterable[EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415 - brings the mail modules; most servers need neither

    return entry_points(group=GROUP)


def _generic(handler: str) -> Callable[..., Any] | None:
    if handler not in GENERIC_TOOLS:
        return None
    function: Callable[..., Any] = getattr(_module(handler), handler)
    return function


def _module(handler: str) -> ModuleType:
    """Where a generic tool is. Loaded for the first agent that uses one."""
    if handler in _ARTIFACTS:
        from hector.tools import artifacts  # noqa: PLC0415

        return artifacts
    if handler in _MEMORY:
        from hector.tools import memory  # noqa: PLC0415

        return memory
    if handler == "todo_write":
        from hector.tools import todo  # noqa: PLC0415

        return todo
    if handler == "current_time":
        from hector.tools import moment  # noqa: PLC0415

        return moment
    from hector.tools import generic  # noqa: PLC0415

    return generic


def _load(handler: str) -> Callable[..., Any] | None:
    for point in _installed():
        if point.name == handler:
            return _imported(point)
    return None


def _imported(point: "EntryPoint") -> Callable[..., Any]:
    try:
        function: Callable[..., Any] = point.load()
    except Exception as error:
        raise ConfigError(
            f"function tool {point.name!r} ({point.value}) cannot be loaded: {_first_line(error)}"
        ) from error
    return function


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
