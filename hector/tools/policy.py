"""Under which conditions a tool is called: what it says of itself, as the configuration changes it, by the call.

Pure. A rule is held against every reading of a call: its arguments as they stand, what paths in them come down to, and
whatever the tool takes them for. `allow` must fit all of them, `ask` and `deny` any, so that no spelling gets around
a rule.
"""

import json
import posixpath
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import translate
from functools import lru_cache
from typing import Any, Final

from hector.config.toolbase import ApprovalRule as Rule
from hector.config.toolbase import ToolBase
from hector.core.content import JsonObject
from hector.core.ports import Action, ApprovalRule, OnUnknown, ToolPolicy

_NOTHING: Final = object()


def policy_of(own: ToolPolicy, tool: ToolBase | None) -> ToolPolicy:
    """The policy of a tool. `tool` is None for one that is used without having been declared."""
    if tool is None:
        return own
    if own.firm:
        kept = tuple(_rule(rule) for rule in tool.approval_rules if rule.action != "allow")
        return replace(own, expires=tool.approval_expires or own.expires, rules=(*kept, *own.rules))
    approval = own.approval if tool.require_approval is None else tool.require_approval
    prompt, expires = tool.approval_prompt or own.prompt, tool.approval_expires or own.expires
    kept = own.rules if tool.require_approval is None else tuple(one for one in own.rules if one.action == "deny")
    rules = (*map(_rule, tool.approval_rules), *kept)
    on_unknown = tool.on_unknown or _by_nature(own, tool)
    return ToolPolicy(approval, prompt, expires, on_unknown, own.reentrant, rules, own.readings)


def _rule(rule: Rule) -> ApprovalRule:
    return ApprovalRule(rule.action, rule.tool, tuple(rule.args.items()))


def _by_nature(own: ToolPolicy, tool: ToolBase) -> OnUnknown:
    if tool.idempotent is None:
        return own.on_unknown
    return "retry" if tool.idempotent else "ask"


def decide(policy: ToolPolicy, name: str, args: JsonObject) -> tuple[Action, int]:
    """What becomes of a call, and the number of the rule that says so, from 1; 0: none does."""
    if policy.rules:
        readings = readings_of(policy, args)
        for number, rule in enumerate(policy.rules, 1):
            if _pattern(rule.tool).fullmatch(name) and _fits(rule, readings):
                return rule.action, number
    return ("ask" if policy.approval else "allow"), 0


def readings_of(policy: ToolPolicy, args: JsonObject) -> Sequence[JsonObject]:
    """What the rules look at. The arguments as they stand are left out where a reading only adds to them."""
    own = policy.readings(args) if policy.readings else ()
    found: list[JsonObject] = []
    for reading in own if any(args.items() <= one.items() for one in own) else (args, *own):
        found += [one for one in (reading, _plain(reading)) if one not in found]
    return found


def _plain(value: Any) -> Any:
    """The same with every text in its plain form: one way of writing signs, and no detours in paths."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return _plain_text(value) if isinstance(value, str) else value


def _plain_text(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if "/" not in text and "\\" not in text and text not in {".", ".."}:
        return text
    head, mark, rest = text.partition("://")
    if mark:
        return text if "/../" not in f"/{rest}/" and "/./" not in f"/{rest}/" else head + mark + _path(rest)
    return _path(text)


def _path(text: str) -> str:
    return posixpath.normpath(text.replace("\\", "/")).replace("//", "/", 1) if text else text


def _fits(rule: ApprovalRule, readings: Sequence[JsonObject]) -> bool:
    if not rule.args:
        return True
    each = (all(_argument(reading, *one, rule.action) for one in rule.args) for reading in readings)
    return all(each) if rule.action == "allow" else any(each)


def _argument(args: JsonObject, name: str, wanted: Any, action: Action) -> bool:
    value = _at(args, name)
    if isinstance(value, list) and not isinstance(wanted, list):
        fits = [item is not _NOTHING and _value(item, wanted) for item in value]
        return bool(fits) and (all(fits) if action == "allow" else any(fits))
    return value is not _NOTHING and _value(value, wanted)


def _at(args: Any, name: str) -> Any:
    """The argument of that name, dots in it included, or what the steps between the dots lead to: in lists, in each."""
    if isinstance(args, dict) and name in args:
        return args[name]
    steps = name.split(".")
    for number, step in enumerate(steps):
        if isinstance(args, list):
            found = [_at(one, ".".join(steps[number:])) for one in args]
            return [inner for one in found for inner in (one if isinstance(one, list) and one else [one])]
        if not isinstance(args, dict) or step not in args:
            return _NOTHING
        args = args[step]
    return args


def _value(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, str):
        return type(value) is type(wanted) and bool(value == wanted)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _pattern(wanted).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _pattern(glob: str) -> "re.Pattern[str]":
    """A glob as a regular expression that takes no more than a pass over the text for each star."""
    return re.compile(translate(unicodedata.normalize("NFC", glob)))
