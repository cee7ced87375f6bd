"""Running servers that the tests of the HTTP surface share."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.smoke.frontdoor import FORMS, ROOT, Hector, Server
from tests.web.bindings import Binding, JsonRpc, Rest


@pytest.fixture(scope="session")
def conformance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`hector serve` with the agent for conformance kits, as a process of its own."""
    hector = Hector(FORMS["source"], tmp_path_factory.mktemp("conformance"), {"PYTHONPATH": str(ROOT)})
    with hector.serve("--config", str(ROOT / "examples" / "a2a-conformance.yaml")) as server:
        yield server


@pytest.fixture(params=[JsonRpc, Rest], ids=["jsonrpc", "http_json"])
def a2a(request: pytest.FixtureRequest, conformance: Server) -> Iterator[Binding]:
    """A raw client of each binding, at the address that the card names."""
    with httpx.Client(timeout=30) as client:
        card = client.get(f"{conformance.url}/.well-known/agent-card.json").json()
        name = {"jsonrpc": "JSONRPC", "http_json": "HTTP+JSON"}
        binding: Binding = request.param(client, "")
        (binding.url,) = [  # type: ignore[attr-defined]
            entry["url"] for entry in card["supportedInterfaces"] if entry["protocolBinding"] == name[binding.name]
        ]
        yield binding


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a server of this test keeps its database."""
    return tmp_path
