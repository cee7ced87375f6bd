"""Usage, and the switches that stop an agent, an app or the whole server."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from hector.auth.access import Access
from hector.config.translate import suggest
from hector.core.audit import ALL_APPS, by
from hector.core.clock import iso
from hector.core.errors import AppSuspended, AppUnavailable, InvalidRequest, StoreError, Violation
from hector.core.record import dataclass
from hector.limits.switches import SERVER, agent_scope, app_scope, parts_of
from hector.store.switches import Switch
from hector.store.usage import COLUMNS, DAY_MS, MILLION, Line, UsageQuery
from hector.web.endpoints import Ask, Body, Endpoint, PageQuery, PageShape, Shape

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts

_FIRST: Final = date(1970, 1, 1)
_NAMES: Final = {"app": "app_id", "user": "user_id"}
_ID: Final = 128


class UsageQueryModel(PageQuery):
    """What is summed up, and by what."""

    by: str = Field("day,app_id,agent,user_id,model", max_length=100, description="Columns of the lines, with commas.")
    since: str | None = Field(None, max_length=10, description="First day, as 2026-11-01; in UTC.")
    until: str | None = Field(None, max_length=10, description="Last day.")
    app_id: str | None = Field(None, max_length=_ID, description="Only this app.")
    agent: str | None = Field(None, max_length=_ID, description="Only this agent.")
    user_id: str | None = Field(None, max_length=512, description="Only this user.")
    model: str | None = Field(None, max_length=256, description="Only this model, as provider/model.")


class UsageLine(Shape):
    """Sums. What the report is not made by is null."""

    day: str | None
    app_id: str | None
    agent: str | None
    user_id: str | None
    model: str | None
    calls: int = Field(description="Model calls.")
    input_tokens: int = Field(description="Those from caches included.")
    output_tokens: int = Field(description="Those of reasoning included.")
    cached_tokens: int
    reasoning_tokens: int
    tool_calls: int
    money: float = Field(description="By `prices` as they were at the time.")


class UsageShape(PageShape):
    """A page of a report, in the order of app, day, agent, user and model."""

    usage: list[UsageLine]


class SwitchBody(Body):
    """What is switched: an agent of an app, an app, or, without both, the server."""

    state: Literal["on", "off"]
    app_id: str | None = Field(None, min_length=1, max_length=_ID)
    agent: str | None = Field(None, min_length=1, max_length=_ID, description="An agent of that app.")
    reason: str = Field("", max_length=500, description="What those are told who are refused.")


class SwitchShape(Shape):
    """Something that is off."""

    scope: Literal["server", "app", "agent"]
    app_id: str | None
    agent: str | None
    reason: str
    author: str
    since: str


class SwitchesShape(Shape):
    """All that is off."""

    off: list[SwitchShape]


@dataclass(frozen=True, slots=True)
class LimitEndpoints:
    """The endpoints."""

    parts: "Parts"

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        operator, tag = Access.OPERATOR, "switches"
        return (
            Endpoint(
                "GET", "/admin/usage", Access.APP, "What was used, by day, app, agent, user and model", self.usage,
                "usage", UsageShape, query=UsageQueryModel,
            ),
            Endpoint("GET", "/admin/switches", operator, "What is switched off", self.switches, tag, SwitchesShape),
            Endpoint(
                "POST", "/admin/switches", operator, "Switch an agent, an app or the server off, or on again",
                self.switch, tag, SwitchesShape, body=SwitchBody, errors=(404,), action="switch.set",
            ),
        )  # fmt: skip

    async def usage(self, ask: Ask) -> Shape:
        """One page. Raises InvalidRequest, NotFound."""
        query: UsageQueryModel = ask.query
        await self.parts.tasks.limits.folding.fold()
        page = await self.parts.store.usage.report(
            UsageQuery(
                _columns(query.by),
                _day(query.since, "since", 0),
                _day(query.until, "until", 1 << 40),
                ask.app(query.app_id),
                query.agent,
                query.user_id,
                query.model,
                query.page_size,
                query.page_token,
            )
        )
        columns = _columns(query.by)
        return UsageShape(usage=[_line(line, columns) for line in page.lines], next_page_token=page.token)

    async def switches(self, ask: Ask) -> Shape:
        """What is off in the apps that the principal may see."""
        app = ask.app()
        found = [_shown(switch) for switch in await self.parts.store.switches.all()]
        return SwitchesShape(off=[one for one in found if app is None or one.app_id in (None, app)])

    async def switch(self, ask: Ask) -> Shape:
        """Off, or on. Raises InvalidRequest, NotFound for an app of somebody else, or that is not there."""
        body: SwitchBody = ask.body
        if body.agent is not None and body.app_id is None:
            raise InvalidRequest("agent needs app_id", [Violation("app_id", "must say whose agent it is")])
        app = ask.app(body.app_id)
        scope = SERVER if app is None else app_scope(app) if body.agent is None else agent_scope(app, body.agent)
        aside = ask.aside(scope, app or ALL_APPS, state=body.state, reason=body.reason)
        if body.state == "off":
            await self._require(app, body.agent)
            author, _ = by(ask.principal)
            switch = Switch(scope, body.reason, author, self.parts.clock.now())
            await self.parts.store.switches.off(switch, aside)
        else:
            await self.parts.store.switches.on(scope, aside)
        return await self.switches(ask)

    async def _require(self, app: str | None, agent: str | None) -> None:
        """A slip of the pen stops nothing; what cannot be looked at may be stopped all the same. Raises as `switch`."""
        if app is None:
            return
        try:
            agents = (await self.parts.apps.get(app)).agents
        except (AppSuspended, AppUnavailable, StoreError):
            return
        if agent is not None and agent not in agents:
            hint = suggest(agent, agents) or f"there is {', '.join(agents)}"
            said = f"is no agent of app {app!r}; {hint}"
            raise InvalidRequest(f"{agent!r} {said}", [Violation("agent", said)])


def _columns(text: str) -> tuple[str, ...]:
    """The store's names of columns. Raises InvalidRequest."""
    ours = {_NAMES.get(name, name): name for name in COLUMNS}
    found = [word.strip() for word in text.split(",") if word.strip()]
    if unknown := [name for name in found if name not in ours]:
        said = f"must be some of {', '.join(ours)}, with commas, not {unknown[0]!r}"
        raise InvalidRequest(f"by {said}", [Violation("by", said)])
    return tuple(ours[name] for name in found)


def _day(text: str | None, name: str, default: int) -> int:
    if text is None:
        return default
    try:
        return (date.fromisoformat(text) - _FIRST).days
    except ValueError:
        said = f"must be a day such as 2026-11-01, not {text!r}"
        raise InvalidRequest(f"{name} {said}", [Violation(name, said)]) from None


def _line(line: Line, columns: tuple[str, ...]) -> UsageLine:
    place, sums = line
    day = datetime.fromtimestamp(place.day * DAY_MS / 1000, UTC).date().isoformat()
    return UsageLine(
        day=day if "day" in columns else None,
        app_id=place.app if "app" in columns else None,
        agent=place.agent if "agent" in columns else None,
        user_id=place.user if "user" in columns else None,
        model=place.model if "model" in columns else None,
        calls=sums.calls,
        input_tokens=sums.input,
        output_tokens=sums.output,
        cached_tokens=sums.cached,
        reasoning_tokens=sums.reasoning,
        tool_calls=sums.tools,
        money=sums.money / MILLION,
    )


def _shown(switch: Switch) -> SwitchShape:
    kind, app, agent = parts_of(switch.scope)
    return SwitchShape(
        scope=kind, app_id=app, agent=agent, reason=switch.reason, author=switch.author, since=iso(switch.at)
    )
