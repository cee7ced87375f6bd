"""Blocks under `agents.<id>.trigger`: what begins a run of an agent beside its own users."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from hector.config.base import Address, Duration, Names, Section, Size, complaint
from hector.config.tagged import ByTag
from hector.core.gotemplate import TemplateError, parse
from hector.core.pattern import pattern

METHODS: Final = ("POST", "PUT", "PATCH", "GET", "DELETE")
PREFIX: Final = "/webhooks/"
DEFAULT_HEADER: Final = "X-Webhook-Signature"
_PATH: Final = pattern(r"/webhooks(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]{1,100}){1,8}/?")
_STEP: Final = pattern(r"[^.\[\]\s]+")
_INDEX: Final = pattern(r"\[(\d{1,6})\]")


def _template(text: str) -> str:
    try:
        parse(text)
    except TemplateError as error:
        raise complaint(f"this template cannot be read: {error}", "text with {{.name}} in it") from None
    return text


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise complaint(
            "this is no path of a webhook", "/webhooks/ and names of letters, digits, '.', '_', '~' and '-'"
        )
    return text.rstrip("/")


def _methods(names: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(name.upper() for name in names))
    if not found or not set(found) <= set(METHODS):
        raise complaint("this is no list of methods", ", ".join(METHODS))
    return found


def _secrets(value: object) -> object:
    return ((value,) if value else ()) if isinstance(value, str) else value


def steps_of(path: str) -> tuple[str | int, ...]:
    """The way into a payload: `pull_request.title`, `$.commits[0].id`, `body.commits.0.id`. Empty: it is none."""
    found: list[str | int] = []
    for piece in path.removeprefix("$").removeprefix(".").split("."):
        name = _STEP.match(piece)
        rest = piece[name.end() :] if name else piece
        numbers = _INDEX.findall(rest)
        if "".join(f"[{number}]" for number in numbers) != rest or not (name or numbers):
            return ()
        found += [name[0]] if name else []
        found += [int(number) for number in numbers]
    return tuple(found)


def _way(text: str) -> str:
    if len(text) > 500 or not steps_of(text):
        raise complaint("this is no way into a payload", "names with dots between them, such as pull_request.title")
    return text


Template = Annotated[str, AfterValidator(_template)]
Secrets = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_secrets),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string", "minLength": 1}}]}),
]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,100}$")]


class ExtractField(Section):
    """A value of the payload that the template may call by a name of its own."""

    path: Annotated[str, AfterValidator(_way)] = Field(
        description="Where it stands in the payload, such as pull_request.title or commits[0].id."
    )
    name: str = Field(alias="as", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="The name: {{.title}}.")


class WebhookInput(Section):
    """What a request becomes for the agent."""

    template: Template = Field(
        "",
        description="The message, with values of the payload: PR #{{.number}} by {{.user.login}}. Nothing but blanks: "
        "nothing is run. Left out: `input`, or else the body itself.",
    )
    session_id: Template = Field(
        "", description="The conversation that the message belongs to, such as pr-{{.number}}. Left out: a new one."
    )
    extract_fields: tuple[ExtractField, ...] = Field((), max_length=100, description="Values with names of their own.")


class WebhookResponse(Section):
    """How a request is answered."""

    mode: Literal["sync", "async", "callback"] = Field(
        "sync",
        description="sync: with the result; async: at once, with the id of the task; callback: at once, and the result "
        "is sent when it is there.",
    )
    timeout: Duration = Field(
        30.0, gt=0, le=600, description="sync: longest wait for the result; the run goes on behind it."
    )
    callback_url: Address | None = Field(None, description="callback: where the result is sent.")
    callback_field: str = Field(
        "callback_url",
        min_length=1,
        description="callback, without callback_url: where in the payload the address stands. It is called only as "
        "server.push_notifications allows.",
    )
    callback_secret: str = Field(
        "", description="callback: signs what is sent. Left out: the first `secret` of the trigger."
    )


class TriggerBase(Section):
    """What every kind has."""

    type: str
    enabled: bool = Field(True, description="Whether it begins runs.")


class WebhookTrigger(TriggerBase):
    """Requests of other programs, each of which begins a run."""

    type: Literal["webhook"] = Field("webhook", description="Kind of trigger.")
    path: Annotated[str, AfterValidator(_path)] = Field(
        "",
        description="Where it is reached: begins with /webhooks/. Apps of the Admin API have it below /apps/{app}. "
        "Left out: /webhooks/ and the agent's id.",
    )
    methods: Annotated[Names, AfterValidator(_methods)] = Field(("POST",), description="Methods that it takes.")
    secret: Secrets = Field(
        (), description="What requests are signed with; of a list each one is good, so that it can be changed. Left "
        "out: callers need a credential of this server."
    )  # fmt: skip
    allow_unsigned: bool = Field(
        False, description="Without a secret: let in everybody, also without a credential of this server."
    )
    signature_header: HeaderName = Field(
        "", description=f"Header with the signature. Left out: that of the format, else {DEFAULT_HEADER}."
    )
    signature_format: Literal["auto", "hex", "base64", "stripe", "slack", "standard", "token"] = Field(
        "auto",
        description="hex, base64: an HMAC of the body (with or without sha256=); stripe, slack, standard (Standard "
        "Webhooks): with the time in it; token: the secret itself. auto: by the name of the header.",
    )
    signature_algorithm: Literal["sha256", "sha1"] = Field(
        "sha256", description="Of the formats hex and base64. sha1 is for senders that know nothing better."
    )
    tolerance: Duration = Field(
        300.0, gt=0, le=86400, description="How far the time of a signature may be from that of the server."
    )
    delivery_header: HeaderName = Field(
        "", description="Header that names a delivery. Left out: those of GitHub, Shopify, GitLab and others."
    )
    deduplicate: Literal["auto", "body", "off"] = Field(
        "auto",
        description="What makes two requests the same delivery, which is run once: auto: the name that its sender "
        "gives it, else the same body within replay_window; body: the same body at any time; off: nothing.",
    )
    replay_window: Duration = Field(
        300.0,
        ge=0,
        le=86400,
        description="auto, without a name: for how long at least the same body is the same delivery; twice that at "
        "most. 0: never.",
    )
    max_body: Size = Field(2**20, ge=1, description="Largest body; server.max_body_bytes bounds it, too.")
    input: Template = Field("", description="The message, where webhook_input has no template.")
    webhook_input: WebhookInput = Field(
        default_factory=WebhookInput.model_construct, description="What a request becomes for the agent."
    )
    response: WebhookResponse = Field(
        default_factory=WebhookResponse.model_construct, description="How a request is answered."
    )

    @property
    def callback_secret(self) -> str:
        """What callbacks are signed with; empty for nothing."""
        return self.response.callback_secret or next(iter(self.secret), "")


_OF_WEBHOOKS: Final = (
    *("path", "methods", "secret", "allow_unsigned", "signature_header", "signature_format", "signature_algorithm"),
    *("tolerance", "delivery_header", "deduplicate", "replay_window", "max_body", "webhook_input", "response"),
)


def kind_of(block: Mapping[str, Any]) -> str:
    """The type of a block that names none."""
    return "webhook" if "cron" not in block and any(key in block for key in _OF_WEBHOOKS) else "schedule"


Trigger: TypeAlias = TriggerBase
CLASSES: Final[Mapping[str, Callable[[], type[TriggerBase]]]] = {"webhook": lambda: WebhookTrigger}
"""By `type`."""

if not TYPE_CHECKING:
    Trigger = Annotated[TriggerBase, ByTag("type", CLASSES, kind_of)]
