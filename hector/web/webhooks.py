"""Webhooks: requests of other programs that begin runs. Who may, what they say, how they are answered."""

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from hector.a2a import wire
from hector.a2a.errors import NO_SUCH_PATH, NO_SUCH_VERB, ProtocolError, fault_of, rest_error
from hector.apps.app import App
from hector.apps.registry import Apps
from hector.apps.webhooks import Hook, hooks_of
from hector.auth.attempts import Attempts
from hector.auth.signatures import BadSignature, Head, Signed, verify
from hector.config.server import Server
from hector.core.audit import REFUSED, Entry
from hector.core.clock import Clock
from hector.core.content import JsonObject, Message, Text
from hector.core.errors import InvalidRequest, NotFound, StoreError, Unauthenticated
from hector.core.gotemplate import TemplateError
from hector.core.identity import DEFAULT_APP, Principal, Role, Via
from hector.core.ids import new_id
from hector.core.push import CALLBACK, OWN_CALLBACK, PushConfig
from hector.core.task import Caller, ClientMessage, TaskState
from hector.store import Store
from hector.tasks.arrivals import Arrival, Arrivals
from hector.tasks.push import policy_of
from hector.tasks.report import report
from hector.tasks.service import SendOptions, TaskService
from hector.web.answers import JSON, NO_CACHE, request_id
from hector.web.asgi import LARGEST, Exchange
from hector.web.identity import address_of, gate_of, principal_of
from hector.web.webhook_delivery import Visit, scheme_of, task_ids
from hector.web.webhook_payload import Payload, Root, as_message, extracted, follow

log = logging.getLogger("hector.web")

REFUSAL: Final = (
    "this request is not signed as this webhook asks for, or without the credential that it takes; the server's log "
    "says which"
)
"""The same for every cause, so that nobody learns from it."""
_CONTEXT: Final = 128
_STATUS: Final = {TaskState.COMPLETED: 200, TaskState.INPUT_REQUIRED: 202, TaskState.AUTH_REQUIRED: 202}


class Webhooks:
    """The door. It keeps the webhooks of each app as long as that is not replaced."""

    def __init__(self, apps: Apps, tasks: TaskService, store: Store, settings: Server, clock: Clock) -> None:
        self._apps = apps
        self._store = store
        self._settings = settings
        self._clock = clock
        self._arrivals = Arrivals(tasks, store)
        self._wrong = Attempts(clock)
        self._astray = Attempts(clock)
        self._tables: dict[str, tuple[App, Mapping[str, Hook]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, unless the client has gone. Raises HectorError."""
        with suppress(ClientDisconnect):
            await self._serve(Exchange(scope, receive, send))

    async def _serve(self, exchange: Exchange) -> None:
        hook = await self._hook(exchange)
        if exchange.method not in hook.trigger.methods:
            await _refuse_verb(exchange, hook)
            return
        visit = await self._admit(exchange, hook)
        payload = read_payload(visit)
        if (challenge := _challenge(visit, payload)) is not None:
            await exchange.reply(200, challenge.encode(), b"text/plain; charset=utf-8", NO_CACHE)
            return
        try:
            text, context = self._words(visit, payload)
        except TemplateError as error:
            raise InvalidRequest(
                f"the template of this webhook cannot be filled in with this payload: {error}"
            ) from None
        if not text.strip():
            await _answer(exchange, 200, {"task_id": None, "status": "skipped", "agent_name": hook.agent})
            return
        await self._run(visit, payload, text, context)

    async def _hook(self, exchange: Exchange) -> Hook:
        """The webhook at a path. Raises ProtocolError where there is none, AppSuspended, AppUnavailable, Throttled."""
        app_id = exchange.place("app") or DEFAULT_APP
        path = f"/webhooks/{exchange.place('path') or ''}".rstrip("/")
        address = address_of(exchange.scope)
        try:
            app = self._apps.current if app_id == DEFAULT_APP else await self._other(app_id, address)
            return self._table(app)[path]
        except (NotFound, KeyError):
            raise ProtocolError(NO_SUCH_PATH, f"no webhook is at {exchange.scope['path'][:200]!r}") from None

    async def _other(self, app_id: str, address: str) -> App:
        """Whoever tries out names does not have apps looked for without end. Raises as `Apps.get` does, Throttled."""
        if app_id not in self._apps:
            self._astray.require(address)
        try:
            return await self._apps.get(app_id)
        except NotFound:
            self._astray.fail(address, app_id.encode("utf-8", "replace"))
            raise

    def _table(self, app: App) -> Mapping[str, Hook]:
        of, found = self._tables.get(app.id, (None, None))
        if found is None or of is not app:
            self._tables = {one: kept for one, kept in self._tables.items() if one in self._apps}
            found = hooks_of(app.id, app.config)
            self._tables[app.id] = app, found
        return found

    async def _admit(self, exchange: Exchange, hook: Hook) -> Visit:
        """Read the request and find out whether it may come in. Raises Unauthenticated, Throttled, TooLarge."""
        own, largest = hook.trigger.max_body, self._settings.max_body_bytes
        body = await exchange.body(min(own, largest), "trigger.max_body" if own < largest else LARGEST)
        head, now = Head.of(exchange.scope["headers"]), self._clock.now()
        query: bytes = exchange.scope["query_string"]
        content = query if exchange.method == "GET" else body
        try:
            signed = self._judge(exchange, hook, head, content, now)
        except BadSignature as reason:
            await self._refused(exchange, hook, str(reason))
            raise Unauthenticated(REFUSAL) from None
        gate = gate_of(exchange.scope)
        limiter = None if gate is None else gate.limiter
        if limiter is not None and limiter.active:
            await limiter.count(exchange.scope, Principal(hook.user, Role.USER, Via.OPEN, hook.app, hook.user))
        return Visit(hook, exchange, head, content, signed, now)

    def _judge(self, exchange: Exchange, hook: Hook, head: Head, content: bytes, now: float) -> Signed:
        """Raises BadSignature with the reason, Throttled."""
        trigger = hook.trigger
        if trigger.secret:
            scheme = scheme_of(hook)
            if scheme.kind == "token":
                self._wrong.require(address_of(exchange.scope))
            return verify(scheme, head, content, now)
        who = principal_of(exchange.scope)
        if trigger.allow_unsigned or (who.via is not Via.OPEN and who.app in (None, hook.app)):
            return Signed()
        raise BadSignature("the webhook has no secret, and the caller no credential of this server for its app")

    async def _refused(self, exchange: Exchange, hook: Hook, reason: str) -> None:
        address = address_of(exchange.scope)
        if hook.trigger.secret and scheme_of(hook).kind == "token":
            said = Head.of(exchange.scope["headers"]).values.get(scheme_of(hook).where, ())
            self._wrong.fail(address, hashlib.sha256(repr(said).encode()).digest())
        facts = {"app": hook.app, "agent": hook.agent, "path": hook.path, "address": address}
        log.warning("webhook request refused", extra={**facts, "reason": reason})
        if self._store.audit.is_new("webhook.refused", hook.app, hook.path, address):
            await self._note(exchange, hook, REFUSED, {"reason": reason, "address": address})

    async def _note(self, exchange: Exchange, hook: Hook, outcome: str, detail: JsonObject) -> None:
        number = request_id(exchange.scope).decode()
        thing, actor = f"webhook:{hook.path}", f"webhook {hook.agent}"
        with suppress(StoreError):
            await self._store.audit.note(
                Entry("webhook.receive", thing, outcome, actor, "webhook", hook.app, number, detail)
            )

    def _words(self, visit: Visit, payload: Payload) -> tuple[str, str | None]:
        """The message and the conversation. Raises TemplateError."""
        hook, missing = visit.hook, list[str]()
        fields = extracted(hook.trigger.webhook_input.extract_fields, payload, missing.append)
        if missing:
            facts = {"app": hook.app, "agent": hook.agent, "path": hook.path, "fields": ", ".join(missing)[:500]}
            log.warning("webhook payload lacks fields", extra=facts)
        data = Root(payload, fields, visit.now)
        text = as_message(payload, hook.path) if hook.template is None else hook.template.render(data, visit.now)
        session = hook.session.render(data, visit.now).strip() if hook.session is not None else ""
        return _clean(text), _context(session)

    async def _run(self, visit: Visit, payload: Payload, text: str, context: str | None) -> None:
        hook, response = visit.hook, visit.hook.trigger.response
        push = self._callback(hook, payload) if response.mode == "callback" else None
        about = {"path": hook.path, "address": address_of(visit.exchange.scope)}
        message = ClientMessage(new_id(), Message("user", (Text(text),)), context, None, {"webhook": about})
        caller, ids = Caller(hook.app, hook.user), task_ids(visit, payload)
        options = SendOptions(history_length=0, push=push)
        arrival = await self._arrivals.take(caller, hook.agent, message, options, ids)
        if self._store.audit.is_new("webhook.came", hook.app, hook.path, about["address"], proven=True):
            await self._note(visit.exchange, hook, "ok", {"task": arrival.begun.task.id, "address": about["address"]})
        if response.mode == "sync":
            await self._wait(visit, caller, arrival)
        else:
            await _answer(visit.exchange, 202, _told(arrival, report(arrival.begun.snapshot(0), "accepted")))

    async def _wait(self, visit: Visit, caller: Caller, arrival: Arrival) -> None:
        """Answer with the result, if it is there in time."""
        try:
            async with asyncio.timeout(visit.hook.trigger.response.timeout):
                task = await self._arrivals.settled(caller, arrival)
        except TimeoutError:
            await _answer(visit.exchange, 504, _told(arrival, report(arrival.begun.snapshot(0), "timeout")))
            return
        state = task.status.state
        settled = state.terminal or state.interrupted
        status = _STATUS.get(state, 500) if settled else 503
        await _answer(visit.exchange, status, _told(arrival, report(task)))

    def _callback(self, hook: Hook, payload: Payload) -> PushConfig:
        """Who is told the result. Raises InvalidRequest for an address that may not be called."""
        from hector.net.egress import EgressRefused  # noqa: PLC0415 - loaded on first use

        response, secret = hook.trigger.response, hook.trigger.callback_secret or None
        own = response.callback_url
        if own is not None:  # that of an app of the Admin API is its own, not the operator's
            return PushConfig("", own, None, None, secret, OWN_CALLBACK if hook.app == DEFAULT_APP else CALLBACK)
        url = follow(payload, response.callback_field)
        if not isinstance(url, str) or not url:
            raise InvalidRequest(f"the payload names no address for the result, at {response.callback_field}")
        try:
            policy_of(self._settings.push_notifications).target(url)
        except EgressRefused as error:
            raise InvalidRequest(f"{response.callback_field}: {error}") from None
        return PushConfig("", url, None, None, secret, CALLBACK)


def read_payload(visit: Visit) -> Payload:
    """What a request brings. Raises ProtocolError."""
    from hector.web.webhook_payload import read  # noqa: PLC0415 - beside the rest of what it brings

    query: bytes = visit.exchange.scope["query_string"]
    body = b"" if visit.exchange.method == "GET" else visit.content
    return read(visit.head, query, body, scheme_of(visit.hook).where)


def _challenge(visit: Visit, payload: Payload) -> str | None:
    """What Slack wants to hear once, when an address is entered there."""
    body = payload.body
    if not visit.signed.timed or not isinstance(body, dict) or body.get("type") != "url_verification":
        return None
    said = body.get("challenge")
    return said[:500] if isinstance(said, str) else None


def _clean(text: str) -> str:
    """Without what no database keeps."""
    return text.replace("\0", "\ufffd")


def _context(name: str) -> str | None:
    """The id of a conversation: the name itself, or where it is no good for that, something made from it."""
    if not name:
        return None
    if len(name) <= _CONTEXT and name.isprintable():
        return name
    return f"webhook-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _told(arrival: Arrival, answer: JsonObject) -> JsonObject:
    return {**answer, "repeated": True} if arrival.repeated else answer


async def _answer(exchange: Exchange, status: int, answer: Mapping[str, Any]) -> None:
    await exchange.reply(status, wire.dumps(answer).encode("ascii"), JSON, NO_CACHE)


async def _refuse_verb(exchange: Exchange, hook: Hook) -> None:
    verbs = ", ".join(hook.trigger.methods)
    error = ProtocolError(NO_SUCH_VERB, f"{exchange.method} is not possible here; allowed: {verbs}")
    body = wire.dumps(rest_error(error)).encode("ascii")
    await exchange.reply(fault_of(error).status, body, JSON, (*NO_CACHE, (b"allow", verbs.encode())))
