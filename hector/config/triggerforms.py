"""Triggers as they are written, and what no single field of them can know."""

from collections.abc import Iterator
from typing import Any

from hector.config.document import Document
from hector.config.findings import Where
from hector.config.shape import peek
from hector.config.triggers import PREFIX, kind_of

_SHORT = 16
"""Signs of a secret below which it is said to be short."""


def unfold(document: Document) -> None:
    """Name the type of each trigger and the path of each webhook; a block that says nothing is left out."""
    for agent, block in list(_agents(document)):
        trigger = block["trigger"]
        if trigger == {}:
            del block["trigger"]
        elif isinstance(trigger, dict):
            trigger.setdefault("type", kind_of(trigger))
            if trigger["type"] == "webhook":
                trigger.setdefault("path", f"{PREFIX}{agent}")


def check(document: Document) -> None:
    """Webhooks of one app have different paths; what lets in more than one might think is said."""
    paths: dict[str, str] = {}
    for agent, block in _agents(document):
        trigger, where = block["trigger"], ("agents", agent, "trigger")
        if not isinstance(trigger, dict) or trigger.get("type") != "webhook" or trigger.get("enabled") is False:
            continue
        path = str(trigger.get("path")).rstrip("/")
        if path in paths:
            document.report(
                "duplicate", (*where, "path"), f"agent {paths[path]!r} has this path already", found=path,
                hint="give each webhook a path of its own",
            )  # fmt: skip
        paths.setdefault(path, agent)
        _secrets(document, where, trigger)
        _response(document, where, trigger)


def _agents(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    agents = document.value.get("agents")
    for name, block in agents.items() if isinstance(agents, dict) else ():
        if isinstance(block, dict) and block.get("trigger") is not None:
            yield str(name), block


def _secrets(document: Document, where: Where, trigger: dict[str, Any]) -> None:
    given = trigger.get("secret")
    secrets = given if isinstance(given, list) else [given] if given else []
    if secrets:
        if trigger.get("allow_unsigned") is True:
            _warn(document, (*where, "allow_unsigned"), "has no effect beside a secret: signatures are asked for")
        if any(isinstance(secret, str) and len(secret) < _SHORT for secret in secrets):
            _warn(document, (*where, "secret"), "the secret is short, and may be guessed",
                  hint=f"use {_SHORT} signs or more, such as those of: openssl rand -hex 32")  # fmt: skip
        return
    if trigger.get("allow_unsigned") is True:
        _warn(document, (*where, "allow_unsigned"), "whoever reaches the server can begin runs of this agent",
              hint="give the trigger a secret that its requests are signed with")  # fmt: skip
        return
    unset = document.unset.get((*where, "secret"))
    document.findings = [one for one in document.findings if one.where != (*where, "secret")]  # said here in one
    _warn(
        document, (*where, "secret"),
        (f"the variable {unset} is not set: " if unset else "") + "without a secret the webhook lets in only callers "
        "with a credential of this server",
        hint="give it a secret, or write allow_unsigned: true",
    )  # fmt: skip


def _response(document: Document, where: Where, trigger: dict[str, Any]) -> None:
    response = trigger.get("response")
    if not isinstance(response, dict):
        return
    if response.get("mode", "sync") != "callback":
        for key in response.keys() & {"callback_url", "callback_field", "callback_secret"}:
            _warn(document, (*where, "response", key), "has no effect unless mode is callback", hint="remove it")
    elif not trigger.get("secret") and not response.get("callback_secret"):
        _warn(document, (*where, "response"), "results are sent without a signature",
              hint="give it a callback_secret, which its receiver knows, too")  # fmt: skip


def _warn(document: Document, where: Where, message: str, hint: str = "remove one of the two") -> None:
    document.report("range", where, message, key=peek(document.value, where) is not None, hint=hint, severity="warning")
