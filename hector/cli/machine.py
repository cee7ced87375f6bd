"""What a right configuration asks of the machine that it is looked at on: programs, folders, a sandbox.

Where it will be served is another question, so that all of this is warnings; `hector serve` says the same as an error
at the moment that it needs it.
"""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from hector.cli.doctor_sources import missing
from hector.config.findings import Finding, Where
from hector.config.load import Loaded

if TYPE_CHECKING:
    from hector.config.command import CommandTool
    from hector.config.mcp import McpTool


def lacks(loaded: Loaded) -> tuple[Finding, ...]:
    """What is not here, with its place in the file."""
    found = tuple(_lacks(loaded))
    if not found:
        return ()
    from dataclasses import replace  # noqa: PLC0415 - only where something is lacking

    from hector.config.source import parse  # noqa: PLC0415

    document = parse(loaded.text, str(loaded.path or ""), is_json=loaded.is_json)
    return tuple(replace(one, position=document.place(one.where)) for one in found)


def _lacks(loaded: Loaded) -> Iterator[Finding]:
    for name, tool in loaded.config.tools.items():
        found: Iterator[tuple[str, str, str]] = iter(())
        if tool.enabled and tool.type == "command":
            found = _sandbox(cast("CommandTool", tool))
        elif tool.enabled and tool.type == "mcp":
            found = _program(cast("McpTool", tool))
        for key, message, hint in found:
            where: Where = ("tools", name, *key.split("."))
            yield Finding("file", message, where, str(loaded.path or ""), hint=hint, severity="warning")
    for name, key, message in missing(loaded.config) if loaded.config.document_stores else ():
        hint = f"looked for from {os.getcwd()}: make it, or correct the path"
        where = ("document_stores", name, *key.split("."))
        yield Finding("file", message, where, str(loaded.path or ""), hint=hint, severity="warning")


def _sandbox(tool: "CommandTool") -> Iterator[tuple[str, str, str]]:
    section = tool.sandbox
    if section.level == "auto" and section.require == "none":
        return
    from hector.tools.sandbox import at_least, level_for, trouble  # noqa: PLC0415 - loaded where a level is asked for

    level = level_for(section.level)
    hint = "the server refuses to start on such a machine"
    if reason := trouble(level):
        yield "sandbox.level", f"{level} cannot be had on this machine: {reason}", hint
    elif not at_least(level, section.require):
        reason = trouble(section.require)
        yield "sandbox.require", f"commands would run with {level} on this machine, which is less: {reason}", hint


def _program(tool: "McpTool") -> Iterator[tuple[str, str, str]]:
    if tool.cwd and not os.path.isdir(tool.cwd):
        yield "cwd", "there is no such folder on this machine", f"looked for {os.path.abspath(tool.cwd)}"
    elif tool.command and program_of(tool) is None:
        yield "command", "the program is not on the PATH of this machine, or may not be run", "install it"


def program_of(tool: "McpTool") -> str | None:
    """The program of an MCP server that is started here, as the system looks for it; None where there is none."""
    written = os.path.join(tool.cwd, tool.command) if os.path.dirname(tool.command) else tool.command
    return shutil.which(written, path=tool.env.get("PATH"))
