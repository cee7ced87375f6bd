"""What the endpoints of the Admin API work with."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from hector.apps.registry import Apps
from hector.auth.authenticator import Authenticator
from hector.config.server import Server
from hector.core.audit import Entry
from hector.core.clock import Clock
from hector.core.record import dataclass
from hector.store import Store
from hector.tasks.service import TaskService

if TYPE_CHECKING:
    from hector.web.metrics import Watched


@dataclass(frozen=True, slots=True)
class Parts:
    """What endpoints work with. `reload` reads the configuration again and gives what is wrong with it, if anything."""

    apps: Apps
    tasks: TaskService
    store: Store
    settings: Server
    clock: Clock
    auth: Authenticator
    reload: Callable[[Entry], Awaitable[str]] | None = None
    watched: "Watched | None" = None
    """Where figures are counted, if they are."""
