"""Which webhooks an app has, and how each lets requests in."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hector.apps.webhooks import facts, hooks_of
from hector.auth.access import Access
from hector.core.identity import DEFAULT_APP
from hector.web.endpoints import Ask, Endpoint, Shape

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts


class WebhookShape(Shape):
    """A webhook."""

    agent: str
    path: str = Field(description="Where its senders reach it.")
    methods: list[str]
    mode: Literal["sync", "async", "callback"] = Field(description="How requests are answered.")
    signed: bool = Field(description="Whether requests must be signed.")
    open: bool = Field(description="Whether anybody is let in. Neither signed nor open: callers need a credential.")


class WebhooksShape(Shape):
    """The webhooks of an app, in the order of its agents."""

    webhooks: list[WebhookShape]


class WebhookEndpoints:
    """The group."""

    def __init__(self, parts: "Parts") -> None:
        self._apps = parts.apps

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows."""
        return (
            Endpoint(
                "GET", "/admin/apps/{id}/webhooks", Access.APP, "The webhooks of an app", self.list, "apps",
                WebhooksShape, ids={"id": "app"}, errors=(503,),
            ),
        )  # fmt: skip

    async def list(self, ask: Ask) -> WebhooksShape:
        """Raises NotFound, AppSuspended, AppUnavailable."""
        app_id = ask.id()
        ask.require_app(app_id)
        app = self._apps.current if app_id == DEFAULT_APP else await self._apps.get(app_id)
        found = facts(hooks_of(app.id, app.config).values())
        return WebhooksShape(webhooks=[WebhookShape.model_validate(one) for one in found])
