"""Sessions, the queue, approvals and the audit log over HTTP, on a running server."""

from pathlib import Path
from typing import Any

import pytest

from hector.core.job import NewJob
from hector.core.task import Caller
from tests.web.live import AS_ADMIN, Live, helper, live


def get(server: Live, path: str, status: int = 200, **query: Any) -> Any:
    answer = server.client.get(path, params=query, headers=AS_ADMIN)
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.proves("admin.sessions.list")
def test_sessions_are_listed_in_pages(folder: Path) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        for at in range(5):
            server.send(contextId=f"c-{at}", messageId=f"m-{at}")
        first = get(server, "/admin/sessions", page_size=3)
        assert [one["id"] for one in first["sessions"]] == ["c-4", "c-3", "c-2"]
        second = get(server, "/admin/sessions", page_size=3, page_token=first["next_page_token"])
        assert [one["id"] for one in second["sessions"]] == ["c-1", "c-0"]
        assert second["next_page_token"] == ""
        (found,) = [one for one in first["sessions"] if one["id"] == "c-4"]
        assert (found["app_name"], found["user_id"], found["event_count"]) == ("default", "default", 2)
        assert get(server, "/admin/sessions", app_id="default", user_id="default")["sessions"] != []
        assert get(server, "/admin/sessions", app_id="other")["sessions"] == []
        assert get(server, "/admin/sessions", user_id="nobody")["sessions"] == []
        for query in ({"page_size": 101}, {"page_size": 0}, {"page_token": "x"}, {"pagesize": 3}):
            assert "details" in get(server, "/admin/sessions", 400, **query)["error"]


@pytest.mark.proves("admin.sessions.get")
def test_a_session_shows_its_events_in_pieces(folder: Path) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        for at in range(3):
            server.send(f"text {at}", contextId="a/b c", messageId=f"m-{at}")
        found = get(server, "/admin/sessions/a%2Fb%20c")
        assert (found["id"], found["event_count"], len(found["events"])) == ("a/b c", 6, 6)
        assert [event["author"] for event in found["events"]] == ["user", "helper"] * 3
        assert found["events"][0]["parts"][0] == {"type": "text", "text": "text 0"}
        second = found["events"][1]["id"]
        rest = get(server, "/admin/sessions/a%2Fb%20c", after_event_id=second, limit=2)["events"]
        assert [event["id"] for event in rest] == [event["id"] for event in found["events"][2:4]]
        get(server, "/admin/sessions/a%2Fb%20c", 400, after_event_id="nothing")
        get(server, "/admin/sessions/other", 404)
        get(server, "/admin/sessions/a%2Fb%20c", 404, user_id="somebody")
        (noted, *_) = get(server, "/admin/audit", action="session.read", outcome="ok")["entries"]
        assert (noted["object"], noted["actor"], noted["via"]) == ("session:a/b c", "admin admin (admin)", "secret")


@pytest.mark.proves("admin.sessions.get")
def test_an_id_that_several_users_have_needs_a_name(folder: Path) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        server.send(contextId="same")

        async def other() -> None:
            from hector.core.content import user
            from hector.core.event import Event
            from hector.core.ids import new_id
            from hector.store import Accept

            event = Event(new_id(), new_id(), "user", 1.0, user("hello"))
            await server.store.tasks.accept(Accept(Caller(user="eva"), "helper", new_id(), "same", event, 1.0))

        server.call(other)
        get(server, "/admin/sessions/same", 409)
        assert get(server, "/admin/sessions/same", user_id="eva")["user_id"] == "eva"


@pytest.mark.proves("admin.sessions.delete")
def test_a_session_goes_with_what_runs_in_it(folder: Path) -> None:
    with live(helper({"text": "slow", "delay": "60s"}), folder) as server:
        task = server.client.post(
            "/agents/helper/message:send",
            json={
                "message": {"messageId": "m", "role": "ROLE_USER", "contextId": "c", "parts": [{"text": "go"}]},
                "configuration": {"returnImmediately": True},
            },
        ).json()["task"]
        assert server.tasks.running == 1
        gone = server.client.delete("/admin/sessions/c", headers=AS_ADMIN)
        assert (gone.status_code, gone.content) == (204, b"")
        assert server.tasks.running == 0
        assert server.client.get(f"/agents/helper/tasks/{task['id']}").status_code == 404
        get(server, "/admin/sessions/c", 404)
        assert server.client.delete("/admin/sessions/c", headers=AS_ADMIN).status_code == 404
        entries = get(server, "/admin/audit", action="session.delete")["entries"]
        assert [entry["outcome"] for entry in entries] == ["refused", "ok"]


def bury(server: Live, app: str = "default", **payload: Any) -> int:
    """A dead letter."""

    async def work() -> int:
        async def unit(con: Any) -> int:
            claim = await server.store.jobs.insert(con, NewJob("mail", Caller(app), "somebody", payload, run_at=4e9))
            buried = "UPDATE jobs SET state = 'dead', cause = 'it was late', ended = 1 WHERE key = ?"
            await con.execute(buried, (claim.key,))
            return int(claim.key)

        return await server.store.database.write(unit)

    return int(server.call(work))


@pytest.mark.proves("admin.queue.stats", "admin.queue.dlq", "admin.queue.requeue")
def test_dead_letters_are_listed_requeued_and_dropped(folder: Path) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        server.send()
        keys = [bury(server, api_key="hidden", to="x") for _ in range(3)]
        other = bury(server, "other")
        figures = get(server, "/admin/queue/stats")
        assert get(server, "/admin/queue") == figures
        assert (figures["completed"], figures["dead_letter"], figures["pending"], figures["timers"]) == (1, 4, 0, 0)
        assert figures["avg_processing_time"] > 0
        assert get(server, "/admin/queue", app_id="other")["dead_letter"] == 1
        page = get(server, "/admin/queue/dlq", limit=2, app_id="default")
        assert ([one["id"] for one in page["items"]], page["count"]) == ([keys[2], keys[1]], 2)
        rest = get(server, "/admin/queue/dlq", limit=2, app_id="default", page_token=page["next_page_token"])
        assert ([one["id"] for one in rest["items"]], rest["next_page_token"]) == ([keys[0]], "")
        assert len(get(server, "/admin/queue/dlq", page_size=1, app_id="default")["items"]) == 1
        letter = get(server, f"/admin/queue/dlq/{keys[0]}")
        assert (letter["cause"], letter["payload"]) == ("it was late", {"api_key": "***", "to": "x"})
        done = server.client.post(f"/admin/queue/dlq/{keys[0]}/requeue", headers=AS_ADMIN)
        assert done.json() == {"requeued": keys[0], "status": "pending"}
        assert server.client.delete(f"/admin/queue/dlq/{other}", headers=AS_ADMIN).status_code == 204
        for key in (other, 999):
            get(server, f"/admin/queue/dlq/{key}", 404)
            assert server.client.post(f"/admin/queue/dlq/{key}/requeue", headers=AS_ADMIN).status_code == 404
        noted = get(server, "/admin/audit", app_id="other")["entries"]
        assert [(one["action"], one["object"]) for one in noted if one["outcome"] == "ok"] == [
            ("dead_letter.drop", f"job:{other}")
        ]


@pytest.mark.proves("approval.admin")
@pytest.mark.parametrize("state", ["pending", "decided"])
def test_approvals_are_paged_as_all_lists_and_by_their_keys(folder: Path, state: str) -> None:
    rules = ({"turn": 0, "tool_calls": [{"name": "save_artifact", "args": {"name": "a", "text": "b"}}]}, {"text": "hi"})
    tools = {"save_artifact": {"type": "function", "handler": "save_artifact", "require_approval": True}}
    with live(helper(*rules, tools=["save_artifact"]) | {"tools": tools}, folder) as server:
        for number in range(3):
            server.send("go", contextId=f"c-{number}")
        keys = [one["key"] for one in get(server, "/admin/approvals")["approvals"]]
        if state == "decided":
            for key in keys:
                server.client.post(f"/admin/approvals/{key}", json={"decision": "deny"}, headers=AS_ADMIN)
            keys.reverse()
        first = get(server, "/admin/approvals", state=state, page_size=2)
        rest = get(server, "/admin/approvals", state=state, page_size=2, page_token=first["next_page_token"])
        assert [one["key"] for one in first["approvals"] + rest["approvals"]] == keys
        assert (rest["next_page_token"], rest["next"]) == ("", None)
        assert get(server, "/admin/approvals", state=state, page_size=2, after=first["next"]) == rest
        get(server, "/admin/approvals", 400, page_token="x")


@pytest.mark.proves("audit.page")
def test_the_audit_log_is_paged_and_filtered(folder: Path) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        keys = [bury(server) for _ in range(5)]
        for key in keys:
            server.client.delete(f"/admin/queue/dlq/{key}", headers={**AS_ADMIN, "X-Request-Id": f"r-{key}"})
        first = get(server, "/admin/audit", action="dead_letter.drop", page_size=3)
        rest = get(server, "/admin/audit", action="dead_letter.drop", page_size=3, page_token=first["next_page_token"])
        assert [len(first["entries"]), len(rest["entries"]), rest["next_page_token"]] == [3, 2, ""]
        newest = first["entries"][0]
        assert newest["request_id"] == f"r-{keys[-1]}"
        assert newest["detail"]["address"] == "127.0.0.1"
        assert (first["head"]["seq"], first["head"]["hash"]) == (newest["seq"], newest["hash"])
        assert get(server, "/admin/audit", since="2100-01-01T00:00:00Z")["entries"] == []
        assert get(server, "/admin/audit", before="2000-01-01")["entries"] == []
        get(server, "/admin/audit", 400, since="yesterday")


@pytest.mark.proves("admin.memories")
def test_what_is_known_of_a_user_is_listed_and_forgotten(folder: Path) -> None:
    fact = {"name": "remember", "args": {"text": r"\1"}}
    rules = ({"user": "remember (.*)", "turn": 0, "tool_calls": [fact]}, {"text": "noted"})
    config = helper(*rules, tools=["remember"]) | {"storage": {"memory": {"turns": False}}}
    with live(config, folder) as server:
        for text in ("tea", "milk", "sugar"):
            server.send(f"remember {text}", contextId=f"c-{text}")
        first = get(server, "/admin/memories", page_size=2)
        assert [one["text"] for one in first["memories"]] == ["sugar", "milk"]
        assert (first["memories"][0]["kind"], first["memories"][0]["session"]) == ("fact", "c-sugar")
        (last,) = get(server, "/admin/memories", page_token=first["next_page_token"])["memories"]
        assert get(server, "/admin/memories", user_id="eva")["memories"] == []
        gone = f"/admin/memories/{last['id']}"
        assert server.client.delete(gone, params={"user_id": "eva"}, headers=AS_ADMIN).status_code == 404
        assert server.client.delete(gone, headers=AS_ADMIN).status_code == 204
        assert server.client.delete("/admin/memories", headers=AS_ADMIN).json() == {"removed": 2}
        assert get(server, "/admin/memories")["memories"] == []
        (noted,) = get(server, "/admin/audit", action="memory.clear")["entries"]
        assert (noted["object"], noted["outcome"]) == ("memories:default", "ok")


@pytest.mark.proves("admin.artifacts")
def test_artifacts_are_listed_read_and_deleted(folder: Path) -> None:
    save = {"name": "save_artifact", "args": {"name": r"\1", "text": r"\2"}}
    rules = ({"user": "save (\\S+) (.*)", "turn": 0, "tool_calls": [save]}, {"text": "saved"})
    with live(helper(*rules, tools=["save_artifact"]), folder) as server:
        for text in ("save plan.md one", "save plan.md two", "save user:me.md Ana"):
            server.send(text, contextId="c")
        of_session: dict[str, Any] = {"session_id": "c"}
        (plan,) = get(server, "/admin/artifacts", **of_session)["artifacts"]
        assert (plan["name"], plan["version"], plan["media_type"], plan["size"]) == ("plan.md", 2, "text/plain", 3)
        found = get(server, "/admin/artifacts/plan.md", **of_session)
        assert (found["parts"][0]["text"], [one["version"] for one in found["versions"]]) == ("two", [2, 1])
        assert get(server, "/admin/artifacts/plan.md", version=1, **of_session)["parts"][0]["text"] == "one"
        get(server, "/admin/artifacts/plan.md", 404, version=3, **of_session)
        get(server, "/admin/artifacts/plan.md", 404)
        get(server, "/admin/artifacts", 404, session_id="other")
        assert [one["name"] for one in get(server, "/admin/artifacts")["artifacts"]] == ["user:me.md"]
        assert get(server, "/admin/artifacts/me.md")["parts"][0]["text"] == "Ana"
        assert server.client.delete("/admin/artifacts/user:me.md", headers=AS_ADMIN).status_code == 204
        assert get(server, "/admin/artifacts")["artifacts"] == []
        gone = server.client.delete("/admin/artifacts/plan.md", params=of_session, headers=AS_ADMIN)
        assert gone.status_code == 204
        assert get(server, "/admin/artifacts", **of_session)["artifacts"] == []
