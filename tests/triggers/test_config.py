"""Triggers in the configuration: spellings, defaults, what is refused, what is warned of, what is never shown."""

from pathlib import Path

import pytest

from hector.apps.webhooks import hooks_of
from hector.cli.doctor_targets import contacts
from hector.cli.place import Place
from hector.cli.validate import webhooks
from hector.config.masking import printable, to_yaml
from hector.config.readback import Written, as_json, readable, restored
from hector.config.triggers import WebhookTrigger, steps_of
from tests.config.sample import brief, config, errors, loaded
from tests.config.test_startup import settle

SEED = """
agents:
  github_handler:
    llm: default
    trigger:
      type: webhook
      path: /webhooks/github
      methods: [POST]
      secret: ${WEBHOOK_SECRET}
      signature_header: X-Hub-Signature-256
      webhook_input:
        template: "PR #{{.number}} by {{.user.login}}: {{.title}}"
        session_id: "pr-{{.number}}"
        extract_fields:
          - path: pull_request.title
            as: title
      response:
        mode: async # sync | async | callback
llms: {default: {provider: scripted}}
"""
ENV = {"WEBHOOK_SECRET": "a-secret-of-one-webhook"}


def one(text: str) -> str:
    return f"llms: {{default: {{provider: scripted}}}}\nagents: {{a: {{trigger: {text}}}}}\n"


def trigger(folder: Path, text: str) -> WebhookTrigger:
    found = config(folder, one(text)).agents["a"].trigger
    assert isinstance(found, WebhookTrigger)
    return found


@pytest.mark.proves("trigger.webhook")
def test_the_example_of_the_description_as_it_stands(tmp_path: Path) -> None:
    found = loaded(tmp_path, SEED, ENV)
    assert found.warnings == ()
    (hook,) = hooks_of("default", found.config).values()
    assert (hook.path, hook.agent, hook.trigger.methods) == ("/webhooks/github", "github_handler", ("POST",))
    assert hook.trigger.secret == ("a-secret-of-one-webhook",)
    assert hook.trigger.response.mode == "async"


def test_what_is_left_out(tmp_path: Path) -> None:
    found = trigger(tmp_path, "{type: webhook}")
    assert (found.path, found.methods, found.secret, found.enabled) == ("/webhooks/a", ("POST",), (), True)
    assert (found.response.mode, found.response.timeout, found.response.callback_field) == (
        "sync",
        30.0,
        "callback_url",
    )
    assert trigger(tmp_path, "{path: /webhooks/b}").path == "/webhooks/b"  # the type is clear from the key
    assert trigger(tmp_path, "{type: webhook, methods: 'get, post'}").methods == ("GET", "POST")
    assert trigger(tmp_path, "{type: webhook, secret: [x, y]}").secret == ("x", "y")
    assert trigger(tmp_path, "{type: webhook, secret: ''}").secret == ()
    assert config(tmp_path, one("{}")).agents["a"].trigger is None


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{type: schedule, cron: '* * * * *'}", "planned agents.a.trigger.type"),
        ("{cron: '* * * * *'}", "planned agents.a.trigger.type"),
        ("{enabled: true}", "planned agents.a.trigger.type"),
        ("{type: hook}", "agents.a.trigger.type"),
        ("{type: webhook, cron: '* * * * *'}", "unknown agents.a.trigger.cron"),
        ("{type: webhook, path: /hooks/a}", "agents.a.trigger.path"),
        ("{type: webhook, path: /webhooks/}", "agents.a.trigger.path"),
        ("{type: webhook, path: /webhooks/../admin}", "agents.a.trigger.path"),
        ("{type: webhook, path: '/webhooks/a?b'}", "agents.a.trigger.path"),
        ("{type: webhook, path: '/webhooks/{a}'}", "agents.a.trigger.path"),
        ("{type: webhook, methods: [TRACE]}", "agents.a.trigger.methods"),
        ("{type: webhook, methods: []}", "agents.a.trigger.methods"),
        ("{type: webhook, signature_header: 'a b'}", "agents.a.trigger.signature_header"),
        ("{type: webhook, signature_algorithm: md5}", "agents.a.trigger.signature_algorithm"),
        ("{type: webhook, input: '{{.a'}", "agents.a.trigger.input"),
        ("{type: webhook, webhook_input: {session_id: '{{nope}}'}}", "agents.a.trigger.webhook_input.session_id"),
        ("{type: webhook, webhook_input: {extract_fields: [{path: a..b, as: x}]}}",
         "agents.a.trigger.webhook_input.extract_fields[0].path"),
        ("{type: webhook, webhook_input: {extract_fields: [{path: a, as: 'x y'}]}}",
         "agents.a.trigger.webhook_input.extract_fields[0].as"),
        ("{type: webhook, response: {mode: later}}", "agents.a.trigger.response.mode"),
        ("{type: webhook, response: {timeout: 1h}}", "agents.a.trigger.response.timeout"),
        ("{type: webhook, response: {mode: callback, callback_url: 'ftp://x'}}",
         "agents.a.trigger.response.callback_url"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, text: str, where: str) -> None:
    (finding,) = errors(tmp_path, one(text))
    assert brief(finding).endswith(f" {where}")


def test_what_validate_and_doctor_say_of_webhooks(tmp_path: Path) -> None:
    found = loaded(tmp_path, SEED, ENV)
    assert webhooks(found) == ["POST /webhooks/github -> github_handler (async, signed)"]
    open_one = loaded(tmp_path, one("{type: webhook, allow_unsigned: true, methods: [GET, POST]}"))
    assert webhooks(open_one) == ["GET POST /webhooks/a -> a (sync, open to everybody)"]
    assert webhooks(loaded(tmp_path, one("{type: webhook}"))) == ["POST /webhooks/a -> a (sync, with a credential)"]
    assert webhooks(loaded(tmp_path, one("{type: webhook, enabled: false}"))) == []


def test_doctor_looks_at_where_results_are_sent(tmp_path: Path) -> None:
    text = one("{type: webhook, response: {mode: callback, callback_url: 'https://r.example.com/x'}}")
    found_config = loaded(tmp_path, text)
    place = Place(found_config.path, found_config.config, settle(tmp_path))
    (found,) = [contact for contact in contacts(place) if contact.group == "webhook callbacks"]
    assert (found.url, found.purpose) == ("https://r.example.com/x", "push")


def test_two_agents_with_one_path(tmp_path: Path) -> None:
    text = (
        "agents: {a: {trigger: {path: /webhooks/x}}, b: {trigger: {path: /webhooks/x/, secret: not-to-be-seen-here}}}"
    )
    (finding,) = errors(tmp_path, text)
    assert (finding.kind, finding.where) == ("duplicate", ("agents", "b", "trigger", "path"))
    assert "agent 'a'" in finding.message


@pytest.mark.proves("trigger.webhook-signature")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{type: webhook}", "only callers with a credential"),
        ("{type: webhook, secret: '${NOT_THERE}'}", "the variable NOT_THERE is not set: without a secret"),
        ("{type: webhook, allow_unsigned: true}", "whoever reaches the server"),
        ("{type: webhook, secret: a-secret-of-one-webhook, allow_unsigned: true}", "no effect beside a secret"),
        ("{type: webhook, secret: short}", "is short"),
        (
            "{type: webhook, secret: a-secret-of-one-webhook, response: {callback_url: 'https://x.com'}}",
            "no effect unless",
        ),
        ("{type: webhook, allow_unsigned: true, response: {mode: callback}}", "without a signature"),
    ],
)
def test_what_is_warned_of(tmp_path: Path, text: str, said: str) -> None:
    assert [said for finding in loaded(tmp_path, one(text)).warnings if said in finding.message] == [said]


def test_a_dollar_sign_in_braces_is_no_variable_of_the_environment(tmp_path: Path) -> None:
    text = one(
        "{type: webhook, allow_unsigned: true, input: '$HOOK {{range $i, $HOOK := .l}}{{$HOOK}}{{end}} ${HOOK}'}"
    )
    found = loaded(tmp_path, text, {"HOOK": "env"}).config.agents["a"].trigger
    assert isinstance(found, WebhookTrigger)
    assert found.input == "env {{range $i, $HOOK := .l}}{{$HOOK}}{{end}} env"


def test_secrets_are_never_shown_and_come_back(tmp_path: Path) -> None:
    text = one(
        "{type: webhook, secret: [secret-one-of-two, secret-two-of-two], response: {callback_secret: third-one}}"
    )
    hidden = ("secret-one-of-two", "secret-two-of-two", "third-one")
    shown = readable(Written(text))
    for told in (to_yaml(printable(config(tmp_path, text))), shown, as_json(Written(text))):
        assert not [secret for secret in hidden if secret in told]
    assert all(secret in restored(Written(shown), Written(text)) for secret in hidden)


@pytest.mark.proves("trigger.webhook-extract")
@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("pull_request.title", ("pull_request", "title")),
        ("$.commits[0].id", ("commits", 0, "id")),
        (".body.commits.0.id", ("body", "commits", "0", "id")),
        ("a[0][12]", ("a", 0, 12)),
        ("[3].x", (3, "x")),
        ("with-dash.and_line", ("with-dash", "and_line")),
        ("", ()), ("a..b", ()), ("a[", ()), ("a[x]", ()), ("a[-1]", ()), ("a b", ()), ("$", ()), ("a[0]b", ()),
    ],
)  # fmt: skip
def test_ways_into_a_payload(path: str, steps: tuple[str | int, ...]) -> None:
    assert steps_of(path) == steps
