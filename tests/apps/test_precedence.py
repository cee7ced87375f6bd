"""The file and the database: which of them the app `default` runs on, and how the file gets the last word again."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.smoke.frontdoor import FORMS, PATIENCE, Hector, Server, answer_text

SECRET: Final = "a-long-secret-of-the-tests-0815"
ARGS: Final = ("-c", "c.yaml", "--auth-secret", SECRET)


@pytest.fixture
def hector(tmp_path: Path) -> Hector:
    return Hector(FORMS["source"], tmp_path)


def config(text: str) -> str:
    """A configuration with one agent that always says `text`."""
    llms = {"default": {"provider": "scripted", "rules": [{"text": text}]}}
    return json.dumps({"llms": llms, "agents": {"helper": {"instruction": "Help.", "tools": []}}})


def write(hector: Hector, text: str, **more: Any) -> None:
    whole = {**json.loads(config(text)), **more}
    (hector.folder / "c.yaml").write_text(json.dumps(whole) if more else config(text), encoding="utf-8")


def says(server: Server) -> str:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]}
    return answer_text(call(server, "POST", "/agents/helper/message:send", {"message": message})["task"])


def admin(server: Server, method: str, path: str, body: Any = None) -> Any:
    return call(server, method, f"/admin/apps{path}", body)


def call(server: Server, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "A2A-Version": "1.0", "Authorization": f"Bearer {SECRET}"}
    request = urllib.request.Request(f"{server.url}{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read())


def eventually(check: Callable[[], bool]) -> None:
    """Wait for something that no event announces."""
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.proves("state.app-configs")
def test_what_was_changed_through_the_api_counts_until_the_file_is_put_in_force_again(hector: Hector) -> None:
    write(hector, "file one")
    with hector.serve(*ARGS) as server:
        assert says(server) == "file one"
        admin(server, "PUT", "/default", {"config": config("from the api")})
        assert says(server) == "from the api"
    with hector.serve(*ARGS) as server:
        assert says(server) == "from the api"
        assert "app 'default' runs on version 2 of the database, not on c.yaml" in server.text()
        assert "--sync" in server.text()
    with hector.serve(*ARGS, "--sync") as server:
        assert says(server) == "file one"
        assert "runs on version" not in server.text()
        versions = admin(server, "GET", "/default/versions")["versions"]
        assert [(one["version"], one["author"], one["note"]) for one in versions][0] == (3, "file", "c.yaml")
        assert [one["version"] for one in versions] == [3, 2, 1]
    write(hector, "file two")
    with hector.serve(*ARGS) as server:
        assert says(server) == "file two"


@pytest.mark.proves("state.app-configs", "config.hot-reload")
def test_a_file_that_is_watched_goes_into_the_database_where_that_is_wanted(hector: Hector) -> None:
    write(hector, "one")
    with hector.serve(*ARGS, "--watch", "--sync") as server:
        assert says(server) == "one"
        write(hector, "two")
        eventually(lambda: says(server) == "two")
        assert admin(server, "GET", "/default")["version"] == 2
        admin(server, "PUT", "/default", {"config": config("from the api")})
        assert says(server) == "from the api"
        write(hector, "three")
        eventually(lambda: says(server) == "three")
        authors = [one["author"] for one in admin(server, "GET", "/default/versions")["versions"]]
        assert [author == "file" for author in authors] == [True, False, True, True]


@pytest.mark.proves("tenant.secrets-hidden")
def test_what_the_file_says_of_the_server_is_not_read_over_the_api(hector: Hector) -> None:
    whole = {**json.loads(config("one")), "server": {"max_body_bytes": 4711_000}, "tenants": {"variables": ["CANARY"]}}
    (hector.folder / "c.yaml").write_text(json.dumps(whole), encoding="utf-8")
    with hector.serve(*ARGS, "--sync") as server:
        shown = json.dumps([admin(server, "GET", "/default"), admin(server, "GET", "/default/versions/1")])
        assert "4711" not in shown
        assert "CANARY" not in shown
        assert "Help." in shown


@pytest.mark.proves("state.app-configs")
def test_a_file_that_changes_does_not_overrule_the_api_by_itself(hector: Hector) -> None:
    write(hector, "one")
    with hector.serve(*ARGS, "--watch") as server:
        admin(server, "PUT", "/default", {"config": config("from the api")})
        write(hector, "two")
        eventually(lambda: "configuration reloaded" in server.text())
        assert says(server) == "from the api"
        assert "until the file is put in force again with --sync" in server.text()
