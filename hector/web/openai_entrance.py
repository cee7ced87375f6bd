"""The routes of OpenAI's API. What is behind them is loaded by the first request."""

from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hector.apps.registry import Apps
from hector.auth.access import Access
from hector.config.server import Server
from hector.core.clock import Clock
from hector.core.errors import HectorError
from hector.core.record import dataclass
from hector.store import Store
from hector.tasks.service import TaskService
from hector.web.answers import demands, note
from hector.web.identity import Gate, Guarded
from hector.web.routes import GET, POST

if TYPE_CHECKING:
    from hector.web.openai import OpenAi

PATHS: Final = (
    ("/v1/models", "models", GET),
    ("/v1/models/{model}", "models", GET),
    ("/v1/chat/completions", "chat", POST),
    ("/v1/responses", "responses", POST),
)


NO_KEY: Final = frozenset((b"none", b"empty", b"not-needed", b"sk-no-key-required"))
"""What programs send that insist on a key, to servers that ask for none."""
_AUTHORIZATION: Final = b"authorization"


class OpenAiEntrance:
    """Makes the endpoints, once."""

    def __init__(self, apps: Apps, tasks: TaskService, store: Store, settings: Server, clock: Clock) -> None:
        self._apps = apps
        self._tasks = tasks
        self._store = store
        self._most = settings.max_body_bytes
        self._clock = clock
        self._behind: OpenAi | None = None

    def routes(self) -> list[Guarded]:
        """What leads here."""
        return [_Route(f"{path}{{end:end}}", Way(self, kind), Access.AGENTS, method) for path, kind, method in PATHS]

    def endpoints(self) -> "OpenAi":
        """What is behind."""
        if self._behind is None:
            from hector.web.openai import OpenAi  # noqa: PLC0415 - loaded by the first request
            from hector.web.openai_door import Door  # noqa: PLC0415 - likewise
            from hector.web.opened import Opened  # noqa: PLC0415 - likewise

            door = Door(self._apps, self._tasks, self._store, self._clock)
            self._behind = OpenAi(door, Opened(self._tasks.limits), self._most)
        return self._behind


@dataclass(frozen=True, slots=True)
class Way:
    """One of the endpoints. An object, not a function, so that starlette hands it the bare ASGI call."""

    entrance: OpenAiEntrance
    kind: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await self.entrance.endpoints().serve(self.kind, scope, receive, send)

    def refused(self, request: Request, error: HectorError) -> Response:
        """What is answered to those who were not let in."""
        from hector.web.openai_errors import refused  # noqa: PLC0415 - loaded by the first refusal

        note(request.scope, error)
        return refused(request, error, demands(error))


class _Route(Guarded):
    """A route on which some words for a key mean that there is none. Who has to be known is refused as ever."""

    def behind(self, gate: Gate) -> "Guarded":
        """The same, with the gate in front of it, and this in front of the gate."""
        super().behind(gate)
        self.app = _Keyless(self.app)
        return self


@dataclass(frozen=True, slots=True)
class _Keyless:
    """Takes such words out of a request's head."""

    behind: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        scope["headers"] = [one for one in scope["headers"] if one[0] != _AUTHORIZATION or not _is_no_key(one[1])]
        await self.behind(scope, receive, send)


def _is_no_key(value: bytes) -> bool:
    return value.lower().removeprefix(b"bearer").strip() in NO_KEY
