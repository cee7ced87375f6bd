"""Two ways of saying how often something is tried: `max_attempts` counts the first try, `max_retries` does not.

Each block has one of them; the other is taken, too, and so are both words for the first wait.
"""

from typing import Any, Final

from hector.config.document import Document, at, matches
from hector.config.findings import Where

_COUNT_ATTEMPTS: Final = ("llms.*.retry", "embedders.*.retry", "vector_stores.*.retry")
_COUNT_RETRIES: Final = ("document_stores.*.indexing.retry", "server.queue", "server.push_notifications")


def unfold(document: Document) -> None:
    """Bring every such block into its own words. Both words for one thing are a duplicate."""
    value: dict[str, Any] = document.value
    for patterns, old, new, step in (
        (_COUNT_ATTEMPTS, "max_retries", "max_attempts", 1),
        (_COUNT_RETRIES, "max_attempts", "max_retries", -1),
    ):
        for pattern in patterns:
            if pattern.partition(".")[0] not in value:
                continue
            wait = "base_delay" if pattern.startswith("document_stores") else "initial_delay"
            for where in list(matches(value, pattern)):
                _block(document, where, {old: new, _OTHER[wait]: wait}, step)


_OTHER: Final = {"base_delay": "initial_delay", "initial_delay": "base_delay"}


def _block(document: Document, where: Where, names: dict[str, str], step: int) -> None:
    block = at(document.value, where)
    for old, new in names.items() if isinstance(block, dict) else ():
        if old not in block:
            continue
        if new in block:
            message = f"{old!r} says the same as {new!r}, which is given too"
            document.report("duplicate", (*where, old), message, key=True, hint="keep one")
            del block[old]
            continue
        document.move((*where, old), (*where, new))
        if new.startswith("max_"):
            block[new] = _counted(block[new], step)


def _counted(value: Any, step: int) -> Any:
    """A number of tries in the other way of counting; what is none stays as it is, for the check to complain of."""
    text = str(value).strip()
    return int(text) + step if not isinstance(value, bool) and text.lstrip("-").isdecimal() else value
