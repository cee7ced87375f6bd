import json
import logging
from collections.abc import Iterator

import pytest

from hector.observe import redact as redaction
from hector.observe.log import JsonFormatter, TextFormatter
from hector.observe.redact import redact, remember


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    before = list(redaction._secrets)
    yield
    redaction._secrets[:] = before


def record(message: str, *values: object, **extra: object) -> logging.LogRecord:
    found = logging.LogRecord("hector.x", logging.WARNING, "", 0, message, values, None)
    found.__dict__.update(extra)
    return found


def test_a_secret_that_begins_with_another_one_leaves_no_rest() -> None:
    remember("sk-live", "sk-live-0123456789")
    assert redact("key sk-live-0123456789, key sk-live") == "key ***, key ***"


@pytest.mark.parametrize("layout", [TextFormatter(), JsonFormatter()])
def test_no_layout_shows_a_secret_whatever_its_characters(layout: logging.Formatter) -> None:
    secret = 'p"a\\ss/wörd'
    remember(secret)
    line = layout.format(record("%s", secret, error=f"https://x/?key={'p%22a%5Css%2Fw%C3%B6rd'} {secret}"))
    assert "ss" not in line.replace("message", "").replace("class", "")
    assert "w" not in line.replace("warning", "")


def test_a_short_or_empty_value_is_no_secret() -> None:
    remember("", "abc")
    assert redact("abc and all") == "abc and all"


def test_a_value_with_line_breaks_cannot_pass_for_a_line_of_ours() -> None:
    forged = "no\n2026-01-01T00:00:00.000Z INFO ready"
    assert "\n" not in TextFormatter().format(record("task failed", error=forged))
    assert json.loads(JsonFormatter().format(record("task failed", error=forged)))["error"] == forged
