"""Against a real identity provider: the npm package oidc-provider, run by node on loopback."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import jwt
import pytest

from tests.auth.test_http import bearer
from tests.web.live import Live, helper, live, user

pytestmark = [pytest.mark.slow, pytest.mark.proves("security.jwks-oidc", "auth.real-provider")]
HERE = Path(__file__).parent
VERSION = "9.13.3"
API = "urn:hector:tests"
CALLBACK = "http://127.0.0.1:1/callback"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package: the one that is named, else a new one, from npm's cache if it can."""
    if ready := os.environ.get("TEST_NODE_PACKAGES"):
        return Path(ready)
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
    flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--prefix", str(folder)]
    done = subprocess.run(
        [npm, "install", *flags, f"oidc-provider@{VERSION}"], capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "HOME": str(Path("~").expanduser())},
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"oidc-provider cannot be installed: {done.stderr[-300:]}")
    return folder


@pytest.fixture(scope="module")
def issuer(packages: Path) -> Iterator[str]:
    command = ["node", str(HERE / "oidc.mjs"), str(packages)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), "the provider did not start"
            yield url
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server(issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server that trusts it, and finds its keys by itself."""
    auth = {"issuer": issuer, "audience": [API], "client_id": "browser"}
    config = {**helper({"text": "hi"}), "server": {"auth": auth}}
    with live(config, tmp_path_factory.mktemp("oidc")) as made:
        yield made


def robots_token(issuer: str, resource: str = API) -> str:
    """Client credentials."""
    form = {"grant_type": "client_credentials", "scope": "agents", "resource": resource}
    answer = httpx.post(f"{issuer}/token", data=form, auth=("robot", "the-secret-of-the-robot"))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def persons_tokens(issuer: str, name: str) -> dict[str, Any]:
    """Authorization code with PKCE: log in and consent on the provider's own pages, then exchange the code."""
    verifier = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": "browser", "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid agents",
        "code_challenge": challenge, "code_challenge_method": "S256", "resource": API, "state": "s",
    }  # fmt: skip
    with httpx.Client() as browser:
        answer = browser.get(f"{issuer}/auth", params=asked)
        for _ in range(12):
            if answer.is_redirect:
                where = urljoin(str(answer.url), answer.headers["location"])
                if where.startswith(CALLBACK):
                    code = parse_qs(urlsplit(where).query)["code"][0]
                    break
                answer = browser.get(where)
            else:
                action = re.search(r'action="([^"]+)"', answer.text)
                prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
                assert action is not None, answer.text
                assert prompt is not None, answer.text
                form = {"prompt": prompt[1], "login": name, "password": "any"}
                answer = browser.post(urljoin(str(answer.url), action[1]), data=form)
        else:
            raise AssertionError(f"no code: {answer.status_code} {answer.text[:300]}")
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": "browser",
            "code_verifier": verifier, "resource": API,
        }  # fmt: skip
        answer = browser.post(f"{issuer}/token", data=form)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_program_comes_with_client_credentials(server: Live, issuer: str) -> None:
    token = robots_token(issuer)
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert server.client.get("/agents", headers=bearer(token)).status_code == 200
    assert server.client.get("/admin/approvals", headers=bearer(token)).status_code == 200
    assert server.client.get("/agents").status_code == 401


def test_a_person_comes_with_a_code_and_pkce(server: Live, issuer: str) -> None:
    ada, eve = persons_tokens(issuer, "ada"), persons_tokens(issuer, "eve")
    head = bearer(ada["access_token"])
    sent = server.client.post("/agents/helper/message:send", json={"message": user()}, headers=head)
    assert sent.status_code == 200
    path = f"/tasks/{sent.json()['task']['id']}"
    assert server.client.get(path, headers=head).status_code == 200
    assert server.client.get(path, headers=bearer(eve["access_token"])).status_code == 404
    assert server.client.get("/admin/approvals", headers=head).status_code == 403
    login = server.client.get("/agents", headers=bearer(ada["id_token"]))
    assert (login.status_code, "audience" in login.text) == (401, True)


def test_a_token_for_another_service_is_refused(server: Live, issuer: str) -> None:
    refused = server.client.get("/agents", headers=bearer(robots_token(issuer, "urn:another:service")))
    assert (refused.status_code, "audience" in refused.text) == (401, True)


def test_the_health_page_leads_to_the_provider(server: Live, issuer: str) -> None:
    auth = server.client.get("/health").json()["auth"]
    assert (auth["issuer"], auth["client_id"], auth["audience"]) == (issuer, "browser", API)
    found = httpx.get(f"{auth['issuer']}/.well-known/openid-configuration").json()
    assert found["issuer"] == issuer
    card = server.client.get("/agents/helper").json()
    url = card["securitySchemes"]["openIdConnect"]["openIdConnectSecurityScheme"]["openIdConnectUrl"]
    assert httpx.get(url).json() == found
