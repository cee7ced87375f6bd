"""What `serve` starts with: flag, then variable, then file, then what is built in."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import ValidationError

from hector.config import sqlite
from hector.config.auth import Auth
from hector.config.base import TIME, Section
from hector.config.environment import Environment
from hector.config.findings import Finding, InvalidConfig
from hector.config.flags import DEFAULT_DATABASE, DEFAULT_PATH, given_wishes
from hector.config.flags import add_serve_arguments as add_serve_arguments  # re-exported for `serve`
from hector.config.postgres import SCHEMES, is_postgres, parse
from hector.config.root import HectorConfig
from hector.config.server import Queue
from hector.config.translate import suggest
from hector.core.record import dataclass

if TYPE_CHECKING:  # loaded where a file or a flag says anything of them
    from hector.config.egress import Egress
    from hector.config.limits import RateLimiting, TrustedProxies
    from hector.config.observability import Metrics, Observability

VISIBLE_PATH: Final = "hector.yaml"
"""Where the file may stand as well."""
_SUFFIXES: Final = (".yaml", ".yml", ".json")
IN_MEMORY: Final = "sqlite://:memory:"
LEVELS: Final = ("debug", "info", "warn", "error")
FORMATS: Final = ("text", "json")

PLANNED_VARIABLES: Final[Mapping[str, str]] = {
    "HECTOR_TRACING": "tracing",
}
"""Beginnings of variables that ask for what this version lacks; ignoring them would be a lie."""


@dataclass(frozen=True, slots=True)
class Startup:
    """Everything that is settled before the server starts. `config` None: there is no file yet."""

    config: Path | None
    host: str
    port: int
    database: str
    log_level: str
    log_format: str
    log_file: str | None
    watch: bool
    sync: bool
    queue: Queue
    rate_limiting: "RateLimiting | None"
    """Where flags or variables say anything about it, with what the file says besides."""
    trusted_proxies: "TrustedProxies | None"
    auth: Auth
    egress: "Egress | None" = None
    metrics: "Metrics | None" = None
    """None where nothing is counted."""


def config_path(flag: str | None, environment: Environment) -> Path | None:
    """The file that is named by flag or variable, else the first default one that exists, else None."""
    if named := flag or environment.get("HECTOR_CONFIG"):
        return Path(named)
    return next((path for path in _usual() if path.exists()), None)


def passed_over(path: Path | None) -> Path | None:
    """A file of a usual name that is not read, because another one is, or none."""
    return next((other for other in _usual() if other != path and other.exists()), None)


def _usual() -> Iterator[Path]:
    return (Path(name).with_suffix(suffix) for name in (DEFAULT_PATH, VISIBLE_PATH) for suffix in _SUFFIXES)


def refuse_wishes(flags: argparse.Namespace, path: Path) -> None:
    """Flags that shape a new configuration are refused where there is one. Raises InvalidConfig."""
    given = given_wishes(flags)
    if given:
        message = f"{', '.join(given)}: only for making a configuration, and {path} exists already"
        hint = "edit the file, name another one with --config, or leave the flags out"
        raise InvalidConfig([Finding("range", message, hint=hint)])


@dataclass(slots=True)
class _Merge:
    flags: argparse.Namespace
    environment: Environment
    findings: list[Finding]

    def gives(self, *names: str) -> bool:
        """Whether a flag or a variable says anything of these."""
        return any(
            getattr(self.flags, name, None) is not None or self.environment.first(["HECTOR_" + name.upper()])
            for name in names
        )

    def pick(self, name: str, check: Callable[[Any], Any], allowed: str, default: Any) -> Any:
        """Flag, then HECTOR_ variable, then what the file says; what does not fit is noted."""
        flag, variable = getattr(self.flags, name, None), "HECTOR_" + name.upper()
        given = self.environment.first([variable])
        source, value = (f"--{name.replace('_', '-')}", flag) if flag is not None else (variable, given)
        if value in {None, ""}:
            return default
        try:
            return check(value)
        except ValueError:
            near = suggest(str(value), allowed.split(", ")) if ", " in allowed else ""
            finding = Finding("range", f"{source} is wrong", found=repr(value), allowed=allowed, hint=near)
            self.findings.append(finding)
            return default


def merge(
    flags: argparse.Namespace, environment: Environment, config: HectorConfig, path: Path | None = None
) -> Startup:
    """Settle everything. Raises InvalidConfig with all that is wrong in flags and variables."""
    task = _Merge(flags, environment, [])
    server, logger = config.server, config.logger
    startup = Startup(
        config=path,
        host=task.pick("host", str, "a host", server.host),
        port=task.pick("port", _port, "a number from 0 to 65535", server.port),
        database=_database(task, config),
        log_level=task.pick("log_level", _one_of(LEVELS, {"warning": "warn"}), ", ".join(LEVELS), logger.level),
        log_format=task.pick("log_format", _one_of(FORMATS), ", ".join(FORMATS), logger.format),
        log_file=task.pick("log_file", str, "a file", logger.file),
        watch=task.pick("watch", _flag, "true, false", False),
        sync=task.pick("sync", _flag, "true, false", False),
        queue=_queue(task, server.queue),
        rate_limiting=_rate_limiting(task, config.rate_limiting),
        trusted_proxies=_proxies(task, server.trusted_proxies),
        auth=_auth(task, server.auth),
        egress=_egress(task, server.egress),
        metrics=_metrics(task, config.observability),
    )
    task.findings += _planned(environment)
    if task.findings:
        raise InvalidConfig(task.findings)
    return startup


def _planned(environment: Environment) -> list[Finding]:
    return [
        Finding("planned", f"{name} asks for {what}, which is not available in this version", hint="unset it")
        for name in sorted(environment.variables)
        for start, what in PLANNED_VARIABLES.items()
        if name.startswith(start) and environment.first([name]).lower() not in {"", "0", "false", "off", "no"}
    ]


def _queue(task: _Merge, queue: Queue) -> Queue:
    """The block `server.queue`, each key with a flag and a variable of its own."""
    allowed = {
        "workers": "a whole number from 1 to 100000",
        "max_retries": "a whole number from 0 to 1000",
        "initial_delay": TIME.allowed,
        "max_delay": TIME.allowed,
        "stale_threshold": f"{TIME.allowed}, of 1 s at least",
    }
    found = {
        name: task.pick(f"queue_{name}", _field_of(Queue, name), text, getattr(queue, name))
        for name, text in allowed.items()
    }
    return queue.with_changes(**found)


def _auth(task: _Merge, auth: Auth) -> Auth:
    """The block `server.auth` with what flags and variables say; they are judged together with it."""
    texts = ("secret", "jwks_url", "issuer", "audience", "client_id", "signing_seed")
    given = {name: task.pick(f"auth_{name}", str, "a text", None) for name in texts}
    given["require_auth"] = task.pick("require_auth", _flag, "true, false", None)
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        return auth
    try:
        return Auth.model_validate(auth.model_dump(exclude_unset=True) | changes)
    except ValidationError as error:  # its own text holds the values, which may be secrets
        for found in error.errors(include_input=False, include_url=False):
            where = " --auth-" + str(found["loc"][0]).replace("_", "-") if found["loc"] else ""
            task.findings.append(Finding("range", f"authentication{where}: {found['msg']}"))
        return auth


def _egress(task: _Merge, block: "Egress | None") -> "Egress | None":
    """The block with another mode for all purposes, if a flag or a variable asks for one; lists that count stay."""
    if not task.gives("egress"):
        return block
    from hector.config.egress import MODES, Egress  # noqa: PLC0415 - most servers are not told

    mode = task.pick("egress", _one_of(MODES), ", ".join(MODES), None)
    if mode is None:
        return block
    block = block or Egress()

    def kept(allow: tuple[str, ...]) -> tuple[str, ...]:
        return allow if mode == "listed" else ()

    purposes = {name: own.with_changes(mode=None, allow=kept(own.allow)) for name, own in block.purposes.items()}
    return block.with_changes(mode=mode, allow=kept(block.allow), purposes=purposes)


def _metrics(task: _Merge, block: "Observability | None") -> "Metrics | None":
    """How figures are counted and served; None where they are not."""
    known = None if block is None else block.metrics
    wanted = task.pick("metrics", _flag, "true, false", known is not None and known.enabled)
    if not wanted:
        return None
    from hector.config.observability import Metrics  # noqa: PLC0415 - most servers are not told

    return (known or Metrics()).with_changes(enabled=True)


def _rate_limiting(task: _Merge, block: "RateLimiting | None") -> "RateLimiting | None":
    """The block with what flags and variables change; None where they change nothing."""
    if not task.gives("rate_limit_enabled", "rate_limit_scope", "rate_limit_limits"):
        return None
    from hector.config.limits import RateLimiting, Scope, rules_of  # noqa: PLC0415 - most servers are not told

    shape = 'a JSON list such as [{"type": "count", "window": "minute", "limit": 60}]'
    scopes = get_args(Scope)
    given = {
        "enabled": task.pick("rate_limit_enabled", _flag, "true, false", None),
        "scope": task.pick("rate_limit_scope", _one_of(scopes), ", ".join(scopes), None),
        "limits": task.pick("rate_limit_limits", rules_of, shape, None),
    }
    changes = {name: value for name, value in given.items() if value is not None}
    known = block or RateLimiting()
    try:
        found = RateLimiting.model_validate(known.model_dump(exclude_unset=True) | changes)
    except ValidationError as error:
        task.findings += [Finding("range", f"rate limits: {found['msg']}") for found in error.errors()]
        return None
    return None if found == known else found


def _proxies(task: _Merge, block: "TrustedProxies | None") -> "TrustedProxies | None":
    """Headers of proxies mean nothing where no proxy is trusted."""
    if not task.gives("rate_limit_ip_headers"):
        return block
    from hector.config.limits import TrustedProxies  # noqa: PLC0415 - most servers are not told

    known = block or TrustedProxies.model_construct()
    found = task.pick("rate_limit_ip_headers", _words, "names of headers, with commas", known.headers)
    if found != known.headers and not known.networks:
        message = "--rate-limit-ip-headers names headers of proxies, but no proxy is trusted"
        task.findings.append(Finding("missing", message, hint="list them under server.trusted_proxies.networks"))
    return block and block.with_changes(headers=found)


def _words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _field_of(section: type[Section], name: str) -> Callable[[Any], Any]:
    return lambda value: getattr(section.model_validate({name: value}), name)


def _port(value: Any) -> int:
    port = int(value)
    if not 0 <= port <= 65535:
        raise ValueError(port)
    return port


def _flag(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in {"true", "1", "yes", "on", "false", "0", "no", "off"}:
        raise ValueError(word)
    return word in {"true", "1", "yes", "on"}


def _one_of(values: Sequence[str], aliases: Mapping[str, str] | None = None) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        word = str(value).strip().lower()
        word = (aliases or {}).get(word, word)
        if word not in values:
            raise ValueError(word)
        return word

    return check


def _database(task: _Merge, config: HectorConfig) -> str:
    """The database address: --database, --storage, HECTOR_DATABASE, DATABASE_URL, the file, the default."""
    flags, environment = task.flags, task.environment
    storage, file = getattr(flags, "storage", None), getattr(flags, "storage_db", None)
    given = (
        ("--database", getattr(flags, "database", None)),
        ("--storage", _from_storage(storage, file) if storage or file else None),
        ("HECTOR_DATABASE", environment.first(["HECTOR_DATABASE"])),
        ("DATABASE_URL", environment.first(["DATABASE_URL"])),
    )
    source, value = next(((source, value) for source, value in given if value), ("", ""))
    if not value:
        return database_of(config)
    try:
        return dsn(value)
    except ValueError as error:
        scheme, mark, _ = value.partition("://")  # the rest may hold a password, and may be too odd to find it
        task.findings.append(
            Finding(
                "planned" if "version" in str(error) else "range", f"{source}: {error}",
                found=repr(f"{scheme}://...") if mark else "an address without a scheme",
                allowed="sqlite://path/to/file.db, sqlite://:memory:, postgres://user:password@host:5432/database",
            )
        )  # fmt: skip
        return DEFAULT_DATABASE


def _from_storage(kind: str | None, file: str | None) -> str:
    word = (kind or "sqlite").strip().lower()
    if word in {"inmemory", "memory"}:
        return IN_MEMORY
    if word in {"sqlite", "sqlite3", "sql"}:
        return file if file and "://" in file else f"sqlite://{file}" if file else DEFAULT_DATABASE
    if word in SCHEMES:
        return file if file and "://" in file else f"postgres://{file or ''}"
    return f"{word}://"


def dsn(text: str) -> str:
    """A database address in its one spelling. Raises ValueError that says what is wrong with another."""
    scheme, mark, rest = text.strip().partition("://")
    if not mark and (text.strip() == ":memory:" or text.strip().endswith((".db", ".sqlite", ".sqlite3"))):
        return f"sqlite://{text.strip()}"
    if is_postgres(text.strip()):
        parse(text.strip())
        return f"postgres://{rest}"
    if scheme in {"mysql", "mariadb"}:
        raise ValueError(f"{scheme} is not available in this version: use postgres:// or sqlite://")
    if not mark or scheme not in {"sqlite", "sqlite3"}:
        raise ValueError("this is no database address")
    return sqlite.compose(*sqlite.parse(rest))


def database_of(config: HectorConfig) -> str:
    """What the blocks `storage` and `databases` ask for, else the default."""
    side = config.storage.tasks or config.storage.sessions
    if side is not None and side.backend == "inmemory":
        return IN_MEMORY
    if side is not None and side.database:
        return config.databases[side.database].dsn
    databases = config.databases
    chosen = databases.get("default") or (next(iter(databases.values())) if len(databases) == 1 else None)
    return chosen.dsn if chosen else DEFAULT_DATABASE
