"""Addresses of PostgreSQL, and the blocks under `databases`."""

import pytest

from hector.config.database import Database
from hector.config.findings import InvalidConfig
from hector.config.load import parse_config
from hector.config.masking import printable, to_yaml
from hector.config.postgres import PostgresAddress, parse
from hector.config.startup import dsn

A: dict[str, object] = {"hosts": (("h", 5432),), "database": "d"}


@pytest.mark.proves("database.postgres")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://h/d", A),
        ("pgx://u:p@h:1/d", A | {"hosts": (("h", 1),), "user": "u", "password": "p"}),
        ("postgresql://u%40x:p%2F%3F%23@h/d%20e", A | {"user": "u@x", "password": "p/?#", "database": "d e"}),
        ("postgres://[::1]:5433/d", A | {"hosts": (("::1", 5433),)}),
        ("postgres://a:1,b/d", A | {"hosts": (("a", 1), ("b", 5432))}),
        ("postgres:///d?host=/run/pg&port=1", A | {"hosts": (("/run/pg", 1),)}),
        ("postgres://%2Frun%2Fpg/d", A | {"hosts": (("/run/pg", 5432),)}),
        (
            "postgres://h/d?sslmode=verify_full&sslrootcert=system",
            A | {"ssl_mode": "verify-full", "ssl_root_cert": "system"},
        ),
        (
            "postgres://h/d?connect_timeout=2&statement_timeout=500",
            A | {"connect_timeout": 2, "statement_timeout": 0.5},
        ),
        ("postgres://h/d?statement_timeout=2min&max_conns=9", A | {"statement_timeout": 120, "max_conns": 9}),
        ("postgres://h/d?pool_max_conns=9&application_name=x", A | {"max_conns": 9, "application_name": "x"}),
        ("postgres://h/d?search_path=s&synchronous_commit=off", A | {"search_path": "s", "synchronous_commit": "off"}),
    ],
)
def test_addresses(text: str, expected: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPORT", raising=False)
    assert parse(text) == PostgresAddress(**expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgres://u:ge/heim@h/d", "percent-encoded"),
        ("postgres://u:ge#heim@h/d", "percent-encoded"),
        ("postgres://u:geheim@h:0/d", "db.example.com:5432"),
        ("postgres://u:geheim@h:x/d", "db.example.com:5432"),
        ("postgres://u:geheim@a,b/d?port=1,2,3", "another number of ports"),
        ("postgres://u@h/d?password=geheim", "before the @"),
        ("postgres://u:geheim@h/d?sslmod=on", "'sslmod' is not an option"),
        ("postgres://u:geheim@h/d?sslmode=on", "sslmode of the PostgreSQL address must be disable, allow"),
        ("postgres://u:geheim@h/d?max_conns=1", "from 4 to 1000"),
        ("postgres://u:geheim@h/d?statement_timeout=soon", "milliseconds"),
    ],
)
def test_what_is_no_address(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        parse(text)
    assert "geheim" not in str(caught.value)


def test_an_address_shows_no_password() -> None:
    address = parse("postgres://u:geheim@h,[::1]:1/d")
    assert address.place == "u@h:5432,[::1]:1/d"
    assert "geheim" not in repr(address)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{driver: sqlite, database: x, host: h, port: 1}", "'host' is for a database server"),
        ("{driver: postgres, database: x}", "the host of the server is missing"),
        ("{dsn: 'postgres://u:geheim@h/d?x=1'}", "'x' is not an option"),
        ("{dsn: 'postgres://u:geheim@h'}", "database"),
        ("{driver: postgres, host: h, database: d, ssl_mode: on}", "ssl_mode"),
        ("{driver: mysql, host: h, database: d, password: geheim}", "use driver postgres or sqlite"),
    ],
)
def test_blocks_that_are_wrong(text: str, said: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse_config(f"databases: {{m: {text}}}\n", env={})
    assert said in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_settings_of_other_pools_are_passed_over() -> None:
    loaded = parse_config("databases: {m: {driver: postgres, host: h, database: d, max_idle: 5}}\n", env={})
    assert ["'max_idle' has no effect" in finding.message for finding in loaded.warnings] == [True]
    assert loaded.config.databases["m"].dsn == "postgres://h/d"


def test_a_printed_configuration_holds_no_password() -> None:
    loaded = parse_config("databases: {m: {dsn: 'postgres://u:geheim@h/d'}}\n", env={})
    shown = to_yaml(printable(loaded.config))
    assert "geheim" not in shown
    assert "username: u" in shown
    assert "password: '***'" in shown


class TestSqlite:
    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("sqlite://a.db", "sqlite://a.db"),
            ("sqlite://a.db?synchronous=FULL", "sqlite://a.db?synchronous=full"),
            ("sqlite:///a/b.db?synchronous=normal", "sqlite:///a/b.db"),
        ],
    )
    def test_how_far_a_commit_goes_stands_in_the_address(self, written: str, meant: str) -> None:
        assert dsn(written) == meant
        assert Database(driver="sqlite", database="a.db", synchronous="full").dsn == "sqlite://a.db?synchronous=full"

    @pytest.mark.parametrize("wrong", ["sqlite://a.db?sync=full", "sqlite://a.db?synchronous=off", "sqlite://?x"])
    def test_nothing_else_may_stand_there(self, wrong: str) -> None:
        with pytest.raises(ValueError, match=r"synchronous|no file"):
            dsn(wrong)
