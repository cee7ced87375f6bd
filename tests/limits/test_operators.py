"""What operators see and do: usage, and the switches, over the Admin API and on the command line."""

import json
import re
from pathlib import Path

import pytest

from hector.cli.main import run
from tests.web.live import AS_ADMIN, helper, live, user

PRICES = {"prices": [{"model": "scripted/*", "input": 2, "output": 8}]}


@pytest.mark.proves("limits.usage", "limits.operators")
def test_usage_is_reported_over_the_admin_api(tmp_path: Path) -> None:
    with live({**helper({"text": "one two"}), **PRICES}, tmp_path) as server:
        for _ in range(3):
            server.send("hello there")
        page = server.client.get("/admin/usage", headers=AS_ADMIN).json()
        (line,) = page["usage"]
        assert (line["app_id"], line["agent"], line["model"]) == ("default", "helper", "scripted/scripted")
        assert (line["calls"], line["output_tokens"]) == (3, 6)
        assert line["money"] == pytest.approx((line["input_tokens"] * 2 + 6 * 8) / 1_000_000)
        by_user = server.client.get("/admin/usage?by=user_id&since=2026-01-01", headers=AS_ADMIN).json()
        assert [(line["user_id"], line["day"]) for line in by_user["usage"]] == [("default", None)]
        assert server.client.get("/admin/usage?by=nonsense", headers=AS_ADMIN).status_code == 400
        assert server.client.get("/admin/usage?since=soon", headers=AS_ADMIN).status_code == 400
        assert server.client.get("/admin/usage").status_code == 401


@pytest.mark.proves("limits.switch", "limits.operators")
def test_an_agent_is_switched_off_and_on_over_the_admin_api(tmp_path: Path) -> None:
    with live(helper({"text": "hi"}), tmp_path) as server:
        body = {"state": "off", "app_id": "default", "agent": "helper", "reason": "it leaks"}
        assert server.client.post("/admin/switches", json=body).status_code == 401
        found = server.client.post("/admin/switches", json=body, headers=AS_ADMIN).json()["off"]
        assert [(one["scope"], one["agent"], one["reason"]) for one in found] == [("agent", "helper", "it leaks")]
        server.call(server.tasks.limits.switches.look)
        refused = server.client.post("/agents/helper/message:send", json={"message": user()})
        assert refused.status_code == 503
        assert refused.json()["error"]["message"] == "agent 'helper' of app 'default' is switched off: it leaks"
        assert refused.json()["error"]["details"][0]["reason"] == "SWITCHED_OFF"
        rpc = server.rpc("SendMessage", {"message": user()})
        assert (rpc.status_code, rpc.json()["error"]["data"][0]["reason"]) == (503, "SWITCHED_OFF")
        on = server.client.post("/admin/switches", json={**body, "state": "on"}, headers=AS_ADMIN)
        assert on.json() == {"off": []}
        server.call(server.tasks.limits.switches.look)
        assert server.send()["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.proves("limits.switch", "limits.operators")
def test_what_is_not_there_cannot_be_switched_off_but_on(tmp_path: Path) -> None:
    with live(helper({"text": "hi"}), tmp_path) as server:
        wrong = {"state": "off", "app_id": "default", "agent": "helpr"}
        refused = server.client.post("/admin/switches", json=wrong, headers=AS_ADMIN)
        assert refused.status_code == 400
        assert "'helpr' is no agent of app 'default'; did you mean 'helper'?" in refused.json()["error"]["message"]
        gone = server.client.post("/admin/switches", json={"state": "off", "app_id": "nobodys"}, headers=AS_ADMIN)
        assert gone.status_code == 404
        on = server.client.post("/admin/switches", json={**wrong, "state": "on"}, headers=AS_ADMIN)
        assert on.json() == {"off": []}


@pytest.mark.proves("limits.switch", "limits.operators")
def test_the_command_works_beside_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--database", f"sqlite://{tmp_path / 'hector.db'}"]
    with live(helper({"text": "hi"}), tmp_path) as server:
        assert run(["switch", "off", "server", "--reason", "the audit", *place]) == 0
        assert run(["switch", "list", "--json", *place]) == 0
        said = capsys.readouterr().out
        assert "the server is switched off" in said
        assert run(["status", *place]) == 0
        assert "Switched off\n  server  for " in (shown := capsys.readouterr().out)
        assert "hector switch on TARGET" in shown
        assert run(["status", "--json", *place]) == 0
        assert [one["scope"] for one in json.loads(capsys.readouterr().out)["off"]] == ["server"]
        assert json.loads(said.partition("\n")[2])["off"][0]["reason"] == "the audit"
        new = {"id": "shop", "name": "Shop"}
        server.client.post("/admin/apps", json=new, headers=AS_ADMIN).raise_for_status()
        body = {"status": "suspended"}
        server.client.post("/admin/apps/shop/status", json=body, headers=AS_ADMIN).raise_for_status()
        assert run(["status", *place]) == 0
        assert re.search(r"Apps that rest\n  shop +suspended +for ", shown := capsys.readouterr().out)
        assert re.search(r"Audit log\n  \d+ in the chain, \d+ waiting", shown)
        assert run(["status", "--json", *place]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert [(one["id"], one["status"]) for one in facts["resting_apps"]] == [("shop", "suspended")]
        assert facts["audit"]["seq"] + facts["audit"]["waiting"] > 0
        server.call(server.tasks.limits.switches.look)
        assert server.client.post("/agents/helper/message:send", json={"message": user()}).status_code == 503
        assert run(["switch", "on", "server", *place]) == 0
        assert run(["switch", "on", "agent:helper", *place]) == 1
        assert run(["switch", "off", "agent:x/y/z", *place]) == 2
        assert "nothing that can be switched" in capsys.readouterr().err
        server.call(server.tasks.limits.switches.look)
        assert server.send()["status"]["state"] == "TASK_STATE_COMPLETED"
