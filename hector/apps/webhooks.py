"""The webhooks of an app: which agent a path leads to, with its templates ready to be used."""

from collections.abc import Iterable, Mapping
from typing import Final

from hector.config.root import HectorConfig
from hector.config.triggers import PREFIX, WebhookTrigger
from hector.core.gotemplate import Template, parse
from hector.core.identity import DEFAULT_APP
from hector.core.record import dataclass

USER: Final = "webhook:"
"""How the user begins whose runs, conversations and budgets those of a webhook are."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook. `template` None: the body itself is the message."""

    app: str
    agent: str
    path: str
    trigger: WebhookTrigger
    template: Template | None
    session: Template | None

    @property
    def user(self) -> str:
        """Whose its runs are."""
        return f"{USER}{self.agent}"


def hooks_of(app: str, config: HectorConfig) -> Mapping[str, Hook]:
    """Those of a configuration that are switched on, by path."""
    found = (_hook(app, name, agent.trigger) for name, agent in config.agents.items() if _is_on(agent.trigger))
    return {hook.path: hook for hook in found}


def _is_on(trigger: object) -> bool:
    return isinstance(trigger, WebhookTrigger) and trigger.enabled


def _hook(app: str, agent: str, trigger: object) -> Hook:
    assert isinstance(trigger, WebhookTrigger)  # noqa: S101 - `hooks_of` takes no other
    template, session = trigger.webhook_input.template or trigger.input, trigger.webhook_input.session_id
    path = trigger.path.rstrip("/") or f"{PREFIX}{agent}"
    return Hook(app, agent, path, trigger, parse(template) if template else None, parse(session) if session else None)


def address(app: str, path: str) -> str:
    """The path that its senders use: those of one app are never in the way of another one's."""
    return path if app == DEFAULT_APP else f"/apps/{app}{path}"


def line_of(hook: Hook) -> str:
    """A webhook in one line, for people."""
    trigger = hook.trigger
    who = "signed" if trigger.secret else "open to everybody" if trigger.allow_unsigned else "with a credential"
    return f"{' '.join(trigger.methods)} {hook.path} -> {hook.agent} ({trigger.response.mode}, {who})"


def facts(hooks: Iterable[Hook]) -> list[dict[str, object]]:
    """What is shown of them; no secrets."""
    return [
        {
            "agent": hook.agent,
            "path": address(hook.app, hook.path),
            "methods": list(hook.trigger.methods),
            "mode": hook.trigger.response.mode,
            "signed": bool(hook.trigger.secret),
            "open": not hook.trigger.secret and hook.trigger.allow_unsigned,
        }
        for hook in hooks
    ]
