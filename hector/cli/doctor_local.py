"""What `hector doctor` looks at on this machine: no connection is made, nothing is changed."""

import os
import platform
import re
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hector.auth.opening import keys_folder
from hector.auth.secrets import weakness
from hector.cli.doctor_check import Check, State
from hector.cli.doctor_sources import missing
from hector.cli.layout import count, size
from hector.cli.machine import program_of
from hector.cli.place import IN_MEMORY, Place
from hector.cli.validate import webhooks
from hector.config.base import SECRET_KEYS
from hector.config.environment import dotenv_paths
from hector.config.load import Loaded
from hector.core.clock import SystemClock
from hector.core.errors import ConfigError
from hector.store.opening import sqlite_of
from hector.version import __version__

HERE: Final = "this machine"
_LEAST_FREE: Final = 100 * 2**20
_LITTLE_FREE: Final = 2**30
_BUILT: Final = 1_750_000_000.0
"""A moment before this version was made: a clock that shows less is wrong."""
_LINE: Final = re.compile(r"""(?P<key>[\w-]+)["']?\s*:\s+["']?(?P<value>[^\s"',}#]{8,})""")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def program() -> Check:
    """Which Hector this is."""
    frozen = "one file" if getattr(sys, "frozen", False) else f"Python {platform.python_version()}"
    text = f"Hector {__version__}, {frozen}, {platform.system()} {platform.machine()}, {sys.executable}"
    return Check(HERE, "executable", State.OK, text)


def configuration(loaded: Loaded | None) -> Iterator[Check]:
    """A configuration that can be loaded, and what the loader warns of."""
    if loaded is None:
        text = "there is none: `hector serve` will make one from what it finds"
        yield Check(HERE, "configuration", State.WARN, text, "name one with --config, or make one with `hector init`")
        return
    config = loaded.config
    parts = ((config.llms, "model"), (config.agents, "agent"), (config.tools, "tool"))
    numbers = ", ".join(count(len(blocks), noun) for blocks, noun in parts)
    yield Check(HERE, "configuration", State.OK, f"{loaded.path} is valid: {numbers}")
    for line in webhooks(loaded):
        yield Check(HERE, "webhook", State.OK, line)
    for finding in loaded.warnings:
        yield Check(HERE, "configuration", State.WARN, f"{finding.place}: {finding.message}", finding.details)


def clock() -> Check:
    """Whether the clock can be right."""
    now = SystemClock().now()
    if now < _BUILT:
        text = "the clock shows a time before this version was made"
        return Check(HERE, "clock", State.FAIL, text, "set it, and switch time synchronisation on: tokens expire by it")
    return Check(HERE, "clock", State.OK, "plausible")


def port(place: Place) -> Check:
    """Whether the port is free to listen on."""
    host, number = place.startup.host, place.startup.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, number))
        except OSError as error:
            text = f"{host} port {number}: {error.strerror or error}".lower()
            remedy = "fine if that is the server; else stop the other program, or choose another with --port"
            return Check(HERE, "port", State.WARN, text, remedy)
    return Check(HERE, "port", State.OK, f"{host} port {number} is free")


def state_folder(place: Place) -> Iterator[Check]:
    """Where the database and the keys are: writable, closed to others, with room."""
    dsn = place.startup.database
    if IN_MEMORY in dsn:
        yield Check(HERE, "state", State.OK, "kept in memory: gone after a stop")
        return
    if dsn.startswith("sqlite://"):
        file = Path(sqlite_of(dsn)[0])
        yield _folder(file.parent, "database folder")
        yield from (_closed(path, "database file") for path in (file,) if path.exists())
        yield _space(file.parent)
    keys = keys_folder(place.startup.auth, dsn)
    if keys.exists():
        yield _closed(keys, "signing keys")


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _folder(folder: Path, name: str) -> Check:
    there = _existing(folder)
    if not os.access(there, os.W_OK | os.X_OK):
        remedy = f"give this user ({os.getuid() if hasattr(os, 'getuid') else 'this one'}) the right to write there"
        return Check(HERE, name, State.FAIL, f"{there} cannot be written", remedy)
    if there != folder.absolute():
        return Check(HERE, name, State.OK, f"{folder} will be made at the first start")
    return _closed(folder, name)


def _closed(path: Path, name: str) -> Check:
    """Others have no business in there."""
    mode = path.stat().st_mode
    if os.name == "posix" and mode & _OTHERS:
        wanted = "700" if path.is_dir() else "600"
        text = f"{path} is open to other users of this machine (mode {stat.S_IMODE(mode):o})"
        return Check(HERE, name, State.WARN, text, f"chmod {wanted} {path}")
    return Check(HERE, name, State.OK, f"{path}, closed to others")


def _space(folder: Path) -> Check:
    free = shutil.disk_usage(_existing(folder)).free
    if free < _LITTLE_FREE:
        state = State.FAIL if free < _LEAST_FREE else State.WARN
        return Check(HERE, "disk", state, f"only {size(free)} free", "free some space, or move the database")
    return Check(HERE, "disk", State.OK, f"{size(free)} free")


def models(place: Place) -> Iterator[Check]:
    """Model files, and what runs them: nothing of it is started."""
    for name, llm in place.config.llms.items():
        if llm.provider != "local":
            continue
        from hector.models.llama_launch import find_program  # noqa: PLC0415 - only with such a model
        from hector.models.local import model_path  # noqa: PLC0415

        label = f"llms.{name} (local)"
        try:
            path = model_path(llm, name)
            find_program(llm.executable, os.environ)
        except ConfigError as error:
            text, _, remedy = str(error).partition("; ")
            yield Check("models", label, State.FAIL, text, remedy)
        else:
            yield Check("models", label, State.OK, f"{path} ({size(path.stat().st_size)}), and a program that runs it")


def programs(place: Place) -> Iterator[Check]:
    """MCP servers that are started here: whether their programs are there. None of them is run."""
    for name, tool in place.config.tools.items():
        if tool.type != "mcp" or not tool.enabled:
            continue
        from hector.config.mcp import McpTool  # noqa: PLC0415 - only with such a tool

        if not isinstance(tool, McpTool) or not (command := tool.command):
            continue
        label, found = f"tools.{name} (stdio)", program_of(tool)
        if tool.cwd and not os.path.isdir(tool.cwd):
            text = f"the folder {tool.cwd!r} is not there"
            yield Check("MCP servers", label, State.FAIL, text, f"make it, or correct tools.{name}.cwd")
        elif found is None:
            text = f"the program {command!r} is not on PATH, or may not be run"
            remedy = f"install it, or give tools.{name}.command its whole path"
            yield Check("MCP servers", label, State.FAIL, text, remedy)
        else:
            yield Check("MCP servers", label, State.OK, found)


def folders(place: Place) -> Iterator[Check]:
    """Folders that documents come from."""
    troubles = {name: (key, text) for name, key, text in missing(place.config)}
    for name, store in place.config.document_stores.items():
        label, (key, text) = f"document_stores.{name} ({store.source.type})", troubles.get(name, ("", ""))
        if text:
            remedy = f"make it, or correct document_stores.{name}.{key}; it begins at {os.getcwd()}"
            yield Check("documents", label, State.WARN, text, remedy)
        elif store.source.local:
            yield Check("documents", label, State.OK, "the folder is there")


def secrets(place: Place, loaded: Loaded | None) -> Iterator[Check]:
    """Secrets that can be guessed, and files with secrets that others can read. Shows none of them."""
    secret = place.startup.auth.secret
    if secret and (why := weakness(secret)):
        yield Check(HERE, "admin secret", State.WARN, f"can be guessed: {why}", "`hector secret rotate` makes one")
    files = loaded.files if loaded is not None else ()
    for path in files:
        if keys := _plain_secrets(Path(path)):
            text = f"{path} holds secrets as they are: {', '.join(keys)}"
            yield Check(HERE, "secrets", State.WARN, text, "write ${VARIABLE}, and set that in the environment or .env")
            yield from _wide(Path(path))
    folder = place.path.parent if place.path is not None else Path()
    home = os.environ.get("HOME")
    for path in dotenv_paths(folder, Path(home) if home else None):
        if path.is_file() and path.name == ".env":
            yield from _wide(path)


def _wide(path: Path) -> Iterator[Check]:
    check = _closed(path, "secrets")
    if check.state is not State.OK:
        yield check


def _plain_secrets(path: Path) -> list[str]:
    """Names of keys whose values stand in the file itself."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = (match for line in lines for match in _LINE.finditer(line.partition(" #")[0]))
    return list(
        dict.fromkeys(
            match["key"]
            for match in found
            if SECRET_KEYS.search(match["key"]) and "$" not in match["value"] and match["value"][0] not in "[{&*|>"
        )
    )
