"""Where connections went is written down, across restarts, and shown; refusals stand in the audit log."""

from pathlib import Path

import pytest

from hector.config.egress import Egress
from hector.core.clock import FakeClock
from hector.net.egress import EgressRefused
from hector.net.gate import Gate, governed
from hector.store import Store, open_store
from hector.store.audit import Filter
from hector.store.audit_chain import Chain
from hector.store.egress import REFUSED_ACTION, EgressKeeper
from tests.web.live import AS_ADMIN, helper, live


@pytest.fixture(params=["sqlite", "postgres"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_dsn"))
    return f"sqlite://{tmp_path}/hector.db"


def visit(gate: Gate, host: str, sent: int = 10) -> None:
    row = gate.traffic("model", host, 443)
    row.attempt()
    row.call(sent)
    row.received += 5


@pytest.mark.proves("egress.recorded")
async def test_counts_add_up_across_restarts(dsn: str) -> None:
    clock = FakeClock()
    for _ in range(2):
        store = await open_store(dsn)
        gate = Gate()
        keeper = EgressKeeper(store.egress, store.audit, clock, gate)
        visit(gate, "a.example")
        await keeper.flush()
        await keeper.flush()
        visit(gate, "a.example")
        visit(gate, "b.example")
        await keeper.flush()
        await store.aclose()
    store = await open_store(dsn)
    found = {one.host: one for one in await store.egress.all()}
    assert (found["a.example"].attempts, found["a.example"].sent, found["a.example"].received) == (4, 40, 20)
    assert found["b.example"].calls == 2
    assert await store.egress.all("push") == ()
    assert await store.egress.receivers(10) == []
    assert await store.egress.forget(clock.now() + 1e10) == 2
    await store.aclose()


async def entries(store: Store) -> list[str]:
    await Chain(store.database, FakeClock()).settle()
    page = await store.audit.page(Filter(action=REFUSED_ACTION), before=None, limit=50)
    return [one.object for one in page]


@pytest.mark.proves("egress.recorded")
async def test_a_refusal_is_audited_once_an_hour(tmp_path: Path) -> None:
    store, clock = await open_store(f"sqlite://{tmp_path}/hector.db"), FakeClock()
    gate = Gate(Egress(mode="none"))
    keeper = EgressKeeper(store.egress, store.audit, clock, gate)
    for _ in range(3):
        for host in ("a.example", "b.example"):
            with pytest.raises(EgressRefused):
                gate.admit("model", host, 443)
        await keeper.flush()
    assert sorted(await entries(store)) == ["destination:a.example:443", "destination:b.example:443"]
    assert {one.refused for one in await store.egress.all()} == {3}
    await store.aclose()


@pytest.mark.proves("egress.recorded")
def test_the_admin_api_shows_policy_and_destinations(tmp_path: Path) -> None:
    with live(helper({"text": "hi"}), tmp_path) as server, governed(Egress(mode="none")) as gate:
        with pytest.raises(EgressRefused):
            gate.admit("push", "a.example", 443)
        found = server.client.get("/admin/egress", headers=AS_ADMIN).json()
        assert found["policy"] == ["none"]
        (row,) = found["destinations"]
        assert (row["purpose"], row["host"], row["refused"]) == ("push", "a.example", 1)
        assert "server.egress" in row["refusal"]
        assert server.client.get("/admin/egress?purpose=model", headers=AS_ADMIN).json()["destinations"] == []
        assert server.client.get("/admin/egress").status_code == 401
