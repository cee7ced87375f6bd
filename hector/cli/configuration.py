"""Which configuration a command means, and loading it: shared by the commands that only look at one."""

import argparse
from pathlib import Path

from hector.config.environment import Environment
from hector.config.findings import Finding, InvalidConfig
from hector.config.flags import DEFAULT_PATH
from hector.config.load import Loaded, load_config
from hector.config.startup import config_path


def load(arguments: argparse.Namespace) -> tuple[Path, Loaded]:
    """The named or the default file, loaded. Raises InvalidConfig, also where there is no file at all."""
    environment = Environment()
    path = config_path(getattr(arguments, "file", None) or arguments.config, environment)
    if path is None:
        hint = "name a file, or make one with: hector init"
        raise InvalidConfig([Finding("file", "there is no configuration", (), DEFAULT_PATH, hint=hint)])
    handlers = [tool.__name__ for tool in getattr(arguments, "registered_tools", ())]
    return path, load_config(path, environment, handlers=handlers)
