"""Streams end with the credential that opened them, unless that has only grown old."""

import threading
import time
from pathlib import Path
from typing import Final

import httpx
import pytest

from hector.web import streams
from tests.auth.test_http import add_key, bearer
from tests.web.live import helper, live, user

SLOW: Final = {"text": "hi", "delay": 60}


@pytest.mark.proves("auth.revoked")
@pytest.mark.parametrize("revoked", [True, False])
def test_a_stream_ends_within_seconds_of_its_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, revoked: bool
) -> None:
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.1)
    config = helper(SLOW if revoked else {"text": "hi", "delay": 1}) | {"server": {"auth": {"require_auth": True}}}
    with live(config, tmp_path) as server:
        key, text = add_key(server)
        opened = threading.Event()
        found: list[str] = []

        def read() -> None:
            place = f"{server.url}/agents/helper/message:stream"
            with httpx.stream("POST", place, json={"message": user()}, headers=bearer(text), timeout=60) as answer:
                for line in answer.iter_lines():
                    opened.set()
                    found.append(line)

        reader = threading.Thread(target=read)
        reader.start()
        assert opened.wait(60)
        began = time.monotonic()

        async def revoke() -> None:
            await server.store.credentials.revoke(key.id)

        if revoked:
            server.call(revoke)
        reader.join(60)
        assert not reader.is_alive()
        said = "\n".join(found)
        if revoked:
            assert time.monotonic() - began < 40
            assert "the credential of this stream was revoked" in said
            assert "COMPLETED" not in said
        else:
            assert "COMPLETED" in said
