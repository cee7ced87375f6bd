"""Which configuration a command means, and loading it: shared by the commands that only look at one."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hector.config.environment import Environment
from hector.config.findings import Finding, InvalidConfig
from hector.config.flags import DEFAULT_PATH
from hector.config.load import Loaded, load_config
from hector.config.startup import config_path
from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.tools.catalog import Catalog


@dataclass
class Handlers:
    """The catalog of tools, looked into only for a handler that is not one of the generic ones."""

    functions: Sequence[Callable[..., Any]]

    @cached_property
    def _catalog(self) -> "Catalog":
        from hector.tools.catalog import Catalog  # noqa: PLC0415 - brings asyncio; most configurations need none of it

        return Catalog(self.functions)

    def __contains__(self, name: object) -> bool:
        return name in self._catalog

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalog)

    def __len__(self) -> int:
        return len(self._catalog)


def load(arguments: argparse.Namespace) -> tuple[Path, Loaded]:
    """The named or the default file, loaded. Raises InvalidConfig, also where there is no file at all."""
    environment = Environment()
    path = config_path(getattr(arguments, "file", None) or arguments.config, environment)
    if path is None:
        hint = "name a file, or make one with: hector init"
        raise InvalidConfig([Finding("file", "there is no configuration", (), DEFAULT_PATH, hint=hint)])
    loaded = load_config(path, environment, handlers=Handlers(getattr(arguments, "registered_tools", ())))
    from hector.apps.schemas import check_schemas  # noqa: PLC0415 - loaded on first use

    check_schemas(loaded)
    return path, loaded
