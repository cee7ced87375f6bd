"""Flag, then variable, then file, then what is built in."""

import argparse
from pathlib import Path

import pytest

from hector.config.auth import Auth
from hector.config.environment import Environment
from hector.config.findings import InvalidConfig
from hector.config.flags import add_serve_arguments
from hector.config.server import Queue
from hector.config.startup import Startup, config_path, dsn, merge, refuse_wishes
from tests.config.sample import config

MODEL = "llms: {d: {provider: ollama}}\n"


def flags(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_serve_arguments(parser)
    return parser.parse_args(arguments)


def settle(folder: Path, text: str = "", env: dict[str, str] | None = None, *arguments: str) -> Startup:
    return merge(flags(*arguments), Environment(dict(env or {})), config(folder, MODEL + text))


def refusal(folder: Path, text: str = "", env: dict[str, str] | None = None, *arguments: str) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        settle(folder, text, env, *arguments)
    return caught.value


def test_what_is_built_in(tmp_path: Path) -> None:
    assert settle(tmp_path) == Startup(
        config=None,
        host="127.0.0.1",
        port=8080,
        database="sqlite://.hector/hector.db",
        log_level="info",
        log_format="text",
        log_file=None,
        watch=False,
        sync=False,
        queue=Queue(),
        rate_limiting=None,
        trusted_proxies=None,
        auth=Auth(),
    )


FILE = """
server: {host: file, port: 1}
logger: {level: debug, format: json, file: file.log}
databases: {main: {driver: sqlite, database: file.db}}
"""
ENV = {
    "HECTOR_HOST": "env",
    "HECTOR_PORT": "2",
    "HECTOR_LOG_LEVEL": "WARNING",
    "HECTOR_LOG_FORMAT": "text",
    "HECTOR_LOG_FILE": "env.log",
    "HECTOR_DATABASE": "sqlite://env.db",
    "DATABASE_URL": "sqlite://url.db",
    "HECTOR_WATCH": "yes",
}
FLAGS = (
    *("--host", "flag", "--port", "3", "--log-level", "error", "--log-format", "json", "--log-file", "flag.log"),
    *("--database", "sqlite://flag.db", "--no-watch"),
)


@pytest.mark.proves("cli.config", "cli.database")
def test_the_order(tmp_path: Path) -> None:
    file, env, flag = settle(tmp_path, FILE), settle(tmp_path, FILE, ENV), settle(tmp_path, FILE, ENV, *FLAGS)
    assert (file.host, env.host, flag.host) == ("file", "env", "flag")
    assert (file.port, env.port, flag.port) == (1, 2, 3)
    assert (file.log_level, env.log_level, flag.log_level) == ("debug", "warn", "error")
    assert (file.log_format, env.log_format, flag.log_format) == ("json", "text", "json")
    assert (file.log_file, env.log_file, flag.log_file) == ("file.log", "env.log", "flag.log")
    assert (file.database, env.database, flag.database) == ("sqlite://file.db", "sqlite://env.db", "sqlite://flag.db")
    assert (file.watch, env.watch, flag.watch) == (False, True, False)


@pytest.mark.proves("queue.settings")
def test_the_queue_by_flag_variable_and_file(tmp_path: Path) -> None:
    text = "server: {queue: {workers: 3, max_retries: 0, initial_delay: 200ms}}"
    env = {"HECTOR_QUEUE_WORKERS": "4", "HECTOR_QUEUE_MAX_DELAY": "2m"}
    found = settle(tmp_path, text, env, "--queue-workers", "5", "--queue-stale-threshold", "1m30s").queue
    assert found == Queue(workers=5, max_retries=0, initial_delay=0.2, max_delay=120, stale_threshold=90)


def test_what_a_queue_cannot_have(tmp_path: Path) -> None:
    error = refusal(
        tmp_path, "", {"HECTOR_QUEUE_MAX_DELAY": "soon"}, "--queue-workers", "0", "--queue-stale-threshold=0"
    )
    assert [(finding.message, finding.found) for finding in error.findings] == [
        ("--queue-workers is wrong", "'0'"),
        ("HECTOR_QUEUE_MAX_DELAY is wrong", "'soon'"),
        ("--queue-stale-threshold is wrong", "'0'"),
    ]


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    assert settle(tmp_path, "server: {port: 9}", {"HECTOR_PORT": "", "HECTOR_DATABASE": " "}).port == 9


@pytest.mark.proves("cli.database", "config.aliases")
@pytest.mark.parametrize(
    ("text", "env", "arguments", "expected"),
    [
        ("", {"DATABASE_URL": "sqlite://u.db"}, (), "sqlite://u.db"),
        ("", {}, ("--storage", "inmemory"), "sqlite://:memory:"),
        ("", {}, ("--storage", "sqlite", "--storage-db", "x.db"), "sqlite://x.db"),
        ("", {}, ("--storage", "sqlite", "--storage-db", "sqlite://x.db"), "sqlite://x.db"),
        ("", {}, ("--storage", "sqlite"), "sqlite://.hector/hector.db"),
        ("", {}, ("--database", "data.db"), "sqlite://data.db"),
        ("", {}, ("--database", ":memory:"), "sqlite://:memory:"),
        ("", {"DATABASE_URL": "postgresql://u:p@h/d"}, (), "postgres://u:p@h/d"),
        ("", {}, ("--database", "pgx://u:p@h:1/d?sslmode=require"), "postgres://u:p@h:1/d?sslmode=require"),
        ("", {}, ("--storage", "postgres", "--storage-db", "u:p@h/d"), "postgres://u:p@h/d"),
        ("", {}, ("--storage", "postgresql", "--storage-db", "postgres://u:p@h/d"), "postgres://u:p@h/d"),
        (
            "databases: {a: {driver: postgres, host: h, database: d, username: u, password: 'p:/@', max_conns: 30}}",
            {},
            (),
            "postgres://u:p%3A%2F%40@h/d?max_conns=30",
        ),
        (
            "databases: {a: {driver: postgres, host: /run/pg, port: 5433, database: d, ssl_mode: prefer}}",
            {},
            (),
            "postgres:///d?sslmode=prefer&host=%2Frun%2Fpg&port=5433",
        ),
        ("storage: {tasks: {backend: inmemory}}", {}, (), "sqlite://:memory:"),
        ("storage: {sessions: {backend: inmemory}}", {}, (), "sqlite://:memory:"),
        (
            "databases: {a: {database: a.db}, b: {database: b.db}}\nstorage: {tasks: {database: b}}",
            {},
            (),
            "sqlite://b.db",
        ),
        ("databases: {a: {database: a.db}, default: {database: d.db}}", {}, (), "sqlite://d.db"),
        ("databases: {a: {database: a.db}}", {}, (), "sqlite://a.db"),
        ("databases: {a: {database: a.db}, b: {database: b.db}}", {}, (), "sqlite://.hector/hector.db"),
    ],
)
def test_databases(tmp_path: Path, text: str, env: dict[str, str], arguments: tuple[str, ...], expected: str) -> None:
    assert settle(tmp_path, text, env, *arguments).database == expected


@pytest.mark.parametrize("text", ["mysql://u:p@h/db", "mariadb://h/db"])
def test_planned_databases(text: str) -> None:
    with pytest.raises(ValueError, match="not available in this version: use postgres:// or sqlite://"):
        dsn(text)


@pytest.mark.parametrize(
    "text",
    [
        "mysql://u:geheim@h/db",
        "postgres://u:gehei/geheim@h/db",
        "postgres://u:geheim@h:x/db",
        "postgres://u:geheim@h/d?x=1",
    ],
)
def test_an_address_that_is_refused_hides_its_password(tmp_path: Path, text: str) -> None:
    error = refusal(tmp_path, "", {"DATABASE_URL": text})
    assert error.findings[0].kind == ("planned" if "mysql" in text else "range")
    assert "DATABASE_URL" in str(error)
    assert "geheim" not in str(error)


@pytest.mark.parametrize("text", ["redis://x", "sqlite://", "file.txt", ""])
def test_no_databases(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        dsn(text)


@pytest.mark.proves("serve.bad-input")
def test_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    env = {"HECTOR_PORT": "http", "HECTOR_WATCH": "perhaps"}
    error = refusal(tmp_path, "", env, "--log-level", "warm", "--database", "redis://x")
    assert [finding.message.split()[0] for finding in error.findings] == [
        "HECTOR_PORT", "--database:", "--log-level", "HECTOR_WATCH",
    ]  # fmt: skip
    assert "did you mean 'warn'?" in str(error)
    assert "from 0 to 65535" in str(error)


@pytest.mark.proves("config.unbuilt-refused")
def test_variables_of_later_versions_are_refused(tmp_path: Path) -> None:
    env = {"HECTOR_TRACING_ENDPOINT": "geheim:4317", "HECTOR_SYNC": "false"}
    error = refusal(tmp_path, "", env)
    assert [finding.message.split()[0] for finding in error.findings] == ["HECTOR_TRACING_ENDPOINT"]
    assert "geheim" not in str(error)


def test_flags_of_later_versions_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        flags("--tracing-endpoint", "x")
    assert "--tracing-endpoint" in capsys.readouterr().err


@pytest.mark.proves("cli.auth-secret", "cli.auth-jwks-url", "cli.auth-issuer", "cli.auth-audience")
def test_authentication_by_flag_variable_and_file(tmp_path: Path) -> None:
    provider = ("--auth-jwks-url", "https://id.example/keys", "--auth-issuer", "https://id.example/")
    flag = settle(tmp_path, "", {"HECTOR_AUTH_SECRET": "of the variable"}, *provider, "--auth-audience", "hector, api")
    assert (flag.auth.secret, flag.auth.jwks_url) == ("of the variable", "https://id.example/keys")
    assert (flag.auth.issuer, flag.auth.audience) == ("https://id.example/", ("hector", "api"))
    file = "server: {auth: {secret: of the file, require_auth: false, role_claim: groups}}"
    found = settle(tmp_path, file, {}, "--auth-secret", "of the flag").auth
    assert (found.secret, found.require_auth, found.role_claim) == ("of the flag", False, "groups")
    assert settle(tmp_path, file, {"HECTOR_REQUIRE_AUTH": "yes"}).auth.require_auth


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--auth-jwks-url", "https://id.example/keys"), "issuer"),
        (("--auth-issuer", "https://id.example"), "audience"),
        (("--auth-audience", "hector"), "nobody issues tokens"),
        (("--auth-client-id", "hector"), "nobody issues tokens"),
        (("--auth-jwks-url", "id.example", "--auth-issuer", "a", "--auth-audience", "b"), "--auth-jwks-url"),
        (("--auth-signing-seed", "geheim"), "seed is too short"),
    ],
)
def test_half_of_a_provider_is_refused(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    error = refusal(tmp_path, "", None, *arguments)
    assert words in str(error)
    assert "geheim" not in str(error)


@pytest.mark.proves("auth.required")
@pytest.mark.parametrize(
    ("auth", "here", "exposed"),
    [
        ("{}", False, True),
        ("{enabled: false}", False, False),
        ("{enabled: true}", True, True),
        ("{secret: x}", True, True),
        ("{api_keys: [{name: ci, key: 0123456789abcdef}]}", True, True),
        ("{issuer: x, audience: y}", True, True),
        ("{secret: x, require_auth: false}", False, False),
        ("{require_auth: true}", True, True),
        ("{role_claim: groups}", False, True),
    ],
)
def test_when_agents_take_a_credential(tmp_path: Path, auth: str, here: bool, exposed: bool) -> None:
    found = settle(tmp_path, f"server: {{auth: {auth}}}").auth
    assert (found.asks(exposed=False), found.asks(exposed=True)) == (here, exposed)


@pytest.mark.proves("cli.config")
def test_which_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nothing = Environment({})
    assert config_path(None, nothing) is None
    assert config_path("a.yaml", Environment({"HECTOR_CONFIG": "b.yaml"})) == Path("a.yaml")
    assert config_path(None, Environment({"HECTOR_CONFIG": "b.yaml"})) == Path("b.yaml")
    (tmp_path / ".hector").mkdir()
    (tmp_path / ".hector/config.json").write_text("{}", encoding="utf-8")
    assert config_path(None, nothing) == Path(".hector/config.json")
    (tmp_path / ".hector/config.yaml").write_text("", encoding="utf-8")
    assert config_path(None, nothing) == Path(".hector/config.yaml")


def test_wishes_for_a_file_that_exists_are_not_ignored() -> None:
    refuse_wishes(flags("--port", "1", "--watch"), Path("c.yaml"))
    with pytest.raises(InvalidConfig, match=r"--model, --tools: .* c\.yaml exists") as caught:
        refuse_wishes(flags("--model", "m", "--tools"), Path("c.yaml"))
    assert "edit the file" in str(caught.value)
