"""From an entry of the configuration to file tools."""

from collections.abc import Iterable
from pathlib import Path

from hector.config.files import Files
from hector.config.functiontool import FunctionTool
from hector.config.own import OwnFiles
from hector.config.tools import FAMILIES
from hector.core.errors import ConfigError
from hector.core.ports import Offer
from hector.tools.files.offer import offer
from hector.tools.files.rooted import AVAILABLE
from hector.tools.files.undo import Undo, owner_of
from hector.tools.files.workspace import Settings


def file_tools(name: str, section: FunctionTool, own: OwnFiles | None = None) -> Offer:
    """The tools of an entry: one under the entry's name, or those of a family under their own.

    `own` are the files of the server. Raises ConfigError for a folder that does not exist.
    """
    if not AVAILABLE:
        raise ConfigError(
            f"tools.{name}: the file tools need a system that opens files below a folder safely (Linux, macOS, BSD)"
        )
    names = {one: one for one in FAMILIES.get(section.handler, ())} or {name: section.handler}
    description = section.description if len(names) == 1 else ""
    return offer(
        names, settings_of(name, section, own or OwnFiles()), description=description, fixed=section.parameters
    )


def settings_of(name: str, section: FunctionTool, own: OwnFiles) -> Settings:
    """What the entry says, with absolute paths."""
    files = section.files or Files()
    roots = tuple(_folder(name, written) for written in (section.working_directory or ".", *files.roots))
    return Settings(
        roots,
        files.read_only,
        files.max_read,
        files.max_write,
        files.hard_links,
        files.allow,
        files.deny,
        _undo(files),
        own,
    )


def _undo(files: Files) -> Path | None:
    return Path(files.undo).expanduser().absolute() if files.undo else None


def forget_changes(sections: Iterable[object], app: str, user: str, session: str) -> None:
    """Delete what files were before a session changed them: in the folders of these sections, and the usual one."""
    settings = [Files(), *(one.files for one in sections if isinstance(one, FunctionTool) and one.files)]
    for folder in {found for files in settings if (found := _undo(files)) is not None}:
        Undo(folder).forget(owner_of(app, user, session))


def _folder(name: str, written: str) -> str:
    path = Path(written).expanduser().absolute()
    try:
        found = path.resolve(strict=True)
    except OSError as error:
        raise ConfigError(f"tools.{name}: the folder {path} cannot be used: {error.strerror}") from None
    if not found.is_dir():
        raise ConfigError(f"tools.{name}: {path} is no folder")
    return str(found)
