"""Configurations that are shown to whoever may change them, without the secrets in them, and taken back as shown.

A text that holds no secret is shown as it was written. One that does is written anew from its values, each secret
replaced by `***`; where such a mark comes back, it stands for what was there before, as long as it goes to the same
place: whoever may change a configuration must not have its secrets sent to themselves.
"""

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from hector.config.base import SECRET_KEYS
from hector.config.document import Document
from hector.config.findings import Where, dotted
from hector.config.masking import MASK, mask_line, mask_userinfo, to_yaml
from hector.config.source import parse
from hector.core.errors import InvalidRequest, Violation
from hector.core.record import dataclass

_CONTEXT: Final = 3
_WAY: Final = re.compile(
    r"(?i)(url|uri|host|port|proxy|provider|type|transport|command|args|endpoint|address|ca_bundle)$"
)
"""Keys that say where a block sends its secrets."""
_PLACEHOLDER: Final = re.compile(r"\$(\w+|\{\w+(:-?)?\})")
"""A text that is nothing but a variable, which may be shown."""


@dataclass(frozen=True, slots=True)
class Written:
    """A configuration as text: in the words of YAML, or of JSON if `is_json`."""

    text: str
    is_json: bool = False

    def document(self) -> Document:
        """Its values, of a text that was accepted once."""
        return parse(self.text, "", is_json=self.is_json)


def readable(written: Written) -> str:
    """The text without its secrets."""
    value = written.document().value
    shown = _shown(value)
    is_plain = shown == value and not _tells(written.text)
    return written.text if is_plain else _text(shown, is_json=written.is_json)


def only(written: Written, blocks: Collection[str]) -> str:
    """The text with these blocks alone; as it is if there are no others."""
    value = written.document().value
    kept = {key: inner for key, inner in value.items() if key in blocks}
    return written.text if kept == value else _text(kept, is_json=written.is_json)


def as_json(written: Written) -> str:
    """The same as JSON."""
    return _text(_shown(written.document().value), is_json=True)


def restored(written: Written, before: Written) -> str:
    """A text that was read back and changed, with the secrets that were hidden in it put in again.

    Raises InvalidRequest where one would go to another place than before.
    """
    document = written.document()
    if document.findings or MASK not in written.text:
        return written.text
    old = before.document().value
    hidden = dict(_hidden(old))
    value = _restored(document.value, hidden)
    if astray := [where for where in _put_in(document.value, hidden) if _way(old, where) != _way(value, where)]:
        said = "stands for a secret that went to another address until now; write the secret itself"
        wrong = [Violation(dotted(("config", *where)), f"{MASK} {said}") for where in astray]
        raise InvalidRequest(f"{dotted(astray[0])}: {MASK} {said}", wrong)
    return written.text if value == document.value else _text(value, is_json=written.is_json)


def unified(old: Written, new: Written, names: tuple[str, str]) -> str:
    """What has changed, as a unified diff of what may be shown; secrets that have changed are named below it."""
    both = (old, new)
    plain = all(readable(one) == one.text for one in both) and old.is_json == new.is_json
    texts = [one.text if plain else _text(_shown(one.document().value), is_json=False) for one in both]
    first, second = (text.splitlines() for text in texts)
    lines = difflib.unified_diff(first, second, *names, n=_CONTEXT, lineterm="")
    was, now = (dict(_hidden(one.document().value)) for one in both)
    changed = [where for where in was if where in now and was[where] != now[where]]
    return "\n".join([*lines, *(f"# changed, and not shown: {dotted(where)}" for where in changed)])


def _tells(text: str) -> bool:
    """Whether there may be a secret in a remark."""
    remarks = (line.partition("#")[2] for line in text.splitlines())
    return any(mask_line(remark) != remark for remark in remarks)


def _text(value: Any, *, is_json: bool) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n" if is_json else to_yaml(value)


def _leaves(value: Any, change: Callable[[str, Where], str], where: Where = ()) -> Any:
    """The same with every text changed."""
    if isinstance(value, dict):
        return {key: _leaves(inner, change, (*where, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_leaves(inner, change, (*where, index)) for index, inner in enumerate(value)]
    return change(value, where) if isinstance(value, str) else value


def _mask(text: str, where: Where) -> str:
    is_secret = any(isinstance(step, str) and SECRET_KEYS.search(step) for step in where)
    if is_secret and text:
        return text if _PLACEHOLDER.fullmatch(text) else MASK
    return mask_userinfo(text)


def _shown(value: Any) -> Any:
    return _leaves(value, _mask)


def _hidden(value: Any) -> Iterator[tuple[Where, str]]:
    """The secrets in it, with their places."""
    found: list[tuple[Where, str]] = []

    def note(text: str, where: Where) -> str:
        if _mask(text, where) != text:
            found.append((where, text))
        return text

    _leaves(value, note)
    return iter(found)


def _put_in(value: Any, hidden: Mapping[Where, str]) -> list[Where]:
    """Where marks stand for secrets."""
    found: list[Where] = []

    def note(text: str, where: Where) -> str:
        if where in hidden and text == _mask(hidden[where], where):
            found.append(where)
        return text

    _leaves(value, note)
    return found


def _way(value: Any, secret: Where) -> dict[Where, str]:
    """All that says where the block around a secret leads, such as llms.main; of secrets outside of blocks nothing."""
    block: Any = value
    for step in secret[:2]:
        block = block[step]
    found = _flat(block) if isinstance(block, dict) else {}
    return {where: text for where, text in found.items() if "://" in text or _WAY.search(str(where[-1]))}


def _flat(value: Any, where: Where = ()) -> dict[Where, str]:
    """All values without blocks in them, as texts."""
    if not isinstance(value, dict | list):
        return {where: str(value)}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {place: text for step, inner in items for place, text in _flat(inner, (*where, step)).items()}


def _restored(value: Any, hidden: Mapping[Where, str]) -> Any:
    def put_in(text: str, where: Where) -> str:
        before = hidden.get(where)
        return before if before is not None and text == _mask(before, where) else text

    return _leaves(value, put_in)
