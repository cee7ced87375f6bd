"""The block `server.push_notifications`."""

import pytest

from hector.config.load import parse_config
from hector.config.push import PushNotifications
from hector.core.errors import ConfigError

MODEL = "llms: {d: {provider: scripted}}\n"


def read(block: str) -> PushNotifications:
    return parse_config(
        f"{MODEL}server:\n  push_notifications: {block}\n", "x.yaml", {}
    ).config.server.push_notifications


@pytest.mark.proves("push.ssrf")
def test_it_is_on_and_closed_unless_said_otherwise() -> None:
    found = read("{}")
    assert (found.enabled, found.allow, found.allow_private) == (True, (), False)


@pytest.mark.parametrize(
    "entry", ["localhost", "hooks.corp.example", "*.corp.example", "10.0.0.1", "10.0.0.0/8", "10.1.2.3/8", "fd00::/8"]
)
def test_what_may_be_allowed(entry: str) -> None:
    assert read(f"{{allow: ['{entry}']}}").allow == (entry,)
    assert read(f"{{allow: '{entry}, other'}}").allow == (entry, "other")


@pytest.mark.parametrize(
    "entry", ["http://hooks.example", "hooks.example:8080", "*", "*.*.example", "a b", "10.0.0.0/33", "300.1.1.1", "-"]
)
def test_what_may_not(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"is no host and no network") as caught:
        read(f"{{allow: ['{entry}']}}")
    assert "*.example.com" in str(caught.value)
