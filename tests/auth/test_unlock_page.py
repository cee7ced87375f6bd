"""The one-time link in a browser: what it opens lets that browser in, runs nothing else and keeps nothing."""

import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from tests.auth.test_processes import bearer, shown
from tests.smoke.frontdoor import FORMS, Hector, request
from tests.smoke.test_frontdoor import SCRIPTED, write

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def hector(tmp_path: Path) -> Hector:
    return Hector(FORMS["source"], tmp_path)


def dom(folder: Path, url: str) -> str:
    """What a browser shows some seconds after it has opened an address."""
    assert BROWSER is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}"]
    waits = ["--virtual-time-budget=8000", "--dump-dom"]
    return subprocess.run([BROWSER, *flags, *waits, url], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.proves("auth.unlock-page")
def test_a_browser_gets_a_page_that_runs_only_itself(hector: Hector, tmp_path: Path) -> None:
    with hector.serve("--config", write(tmp_path, SCRIPTED)) as server:
        page, data = request(server.url + "/", headers=HTML), request(server.url + "/")
        assert data.json()["name"] == "hector"
        assert page.status == data.status == 200
        heads, text = {name.lower(): value for name, value in page.headers.items()}, page.body.decode()
        assert heads["content-type"].startswith("text/html")
        assert (heads["cache-control"], heads["vary"]) == ("no-store", "accept")
        policy = dict(part.strip().split(" ", 1) for part in heads["content-security-policy"].split(";"))
        for tag, rule in (("style", "style-src"), ("script", "script-src")):
            (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
            assert policy.pop(rule) == f"'sha256-{b64encode(sha256(inner.encode()).digest()).decode()}'"
        assert policy.pop("connect-src") == "'self'"
        assert set(policy.values()) == {"'none'"}
        assert not re.search(r"https?://|src=|href=|localStorage|document\.cookie", text), "it brings all it needs"


@pytest.mark.skipif(BROWSER is None, reason="there is no browser: apt-get install chromium")
@pytest.mark.proves("auth.unlock-page")
def test_a_one_time_link_lets_a_browser_in_once(hector: Hector, tmp_path: Path) -> None:
    with hector.serve("--config", write(tmp_path, SCRIPTED)) as server:
        _, code = shown(server)
        link = f"{server.url}/#unlock={code}"
        opened = dom(tmp_path, link)
        token = re.search(r'<output id="token">(hs_[^<]+)</output>', opened)
        assert token is not None, opened[-1500:]
        assert request(f"{server.url}/admin/approvals", headers=bearer(token[1])).status == 200
        assert code not in opened
        again = dom(tmp_path, link)
        assert '<output id="token"></output>' in again
        said = re.search(r'<p id="said"[^>]*class="bad"[^>]*>([^<]+)</p>', again)
        assert said is not None, again[-1500:]
        assert "code" in said[1] or "link" in said[1]


@pytest.mark.proves("auth.required")
def test_a_refusal_says_where_a_credential_comes_from(hector: Hector, tmp_path: Path) -> None:
    with hector.serve("--config", write(tmp_path, SCRIPTED), "--require-auth") as server:
        asked = request(f"{server.url}/agents").json()["error"]["message"]
        assert "hector key create" in asked
        admin = request(f"{server.url}/admin/approvals").json()["error"]["message"]
        assert "hector secret rotate" in admin
