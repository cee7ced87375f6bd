"""Flags that several commands share; loads nothing, so that every command may declare them."""

import argparse
from typing import Any, Final

DEFAULT_PATH: Final = ".hector/config.yaml"
DEFAULT_DATABASE: Final = "sqlite://.hector/hector.db"


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `serve`. None stands for "not given", so that variables and the file have their say."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", help=f"configuration (HECTOR_CONFIG; {DEFAULT_PATH}, hector.yaml)"
    )
    parser.add_argument("--host", help="interface to listen on (HECTOR_HOST; 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on, 0 for any free one (HECTOR_PORT; 8080)")
    parser.add_argument(
        "--database", metavar="DSN", help=f"where state is kept (HECTOR_DATABASE, DATABASE_URL; {DEFAULT_DATABASE})"
    )
    parser.add_argument("--storage", metavar="KIND", help="sqlite, postgres or inmemory; older form of --database")
    parser.add_argument("--storage-db", metavar="DSN", help="file or address for --storage")
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warn or error (HECTOR_LOG_LEVEL; info)")
    parser.add_argument("--log-format", metavar="FORMAT", help="text or json (HECTOR_LOG_FORMAT; text)")
    parser.add_argument("--log-file", metavar="FILE", help="append the log to a file (HECTOR_LOG_FILE; standard error)")
    parser.add_argument(
        "--metrics",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="serve figures for Prometheus at /metrics (HECTOR_METRICS; off)",
    )
    parser.add_argument(
        "--sync",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="let the database take over what the configuration file says of the app `default` (HECTOR_SYNC; off)",
    )
    parser.add_argument(
        "--watch",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="reload when the configuration changes (HECTOR_WATCH; off)",
    )
    parser.add_argument(
        "--egress",
        metavar="MODE",
        help="to where connections may be opened: open, listed or none (HECTOR_EGRESS; open)",
    )
    _add_auth_arguments(parser.add_argument_group("authentication", "who may call, and how they prove who they are"))
    _add_queue_arguments(parser.add_argument_group("queue", "how work is taken up, tried again and taken over"))
    _add_limit_arguments(parser.add_argument_group("rate limits", "how much clients may ask for"))
    new = parser.add_argument_group("without a configuration", "what the generated one says")
    add_wish_arguments(new)
    new.add_argument("--demo", action="store_true", help="scripted answers that show what Hector does; no model runs")


def add_place_arguments(parser: Any) -> None:
    """The flags of commands that open the database which `serve` would open with the same ones."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", help=f"configuration (HECTOR_CONFIG; {DEFAULT_PATH}, hector.yaml)"
    )
    parser.add_argument(
        "--database", metavar="DSN", help=f"where state is kept (HECTOR_DATABASE, DATABASE_URL; {DEFAULT_DATABASE})"
    )
    parser.add_argument("--storage", metavar="KIND", help=argparse.SUPPRESS)
    parser.add_argument("--storage-db", metavar="FILE", help=argparse.SUPPRESS)


def _add_auth_arguments(auth: Any) -> None:
    auth.add_argument(
        "--auth-secret",
        metavar="TEXT",
        help="admin secret, better given as HECTOR_AUTH_SECRET (made at the first start, printed once)",
    )
    auth.add_argument(
        "--require-auth",
        "--auth-required",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether agents take a credential (HECTOR_REQUIRE_AUTH; as soon as one is set up, or others can connect)",
    )
    auth.add_argument("--auth-issuer", metavar="URL", help="who issues tokens: their claim iss (HECTOR_AUTH_ISSUER)")
    auth.add_argument(
        "--auth-jwks-url",
        metavar="URL",
        help="public keys of the issuer (HECTOR_AUTH_JWKS_URL; found through the issuer)",
    )
    auth.add_argument("--auth-audience", metavar="NAME", help="whom tokens must be for (HECTOR_AUTH_AUDIENCE)")
    auth.add_argument("--auth-client-id", metavar="ID", help="client id for logins of browsers (HECTOR_AUTH_CLIENT_ID)")
    auth.add_argument(
        "--auth-signing-seed",
        metavar="TEXT",
        help="secret that the keys for tokens of apps are made from, the same on all instances; several with commas, "
        "the first one signs (HECTOR_AUTH_SIGNING_SEED; keys in files)",
    )


def add_action_arguments(actions: Any, run: Any) -> None:
    """What all actions of a command beside a server take: its database, and whether they answer in JSON."""
    for action in actions.choices.values():
        add_place_arguments(action)
        action.add_argument("--json", action="store_true", help="as JSON")
        action.set_defaults(run=run)


def _add_queue_arguments(queue: Any) -> None:
    queue.add_argument("--queue-workers", metavar="N", help="jobs worked on at once (HECTOR_QUEUE_WORKERS; 256)")
    queue.add_argument(
        "--queue-max-retries", metavar="N", help="retries of work that failed (HECTOR_QUEUE_MAX_RETRIES; 3)"
    )
    queue.add_argument(
        "--queue-initial-delay", metavar="TIME", help="wait before the first retry (HECTOR_QUEUE_INITIAL_DELAY; 1s)"
    )
    queue.add_argument("--queue-max-delay", metavar="TIME", help="longest wait (HECTOR_QUEUE_MAX_DELAY; 5m)")
    queue.add_argument(
        "--queue-stale-threshold",
        metavar="TIME",
        help="silence after which others take over (HECTOR_QUEUE_STALE_THRESHOLD; 15s)",
    )


def _add_limit_arguments(limits: Any) -> None:
    limits.add_argument(
        "--rate-limit-enabled",
        metavar="BOOL",
        nargs="?",
        const="true",
        help="limit requests and tokens (HECTOR_RATE_LIMIT_ENABLED; off)",
    )
    limits.add_argument(
        "--rate-limit-scope",
        metavar="SCOPE",
        help="whose requests count together: session, user, app, agent or address (HECTOR_RATE_LIMIT_SCOPE; session)",
    )
    limits.add_argument(
        "--rate-limit-limits",
        metavar="JSON",
        help="the rules (HECTOR_RATE_LIMIT_LIMITS; 100000 tokens a day and 60 requests a minute)",
    )
    limits.add_argument(
        "--rate-limit-ip-headers",
        metavar="NAMES",
        help="headers in which trusted proxies name the client "
        "(HECTOR_RATE_LIMIT_IP_HEADERS; X-Forwarded-For,X-Real-IP)",
    )


WISHES: Final = ("provider", "model", "api_key", "base_url", "instruction", "tools", "name", "docs_folder")


def given_wishes(flags: argparse.Namespace) -> list[str]:
    """The flags about a new configuration that were given, as they are written."""
    return [f"--{name.replace('_', '-')}" for name in WISHES if getattr(flags, name, None) is not None]


def add_wish_arguments(parser: Any) -> None:
    """The flags of `serve` and `init` that shape a generated configuration."""
    parser.add_argument("--provider", metavar="NAME", help="anthropic, openai, gemini, ollama, local or scripted")
    parser.add_argument("--model", metavar="ID", help="model, as the provider writes it")
    parser.add_argument("--api-key", metavar="KEY", help="used in this process, never written to a file")
    parser.add_argument("--base-url", metavar="URL", help="address of the provider")
    parser.add_argument("-i", "--instruction", metavar="TEXT", help="what the agent is told")
    parser.add_argument(
        "--tools",
        metavar="LIST",
        nargs="?",
        const="all",
        help="names with commas; all, or nothing: files, commands, the web, and more",
    )
    parser.add_argument("--name", help="name of the application")
    parser.add_argument(
        "--docs-folder",
        metavar="PATH[:REMOTE]",
        help="folder of documents that the agent can search; REMOTE is how tools in a container see it",
    )
