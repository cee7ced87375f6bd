"""Which way a URL goes."""

import pytest

from hector.core.errors import ConfigError
from hector.net.proxy import proxy_for

ENV = {"HTTPS_PROXY": "http://secure:3128", "HTTP_PROXY": "http://plain:3128"}


@pytest.mark.proves("models.proxy")
@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("https://api.example.com/v1", ENV, "http://secure:3128"),
        ("http://api.example.com", ENV, "http://plain:3128"),
        ("https://api.example.com", {}, None),
        ("https://api.example.com", {"https_proxy": "lower:1"}, "http://lower:1"),
        ("https://api.example.com", {"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ("http://127.0.0.1:11434", ENV, None),
        ("http://localhost:11434", ENV, None),
        ("http://[::1]:11434", ENV, None),
        ("https://api.example.com", {**ENV, "NO_PROXY": "*"}, None),
        ("https://api.example.com", {**ENV, "NO_PROXY": "other.com, example.com"}, None),
        ("https://api.example.com", {**ENV, "NO_PROXY": ".example.com"}, None),
        ("https://api.example.com", {**ENV, "no_proxy": "*.example.com"}, None),
        ("https://badexample.com", {**ENV, "NO_PROXY": "example.com"}, "http://secure:3128"),
        ("https://example.com:8443", {**ENV, "NO_PROXY": "example.com:8443"}, None),
        ("https://example.com:8443", {**ENV, "NO_PROXY": "example.com:9000"}, "http://secure:3128"),
        ("http://10.1.2.3", {**ENV, "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://11.1.2.3", {**ENV, "NO_PROXY": "10.0.0.0/8"}, "http://plain:3128"),
        ("http://10.1.2.3", {**ENV, "NO_PROXY": "10.1.2.3"}, None),
    ],
)
def test_environment(url: str, environment: dict[str, str], expected: str | None) -> None:
    assert proxy_for(url, None, environment) == expected


@pytest.mark.proves("models.proxy")
def test_an_explicit_proxy_always_counts() -> None:
    assert proxy_for("http://localhost:1", "http://p:1", {"NO_PROXY": "*"}) == "http://p:1"


@pytest.mark.proves("models.proxy")
@pytest.mark.parametrize("proxy", ["socks5://p:1", "ftp://p", "http://"])
def test_a_proxy_of_no_use_is_named(proxy: str) -> None:
    with pytest.raises(ConfigError, match="proxy names a proxy that cannot be used"):
        proxy_for("https://x", proxy, {})
    with pytest.raises(ConfigError, match="HTTPS_PROXY names a proxy"):
        proxy_for("https://x", None, {"https_proxy": proxy})
