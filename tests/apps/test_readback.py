"""What is read back of a configuration: no secret, and what may be changed and sent again as it is."""

import json

import pytest

from hector.config.readback import Written, as_json, readable, restored, unified
from hector.config.source import parse
from hector.core.errors import InvalidRequest

PLAIN = Written("# mine\nname: x\nllms:\n  m: {api_key: '${KEY}', provider: openai}\n")
SECRET = Written(
    "# mine\nname: x\nllms:\n  m: {api_key: sk-canary, proxy: 'http://u:canary@h:1'}\n"
    "  n: {headers: {x-token: canary}}\n"
)


@pytest.mark.proves("tenant.secrets-hidden")
def test_secrets_are_not_shown_and_come_back_as_they_were() -> None:
    shown = readable(SECRET)
    assert "canary" not in shown + as_json(SECRET)
    back = restored(Written(shown.replace("name: x", "name: y")), SECRET)
    value = parse(SECRET.text, "").value
    assert parse(back, "").value == {**value, "name": "y"}
    sent = restored(Written(as_json(SECRET), is_json=True), SECRET)
    assert parse(sent, "", is_json=True).value == value


def test_what_holds_no_secret_is_shown_as_it_was_written() -> None:
    assert readable(PLAIN) == PLAIN.text
    assert restored(PLAIN, SECRET) == PLAIN.text
    assert "canary" not in readable(Written(PLAIN.text + "# api_key: sk-canary\n"))


def test_a_new_secret_takes_the_place_of_the_old_one() -> None:
    text = readable(SECRET).replace("api_key: '***'", "api_key: sk-new")
    assert "sk-new" in text
    back = parse(restored(Written(text), SECRET), "").value
    assert (back["llms"]["m"]["api_key"], back["llms"]["n"]["headers"]["x-token"]) == ("sk-new", "canary")


@pytest.mark.proves("tenant.secrets-hidden")
@pytest.mark.parametrize(
    "changed",
    [
        {"base_url": "https://elsewhere.example"},
        {"proxy": "http://elsewhere.example:1"},
        {"provider": "anthropic"},
        {"ca_bundle": "mine.pem"},
    ],
)
def test_a_hidden_secret_goes_nowhere_else(changed: dict[str, str]) -> None:
    before = Written("llms: {m: {provider: openai, api_key: sk-canary, base_url: 'https://here.example'}}")
    llm = {"provider": "openai", "api_key": "***", "base_url": "https://here.example"}
    same = restored(Written(json.dumps({"llms": {"m": {**llm, "timeout": "5s"}}}), is_json=True), before)
    assert "sk-canary" in same
    with pytest.raises(InvalidRequest, match=r"llms\.m\.api_key: \*\*\* stands for a secret"):
        restored(Written(json.dumps({"llms": {"m": {**llm, **changed}}}), is_json=True), before)
    new = json.dumps({"llms": {"m": {**llm, **changed, "api_key": "sk-other"}}})
    assert restored(Written(new, is_json=True), before) == new


def test_a_mark_where_nothing_was_is_no_secret() -> None:
    assert restored(Written("llms: {z: {api_key: '***'}}"), SECRET) == "llms: {z: {api_key: '***'}}"


def test_a_diff_shows_what_has_changed_and_names_secrets_only() -> None:
    changed = Written(SECRET.text.replace("name: x", "name: y").replace("sk-canary", "sk-canary-2"))
    found = unified(SECRET, changed, ("1", "2"))
    assert "-name: x\n+name: y" in found
    assert "# changed, and not shown: llms.m.api_key" in found
    assert "canary" not in found
    assert unified(PLAIN, PLAIN, ("1", "2")) == ""
    assert "-# mine" in unified(PLAIN, Written(PLAIN.text[7:]), ("1", "2"))
