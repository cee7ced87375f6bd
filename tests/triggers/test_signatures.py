"""Signatures: every format as its senders have it, and what forgers may try."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hector.auth.signatures import BadSignature, Head, Scheme, Signed, verify
from tests.triggers.signing import NOW, OTHER, SECRET, digest, github, shopify, slack, standard, stripe

BODY = b'{"number": 7}'
WHSEC = "whsec_" + base64.b64encode(b"k" * 32).decode()
PLAIN = Scheme((SECRET,))
GITHUB = Scheme((SECRET,), header="X-Hub-Signature-256")
SHA1 = Scheme((SECRET,), header="X-Hub-Signature", algorithm="sha1")
SHOPIFY = Scheme((SECRET,), header="X-Shopify-Hmac-Sha256")
STRIPE = Scheme((SECRET,), "stripe")
SLACK = Scheme((SECRET,), "slack")
STANDARD = Scheme((SECRET,), "standard")
TOKEN = Scheme((SECRET,), "token", "X-Gitlab-Token")
V1 = digest(f"{NOW}.".encode() + BODY).hex()
SHA1_HEX = digest(BODY, algorithm="sha1").hex()
HEX, B64 = digest(BODY).hex(), base64.b64encode(digest(BODY)).decode()


def head(headers: Mapping[str, str], *more: tuple[str, str]) -> Head:
    return Head.of([(name.encode(), value.encode("latin-1")) for name, value in (*headers.items(), *more)])


def plain(value: str) -> Head:
    return head({"X-Webhook-Signature": value})


RIGHT: list[tuple[str, Scheme, Head, Signed]] = [
    ("github", GITHUB, head(github(BODY)), Signed()),
    ("hex", PLAIN, plain(HEX), Signed()),
    ("hex in capitals", PLAIN, plain(HEX.upper()), Signed()),
    ("hex with its name", PLAIN, plain(f"SHA256={HEX}"), Signed()),
    ("base64", PLAIN, plain(B64), Signed()),
    ("hex alone", replace(PLAIN, format="hex"), plain(HEX), Signed()),
    ("base64 alone", replace(PLAIN, format="base64"), plain(B64), Signed()),
    ("the new secret", replace(PLAIN, secrets=(OTHER, SECRET)), plain(HEX), Signed()),
    ("the old secret", replace(PLAIN, secrets=(SECRET, OTHER)), plain(HEX), Signed()),
    ("sha1 where it is asked for", SHA1, head({"X-Hub-Signature": f"sha1={SHA1_HEX}"}), Signed()),
    ("shopify", SHOPIFY, head(shopify(BODY)), Signed()),
    ("stripe", STRIPE, head(stripe(BODY)), Signed(timed=True)),
    ("stripe by its header", Scheme((SECRET,), header="Stripe-Signature"), head(stripe(BODY)), Signed(timed=True)),
    ("stripe, five minutes late", STRIPE, head(stripe(BODY, NOW - 300)), Signed(timed=True)),
    ("stripe, two signatures", STRIPE, head({"Stripe-Signature": f"t={NOW},v1={'0' * 64},v1={V1},v0=x"}),
     Signed(timed=True)),
    ("slack", SLACK, head(slack(BODY)), Signed(timed=True)),
    ("standard", STANDARD, head(standard(BODY)), Signed("msg_1", timed=True)),
    ("standard with its kind of secret", replace(STANDARD, secrets=(WHSEC,)), head(standard(BODY, secret=WHSEC)),
     Signed("msg_1", timed=True)),
    ("standard under svix's name", replace(STANDARD, header="svix-signature"),
     head({name.replace("webhook", "svix"): value for name, value in standard(BODY).items()}),
     Signed("msg_1", timed=True)),
    ("token", TOKEN, head({"X-Gitlab-Token": SECRET}), Signed()),
]  # fmt: skip


@pytest.mark.proves("trigger.webhook-signature")
@pytest.mark.parametrize(("scheme", "sent", "found"), [pytest.param(*row[1:], id=row[0]) for row in RIGHT])
def test_what_is_signed_rightly_is_let_in(scheme: Scheme, sent: Head, found: Signed) -> None:
    assert verify(scheme, sent, BODY, NOW) == found
    with pytest.raises(BadSignature):  # and with another body nothing is, but for a token, which signs nothing
        verify(replace(scheme, secrets=(OTHER + "!",)), sent, BODY, NOW)
    if scheme.kind != "token":
        with pytest.raises(BadSignature):
            verify(scheme, sent, BODY + b" ", NOW)


def changed(headers: dict[str, str], **values: Any) -> Head:
    return head({name: values.get(name.lower().replace("-", "_"), value) for name, value in headers.items()})


def without(headers: dict[str, str], name: str) -> Head:
    return head({key: value for key, value in headers.items() if key.lower() != name})


def _stripe(text: str) -> Head:
    return head({"Stripe-Signature": text})


FORGED: list[tuple[str, Scheme, Head]] = [
    ("nothing", PLAIN, head({})),
    ("an empty header", PLAIN, plain("")),
    ("blanks", PLAIN, plain("   ")),
    ("a word", PLAIN, plain("sha256")),
    ("a name alone", PLAIN, plain("sha256=")),
    ("zeros", PLAIN, plain("0" * 64)),
    ("one digit less", PLAIN, plain(HEX[:-1])),
    ("one digit more", PLAIN, plain(HEX + "0")),
    ("one digit other", PLAIN, plain(HEX[:-1] + ("0" if HEX[-1] != "0" else "1"))),
    ("the start alone", PLAIN, plain(HEX[:32])),
    ("another secret", PLAIN, plain(digest(BODY, OTHER).hex())),
    ("no secret", PLAIN, plain(digest(BODY, "").hex())),
    ("another body", PLAIN, plain(digest(b"{}").hex())),
    ("the hash without a key", PLAIN, plain(hashlib.sha256(BODY).hexdigest())),
    ("sha1 by its name", PLAIN, plain(f"sha1={SHA1_HEX}")),
    ("sha1 without it", PLAIN, plain(digest(BODY, algorithm="sha1").hex())),
    ("sha256 called sha1", PLAIN, plain(f"sha1={HEX}")),
    ("sha512", PLAIN, plain(f"sha512={digest(BODY, algorithm='sha512').hex()}")),
    ("md5", PLAIN, plain(digest(BODY, algorithm="md5").hex())),
    ("sha256 where sha1 is asked for", SHA1, head({"X-Hub-Signature": f"sha256={HEX}"})),
    ("two names", PLAIN, plain(f"sha256=sha256={HEX}")),
    ("quoted", PLAIN, plain(f'"{HEX}"')),
    ("two in one header", PLAIN, plain(f"{HEX},{HEX}")),
    ("two headers", PLAIN, head({"X-Webhook-Signature": HEX}, ("x-webhook-signature", HEX))),
    ("a right one and a wrong one", PLAIN, head({"X-Webhook-Signature": "0" * 64}, ("X-Webhook-Signature", HEX))),
    ("another header", PLAIN, head(github(BODY))),
    ("letters that are no digits", PLAIN, plain("g" * 64)),
    ("digits of other scripts", PLAIN, plain("\xb2" * 64)),
    ("megabytes", PLAIN, plain("a" * 1_000_000)),
    ("base64 where hex is asked for", replace(PLAIN, format="hex"), plain(B64)),
    ("hex where base64 is asked for", SHOPIFY, head({"X-Shopify-Hmac-Sha256": HEX})),
    ("base64 for URLs", SHOPIFY, head({"X-Shopify-Hmac-Sha256": B64.replace("+", "-").replace("/", "_").rstrip("=")})),
    ("base64 with a line break in it", SHOPIFY, head({"X-Shopify-Hmac-Sha256": B64[:20] + "\n" + B64[20:]})),
    ("no base64", SHOPIFY, head({"X-Shopify-Hmac-Sha256": "!" * 44})),
    ("stripe, too late", STRIPE, head(stripe(BODY, NOW - 301))),
    ("stripe, from the future", STRIPE, head(stripe(BODY, NOW + 301))),
    ("stripe, another time put in", STRIPE, _stripe(f"t={NOW + 1},v1={V1}")),
    ("stripe, two times", STRIPE, _stripe(f"t={NOW},t={NOW},v1={V1}")),
    ("stripe, no time", STRIPE, _stripe(f"v1={V1}")),
    ("stripe, a time that is none", STRIPE, _stripe(f"t=nan,v1={V1}")),
    ("stripe, a time with a sign", STRIPE, _stripe(f"t=+{NOW},v1={V1}")),
    ("stripe, a huge time", STRIPE, _stripe(f"t={'9' * 400},v1={V1}")),
    ("stripe, the old version alone", STRIPE, _stripe(f"t={NOW},v0={V1}")),
    ("stripe, a signature of the body alone", STRIPE, _stripe(f"t={NOW},v1={HEX}")),
    ("stripe, empty", STRIPE, _stripe(f"t={NOW},v1=")),
    ("stripe, a thousand signatures", STRIPE, _stripe(f"t={NOW}" + f",v1={V1}" * 30)),
    ("slack, too late", SLACK, head(slack(BODY, NOW - 301))),
    ("slack, no time", SLACK, without(slack(BODY), "x-slack-request-timestamp")),
    ("slack, another time", SLACK, changed(slack(BODY), x_slack_request_timestamp=str(NOW + 1))),
    ("slack, another version", SLACK, changed(slack(BODY), x_slack_signature=f"v1={'0' * 64}")),
    ("slack, two times", SLACK, head(slack(BODY), ("X-Slack-Request-Timestamp", str(NOW)))),
    ("standard, too late", STANDARD, head(standard(BODY, NOW - 301))),
    ("standard, another id", STANDARD, changed(standard(BODY), webhook_id="msg_2")),
    ("standard, no id", STANDARD, without(standard(BODY), "webhook-id")),
    ("standard, a long id", STANDARD, head(standard(BODY, name="m" * 300))),
    ("standard, no time", STANDARD, without(standard(BODY), "webhook-timestamp")),
    ("standard, no version", STANDARD, changed(standard(BODY), webhook_signature=B64)),
    ("standard, keys of the public kind", STANDARD, changed(standard(BODY), webhook_signature="v1a,AAAA")),
    ("token, another", TOKEN, head({"X-Gitlab-Token": OTHER})),
    ("token, its start", TOKEN, head({"X-Gitlab-Token": SECRET[:-1]})),
    ("token, in capitals", TOKEN, head({"X-Gitlab-Token": SECRET.upper()})),
    ("token, a signature", TOKEN, head({"X-Gitlab-Token": HEX})),
    ("token, twice", TOKEN, head({"X-Gitlab-Token": SECRET}, ("x-gitlab-token", SECRET))),
]  # fmt: skip


@pytest.mark.proves("trigger.webhook-signature")
@pytest.mark.parametrize(("scheme", "sent"), [pytest.param(*row[1:], id=row[0]) for row in FORGED])
def test_what_is_forged_is_not(scheme: Scheme, sent: Head) -> None:
    with pytest.raises(BadSignature):
        verify(scheme, sent, BODY, NOW)


def test_a_scheme_does_not_show_its_secrets() -> None:
    assert SECRET not in repr(PLAIN)
