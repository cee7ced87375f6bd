"""Nobody goes round the gate: connections come from `hector/net` alone, and whoever takes one says what for."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from hector.net.call import CallerOptions

ROOT: Final = Path(__file__).parents[2] / "hector"
MODULES: Final = sorted(ROOT.rglob("*.py"))
OPENERS: Final = {
    "create_connection", "open_connection", "create_datagram_endpoint", "create_unix_connection",
    "open_unix_connection", "urlopen", "urlretrieve", "getaddrinfo", "gethostbyname", "gethostbyname_ex",
    "sock_connect",
    "HTTPConnection", "HTTPSConnection", "SMTP", "FTP", "AsyncHTTPTransport", "HTTPTransport", "AsyncClient",
}  # fmt: skip
"""Calls that open connections, or look names up."""
FORBIDDEN: Final = {
    "urllib.request",
    "http.client",
    "smtplib",
    "ftplib",
    "requests",
    "aiohttp",
    "urllib3",
    "websockets",
}
ALLOWED: Final = {
    "net/dial.py": {"create_connection"},
    "net/probe.py": {"create_connection"},
    "net/resolver.py": {"getaddrinfo"},
    "net/guarded.py": {"AsyncHTTPTransport"},
    "net/client.py": {"AsyncClient"},
}
"""What opens a connection in this program; every row judges before it connects."""
DRIVERS: Final = {"asyncpg.connect": "store/postgres_connection.py"}
"""Drivers that connect by themselves, and the module that has the gate judge first."""
ON_THIS_MACHINE: Final = "config/detect.py"
"""Looks for an Ollama on this machine, without any configuration yet, and for nothing else."""
FACTORIES: Final = ("open_client", "CallerOptions", "Outbound")
WORDS: Final = re.compile("|".join(re.escape(one) for one in (*OPENERS, *FORBIDDEN, *FACTORIES, "connect")))


@cache
def nodes(path: Path) -> tuple[ast.Call | ast.Import | ast.ImportFrom, ...]:
    """All that is called and imported, where any of it may matter here: most modules need not be parsed."""
    text = path.read_text(encoding="utf-8")
    if not WORDS.search(text):
        return ()
    tree = ast.walk(ast.parse(text))
    return tuple(node for node in tree if isinstance(node, ast.Call | ast.Import | ast.ImportFrom))


def calls(path: Path) -> Iterator[tuple[str, str, ast.Call]]:
    """Last name, full name and node of every call."""
    for node in nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            of_what = node.func.value if isinstance(node.func, ast.Attribute) else None
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            yield name, f"{of_what.id}.{name}" if isinstance(of_what, ast.Name) else name, node


def of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.proves("egress.enforced")
def test_connections_are_opened_in_one_place() -> None:
    found = {(of(path), name) for path in MODULES for name, _, _ in calls(path) if name in OPENERS}
    assert found == {(path, name) for path, names in ALLOWED.items() for name in names}


@pytest.mark.proves("egress.enforced")
def test_sockets_elsewhere_only_listen() -> None:
    connecting = {
        (of(path), full) for path in MODULES for name, full, _ in calls(path) if name in ("connect", "connect_ex")
    }
    drivers = {full for _, full in connecting} & {"asyncpg.connect", "sqlite3.connect"}
    assert drivers == {"asyncpg.connect", "sqlite3.connect"}
    sockets = {(path, full) for path, full in connecting if "sock" in full or "probe" in full}
    assert sockets == set()
    assert {path for path, full in connecting if full in DRIVERS} == set(DRIVERS.values())


@pytest.mark.proves("egress.enforced")
def test_no_other_client_is_used() -> None:
    for path in MODULES:
        for node in nodes(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert not FORBIDDEN & set(names) or of(path) == ON_THIS_MACHINE, of(path)


def says_what_for(name: str, node: ast.Call) -> bool:
    """By name, by `**`, or by its place."""
    places = [field.name for field in fields(CallerOptions)]
    by_place = name == "CallerOptions" and len(node.args) > places.index("purpose")
    return by_place or any(keyword.arg in ("purpose", None) for keyword in node.keywords)


@pytest.mark.proves("egress.enforced")
def test_whoever_takes_a_client_says_what_for() -> None:
    silent = [
        f"{of(path)}:{node.lineno}"
        for path in MODULES
        for name, _, node in calls(path)
        if name in FACTORIES and not says_what_for(name, node)
    ]
    assert silent == []
