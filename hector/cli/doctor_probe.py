"""Tries what a configuration contacts: the name, TCP, TLS and, where that is harmless, one request."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from hector.cli.doctor_check import Check, State
from hector.cli.doctor_targets import Contact, discovered, jwks_uri, keys_contact
from hector.core.clock import SystemClock
from hector.core.errors import ConfigError
from hector.net.call import CallerOptions
from hector.net.caller import open_caller
from hector.net.egress import EgressRefused
from hector.net.errors import NetError
from hector.net.gate import current
from hector.net.policy import address_of, is_this_machine
from hector.net.probe import Reached, reach
from hector.net.tls import context_for
from hector.observe.redact import redact

SECONDS: Final = 10.0
"""How long one thing may take."""
_AT_ONCE: Final = 16
_LARGEST: Final = 4 * 2**20
_SOON: Final = 14 * 86_400.0
"""Certificates that end within this are worth a warning."""
_SKEW: Final = 60.0
"""Seconds that clocks may differ by before tokens and certificates suffer."""
_REMEDIES: Final = {
    "dns": "check the name in {setting}, and this machine's resolver; behind a proxy set HTTPS_PROXY",
    "tcp": "check {setting}, whether the server runs, and the firewalls on the way",
    "tls": "if an authority of your own signs it, set SSL_CERT_FILE (or ca_bundle of the model) to its certificate",
}


_CREDENTIALS: Final = {"documents": "token"}
"""What it is called in other groups than the ones where it is an `api_key`."""


def here(contact: Contact) -> bool:
    """Whether it is on this machine, so that it needs no network."""
    host, _ = contact.place
    address = address_of(host)
    return address.is_loopback if address is not None else is_this_machine(host)


def offline(contacts: Sequence[Contact]) -> Iterator[Check]:
    """What would be contacted, by the configuration alone."""
    for contact in contacts:
        refused = refusal(contact)
        if refused is not None:
            yield refused
        elif here(contact):
            yield _check(contact, State.SKIP, "on this machine; not tried")
        elif contact.needed:
            text = "needs a network: the configuration does not work without it"
            yield _check(contact, State.FAIL, text, f"name something on this machine in {contact.setting}")
        else:
            yield _check(contact, State.SKIP, "needs a network; not tried")


def refusal(contact: Contact) -> Check | None:
    """What the egress policy says, before anything is looked up."""
    try:
        current().admit(contact.purpose, *contact.place)
    except EgressRefused as error:
        return _check(contact, State.FAIL, str(error), "")
    return None


async def online(contacts: Sequence[Contact]) -> list[Check]:
    """The same, tried; all at once, in the order of the contacts."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(contact: Contact) -> list[Check]:
        async with places:
            return await _tried(contact)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(contact)) for contact in contacts]
    return [check for task in tasks for check in task.result()]


async def _tried(contact: Contact) -> list[Check]:
    refused = refusal(contact)
    if refused is not None:
        return [refused]
    found = Reached()
    if contact.proxy is None:
        try:
            context = context_for(contact.ca_bundle) if contact.secure else None
            found = await reach(contact.purpose, *contact.place, context, SECONDS)
        except (EgressRefused, ConfigError) as error:
            return [_check(contact, State.FAIL, str(error), "")]
        if found.step:
            remedy = _REMEDIES[found.step].format(setting=contact.setting)
            return [_check(contact, State.FAIL, f"{_WORDS[found.step]}: {found.trouble}", remedy, found)]
    if not contact.get:
        return [_reached(contact, found)]
    return await _asked(contact, found)


_WORDS: Final = {"dns": "the name cannot be looked up", "tcp": "no connection", "tls": "TLS failed"}


def _reached(contact: Contact, found: Reached, text: str = "answers") -> Check:
    if found.expires is not None and found.expires - SystemClock().now() < _SOON:
        days = max(0, int((found.expires - SystemClock().now()) // 86_400))
        return _check(contact, State.WARN, f"{text}; its certificate ends in {days} days", "have it renewed", found)
    return _check(contact, State.OK, text if contact.proxy is None else f"{text} (through the proxy)", "", found)


async def _asked(contact: Contact, found: Reached) -> list[Check]:
    """One harmless request, and what its answer says."""
    parts = urlsplit(contact.get)
    options = CallerOptions(
        f"{parts.scheme}://{parts.netloc}", contact.headers, proxy=contact.proxy, ca_bundle=contact.ca_bundle,
        connect_timeout=SECONDS, read_timeout=SECONDS, purpose=contact.purpose,
    )  # fmt: skip
    began = time.perf_counter()
    try:
        caller = open_caller(options)
    except ConfigError as error:
        return [_check(contact, State.FAIL, str(error), "")]
    try:
        async with asyncio.timeout(SECONDS):
            async with await caller.send(
                "GET", f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            ) as got:
                body = await got.read(_LARGEST)
                took = {"http": time.perf_counter() - began}
                status, date = got.status, got.headers.get("date", "")
    except TimeoutError:
        return [_check(contact, State.FAIL, f"no answer within {SECONDS:g} seconds", _setting(contact), found)]
    except NetError as error:
        return [_check(contact, State.FAIL, redact(str(error)), _setting(contact), found)]
    finally:
        await caller.aclose()
    checks = [_verdict(contact, found, status, body, took), *_clock(contact, date)]
    if contact.read is discovered and (url := jwks_uri(body)):
        checks += await _tried(keys_contact(url))
    return checks


def _setting(contact: Contact) -> str:
    return f"check {contact.setting}" + (" and the proxy" if contact.proxy else "")


def _verdict(contact: Contact, found: Reached, status: int, body: bytes, took: dict[str, float]) -> Check:
    if status in (401, 403):
        remedy = (
            f"check {contact.key}"
            if contact.key
            else f"set a credential ({contact.setting.rpartition('.')[0]}.{_CREDENTIALS.get(contact.group, 'api_key')})"
        )
        return _check(contact, State.FAIL, f"HTTP {status}: the credential is not accepted", remedy, found, took)
    if status >= 500:
        remedy = "try again later; if it stays, ask whoever runs it"
        return _check(contact, State.WARN, f"answers, but fails: HTTP {status}", remedy, found, took)
    if not 200 <= status < 300:
        text = f"answers HTTP {status}, which says nothing about the credential"
        remedy = f"if calls fail too, check the path in {contact.setting}"
        doubtful = contact.purpose == "identity" or contact.group == "documents"
        return _check(contact, State.WARN if doubtful else State.OK, text, remedy, found, took)
    wrong = contact.read(body) if contact.read is not None else ""
    if wrong:
        state = State.FAIL if contact.purpose == "identity" else State.WARN
        return _check(contact, state, redact(wrong), f"check {contact.setting}", found, took)
    check = _reached(contact, found, "accepts the credential" if contact.key else "answers")
    return _check(contact, check.state, check.text, check.remedy, found, took)


def _clock(contact: Contact, date: str) -> Iterator[Check]:
    try:
        skew = parsedate_to_datetime(date).timestamp() - SystemClock().now()
    except (ValueError, TypeError):
        return
    if abs(skew) > _SKEW:
        text = (
            f"this machine's clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} that of {contact.shown}"
        )
        yield Check("this machine", "clock", State.WARN, text, "switch time synchronisation on: tokens expire by it")


def _check(
    contact: Contact,
    state: State,
    text: str,
    remedy: str = "",
    found: Reached | None = None,
    took: dict[str, float] | None = None,
) -> Check:
    if state is State.FAIL and not contact.needed:
        state = State.WARN  # the rest works without it
    steps = {name: getattr(found, name) for name in ("dns", "tcp", "tls") if getattr(found, name, None) is not None}
    return Check(
        contact.group, contact.name, state, text, remedy, contact.shown, contact.purpose,
        _proxy_shown(contact.proxy), {**steps, **(took or {})}, found.expires if found is not None else None,
    )  # fmt: skip


def _proxy_shown(proxy: str | None) -> str:
    parts = urlsplit(proxy or "")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if proxy else ""
