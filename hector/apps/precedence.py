"""Which configuration the app `default` runs on: that of the file, unless somebody has changed it through the API.

The file counts as long as the newest version in the database came from a file, or there is none. A version that came
through the API wins over the file, on every server, until the file is written over it with --sync.
"""

import logging

from hector.apps.registry import Apps
from hector.config.load import Loaded
from hector.core.clock import iso
from hector.core.errors import Conflict
from hector.core.identity import DEFAULT_APP
from hector.core.record import dataclass
from hector.store.apps import FILE_AUTHOR, AppConfig, AppConfigs, Draft, Format

log = logging.getLogger("hector.apps")


@dataclass(slots=True)
class FileConfig:
    """What was read from the file last."""

    loaded: Loaded


async def sync(configs: AppConfigs, loaded: Loaded) -> bool:
    """Write the file's configuration into the database, as a version of its own; whether it was another one there.

    Raises StoreError.
    """
    form: Format = "json" if loaded.is_json else "yaml"
    draft = Draft(form, _text_of(loaded), FILE_AUTHOR, str(loaded.path or "built in"))
    stored = await _stored(configs)
    if stored is None:
        try:
            await configs.create(DEFAULT_APP, loaded.config.name, draft)
        except Conflict:  # another server was quicker, with its own file
            stored = await _stored(configs)
    if stored is not None:
        if (stored.author, stored.body) == (draft.author, draft.body):
            return False
        await configs.update(DEFAULT_APP, draft=draft)
    log.info("the configuration of the file is in the database now", extra={"app": DEFAULT_APP})
    return True


async def settle(configs: AppConfigs, apps: Apps, loaded: Loaded) -> None:
    """At the start, put that in force which has the last word, and say where it is not the file. Raises StoreError."""
    stored = await _stored(configs)
    if stored is None:
        return
    if stored.author == FILE_AUTHOR:
        apps.mark(DEFAULT_APP, stored.version)
    else:
        await apps.refresh(DEFAULT_APP)
        _explain(stored, loaded)


async def explain(configs: AppConfigs, loaded: Loaded) -> None:
    """Say in the log where the database has the last word. Raises StoreError."""
    stored = await _stored(configs)
    if stored is not None:
        _explain(stored, loaded)


def _explain(stored: AppConfig, loaded: Loaded) -> None:
    if stored.author == FILE_AUTHOR or stored.body == _text_of(loaded):
        return
    log.warning(
        "app %r runs on version %d of the database, not on %s: %s has changed it through the API at %s, "
        "and that counts until the file is put in force again with --sync",
        *(DEFAULT_APP, stored.version, loaded.path or "the built-in configuration", stored.author, iso(stored.created)),
    )


def _text_of(loaded: Loaded) -> str:
    from hector.config.tenancy import own_part  # noqa: PLC0415 - only where the database has a say

    return own_part(loaded)


async def _stored(configs: AppConfigs) -> AppConfig | None:
    if DEFAULT_APP not in await configs.standing((DEFAULT_APP,)):
        return None
    return (await configs.load(DEFAULT_APP))[1]
