"""`hector serve`: read the configuration, open the database, answer until told to stop."""

import argparse
import asyncio
import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from hector.auth.opening import first_secret, warn
from hector.cli import server
from hector.cli.greeting import Address, greet, show_secret
from hector.cli.instance import Instance
from hector.config.environment import Environment
from hector.config.load import DEFAULT_PATH, Loaded, load_config, parse_config
from hector.config.server import Server
from hector.config.startup import Startup, add_serve_arguments, config_path, merge, refuse_wishes
from hector.core.clock import SystemClock
from hector.core.errors import ConfigError, StartupError
from hector.observe.log import set_up
from hector.observe.redact import remember
from hector.tools.catalog import Catalog

if TYPE_CHECKING:
    from hector.cli.tls import ServerTls

log = logging.getLogger("hector.server")


def add_parser(commands: Any) -> None:
    """The flags of the command."""
    parser = commands.add_parser("serve", help="start the server", description="Start the server.", allow_abbrev=False)
    add_serve_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop. Raises ConfigError, StartupError and StoreError, all before the first request."""
    environment = Environment()
    catalog = Catalog(arguments.registered_tools)
    loaded, notes = configuration(arguments, environment, catalog)
    return _run(arguments, environment, catalog, loaded, notes)


def serve(flags: Sequence[str], environment: Environment, catalog: Catalog, loaded: Loaded) -> int:
    """The same for a program that has the configuration in its hands, with flags of the command."""
    parser = argparse.ArgumentParser("serve", description="Start the server.", allow_abbrev=False)
    add_serve_arguments(parser)
    return _run(parser.parse_args(list(flags)), environment, catalog, loaded, ())


def _run(
    arguments: argparse.Namespace,
    environment: Environment,
    catalog: Catalog,
    loaded: Loaded,
    notes: tuple[str, ...],
) -> int:
    startup = merge(arguments, environment, loaded.config, loaded.path)
    _start_log(startup)
    tls = _tls(loaded.config.server)
    with server.bind(startup.host, startup.port) as listener:
        asyncio.run(_serve(environment, catalog, loaded, startup, listener, tls, notes))
    return 0


def _tls(settings: Server) -> "ServerTls | None":
    """What connections are secured with, if the file says so. Raises StartupError."""
    if settings.tls is None or not settings.tls.enabled:
        return None
    from hector.cli.tls import ServerTls  # noqa: PLC0415 - only needed with TLS

    return ServerTls(settings.tls)


def configuration(
    arguments: argparse.Namespace, environment: Environment, catalog: Catalog
) -> tuple[Loaded, tuple[str, ...]]:
    """The file that is named or there, else a new one made from what is at hand, with what the user should know."""
    if arguments.demo and arguments.config:
        raise ConfigError("--demo has a configuration of its own; leave out either --demo or --config")
    path = None if arguments.demo else config_path(arguments.config, environment)
    if path is not None:
        refuse_wishes(arguments, path)
        return load_config(path, environment, handlers=catalog), ()
    from hector.config.detect import Wishes  # noqa: PLC0415 - only needed where there is no configuration
    from hector.config.generate import demo, generate  # noqa: PLC0415 - likewise

    if arguments.api_key:
        remember(arguments.api_key)
    made = demo() if arguments.demo else generate(Path(DEFAULT_PATH), environment, Wishes.of(arguments))
    if made.path is not None:
        return load_config(made.path, environment, handlers=catalog), made.notes
    return parse_config(made.text, env=environment, handlers=catalog), made.notes


def _start_log(startup: Startup) -> None:
    file = Path(startup.log_file) if startup.log_file else None
    try:
        set_up(startup.log_level.replace("warn", "warning"), cast(Literal["text", "json"], startup.log_format), file)
    except OSError as error:
        raise StartupError(f"cannot write the log to {startup.log_file}: {error.strerror}") from None


async def _serve(
    environment: Environment,
    catalog: Catalog,
    loaded: Loaded,
    startup: Startup,
    listener: socket.socket,
    tls: "ServerTls | None",
    notes: tuple[str, ...],
) -> None:
    settings = loaded.config.server.with_changes(
        queue=startup.queue,
        auth=startup.auth,
        host=startup.host,
        trusted_proxies=startup.trusted_proxies,
        egress=startup.egress,
    )
    warn(startup.auth)
    rates = startup.rate_limiting
    opening = Instance.open(
        startup.database, environment, catalog, loaded, settings, rates, syncs=startup.sync, watch=startup.metrics
    )
    async with opening as instance:
        address = Address.of(listener, startup.host, secure=tls is not None)
        secret = await first_secret(startup.auth, instance.store.credentials, SystemClock())

        async with asyncio.TaskGroup() as group:
            background = [group.create_task(instance.start())]

            def ready() -> None:
                greet(address, instance.config, startup, instance.store.describe(), notes)
                if secret is not None:
                    show_secret(secret, address.url, startup.log_format)
                background.append(group.create_task(instance.warm_up()))
                background.append(group.create_task(instance.tidy()))
                background.append(group.create_task(instance.keep_apps()))

            async def reload() -> None:
                if tls is not None:
                    tls.renew()
                await instance.reload()

            if instance.watched is not None:
                background.append(group.create_task(instance.watched.keep()))
            if startup.watch:
                background.append(group.create_task(instance.watch()))
            await server.serve(
                instance.web(),
                listener,
                heads=loaded.config.server.request_headers,
                tls=tls,
                drain=lambda: instance.tasks.drain(loaded.config.server.shutdown_grace),
                reload=reload,
                ready=ready,
            )
            for task in background:
                task.cancel()
