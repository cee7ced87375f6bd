"""What holds for every test: nothing but loopback is reachable, and the developer's own environment has no say."""

import ipaddress
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import (  # noqa: F401 - fixtures for every test
    postgres,
    postgres_dsn,
    postgres_empty,
    postgres_fresh,
    postgres_migrated,
    postgres_programs,
    postgres_ready,
    postgres_template,
)

_FOREIGN = re.compile(
    r"(?i)^(hector_.*|.*_api_key|.*_base_url|(http|https|all|no)_proxy|ollama_.*|xdg_.*|ssl_cert_.*|pg[a-z]+|database_url)$"
)


def _outside(host: object) -> bool:
    """Whether a host is neither loopback nor a name that never resolves (`*.invalid`, RFC 2606)."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or host in {"", "localhost"} or host.endswith(".invalid"):
        return False
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True
    return not (address.is_loopback or address.is_unspecified)


def _refuse_outside(event: str, args: tuple[object, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in {"socket.connect", "socket.sendto"} and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if _outside(host):
        raise OSError(f"tests talk to loopback only, not to {host!r}")


sys.addaudithook(_refuse_outside)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so started in the background of a script; children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[Path]:
    """No keys, proxies or settings from outside, and a home of its own; child processes inherit that."""
    with tempfile.TemporaryDirectory(prefix="hector-home-") as home, pytest.MonkeyPatch.context() as patch:
        for name in filter(_FOREIGN.match, list(os.environ)):
            patch.delenv(name)
        patch.setenv("HOME", home)
        yield Path(home)
