"""What the audit log is told of a command: who typed it, as the system calls them."""

import getpass
from typing import Any

from hector.core.audit import Entry


def user() -> str:
    """The name of whoever runs the command."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return "somebody"


def entry(action: str, thing: str, app: str = "", **detail: Any) -> Entry:
    """An entry about `thing`, by `cli <user>`; without an app it concerns the whole server."""
    return Entry(action, thing, actor=f"cli {user()}", via="cli", app=app, detail=detail)
