"""Which app a request is about: that of its credential, never one that only a message or a path names."""

from typing import Final

from hector.apps.app import App
from hector.apps.registry import Apps
from hector.core.errors import NotFound
from hector.core.identity import DEFAULT_APP, Principal

_SHOWN: Final = 80
"""Characters of a tenant's name that an error repeats."""


def app_asked(who: Principal, tenant: str | None) -> str:
    """The app's id. Raises NotFound for a tenant that whoever asks may not touch, as for one that is not there."""
    mine = who.app
    if not tenant:
        return mine or DEFAULT_APP
    if mine is not None and mine != tenant:
        raise NotFound("tenant", tenant[:_SHOWN])
    return tenant


async def app_for(apps: Apps, who: Principal, tenant: object) -> App:
    """The app itself, loaded if need be; what is no text is left to whoever reads the parameters.

    Raises NotFound, AppSuspended, AppUnavailable, StoreError.
    """
    app_id = app_asked(who, tenant if isinstance(tenant, str) else None)
    if app_id == DEFAULT_APP:
        return apps.current
    try:
        return await apps.get(app_id)
    except NotFound:
        raise NotFound("tenant", app_id[:_SHOWN]) from None
