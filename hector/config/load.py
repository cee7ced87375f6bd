"""From a file to a checked configuration, or to the list of everything that is wrong with it."""

import os
from collections.abc import Collection, MutableMapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from hector.config import aliases, check, databases, idle, planned
from hector.config.document import Document, matches
from hector.config.environment import Environment
from hector.config.findings import Finding, InvalidConfig, ordered
from hector.config.flags import DEFAULT_PATH as DEFAULT_PATH  # re-exported for `serve`
from hector.config.interpolate import fill
from hector.config.root import HectorConfig
from hector.config.source import parse
from hector.config.translate import translate
from hector.core.record import dataclass

BUILT_IN: Final = "(built-in)"
"""Named in messages instead of a file where there is none."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that passed every check. `files` are all that it was made from, for watching.

    `text` is what was written, in the words of JSON if `is_json`.
    """

    config: HectorConfig
    path: Path | None
    warnings: tuple[Finding, ...] = ()
    files: tuple[Path, ...] = ()
    text: str = ""
    is_json: bool = False


def load_config(
    path: str | Path | None = None,
    env: Environment | MutableMapping[str, str] | None = None,
    *,
    handlers: Collection[str] = (),
) -> Loaded:
    """Read, complete and check a file; without one, what an empty file means.

    `env` defaults to the process's own variables; a plain mapping is copied, an `Environment` is kept up to date (hand
    the same one to every reload). `handlers` are the functions that were registered from Python.
    Raises InvalidConfig with every finding.
    """
    environment = _environment(env)
    if path is None:
        return parse_config("", BUILT_IN, environment, handlers=handlers)
    path = Path(path)
    text = _read(path)
    return parse_config(text, str(path), environment, path=path, handlers=handlers)


def parse_config(
    text: str,
    name: str = BUILT_IN,
    env: Environment | MutableMapping[str, str] | None = None,
    *,
    path: Path | None = None,
    handlers: Collection[str] = (),
    is_json: bool | None = None,
    restriction: check.Restriction | None = None,
) -> Loaded:
    """Like `load_config`, for a text that did not come from a file. `name` stands for it in messages."""
    environment = _environment(env)
    folder = (restriction.folder if restriction else None) or (path.parent if path else Path.cwd())
    environment.read(folder)
    is_json = name.endswith(".json") if is_json is None else is_json
    document = parse(text, name, is_json=is_json)
    document.findings += environment.findings
    around = check.Surroundings(folder, environment, handlers, restriction)
    config = None if _has_errors(document) and not document.value else _check(document, around)
    findings = ordered(document.findings)
    if config is None or any(finding.severity == "error" for finding in findings):
        from hector.config.masking import masked_source  # noqa: PLC0415 - most files have no mistake

        raise InvalidConfig(findings, masked_source(document))
    files = (*((path,) if path else ()), *environment.paths, *around.files)
    return Loaded(config, path, tuple(findings), files, text, is_json)


def _environment(env: Environment | MutableMapping[str, str] | None) -> Environment:
    if isinstance(env, Environment):
        return env
    return Environment(os.environ if env is None else dict(env))


def _has_errors(document: Document) -> bool:
    return any(finding.severity == "error" for finding in document.findings)


def _check(document: Document, around: check.Surroundings) -> HectorConfig | None:
    """All steps, each of which notes what it finds; the order lets the early ones keep noise from the later ones."""
    check.drop_empty(document)
    if around.restriction is not None:
        around.restriction.before(document)
    fill(document, around.environment.get)
    aliases.apply(document)
    planned.refuse(document)
    check.complete(document, around)
    if around.restriction is not None:
        around.restriction.after(document)
    check.idle(document)
    idle.check(document)
    check.references(document, around)
    check.settle(document)
    check.files(document, around)
    check.patterns(document)
    check.wire_texts(document)
    check.storage(document)
    databases.check(document)
    if next(matches(document.value, "agents.*.trigger"), None):
        from hector.config import triggerforms  # noqa: PLC0415 - most files have none

        triggerforms.check(document)
    try:
        return HectorConfig.model_validate(document.value)
    except ValidationError as error:
        document.findings += translate(error, document)
        return None


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        message, hint = "there is no such file", "check the path, or make one with: hector init -o FILE"
    except IsADirectoryError:
        message, hint = "this is a folder, not a file", "name the file in it"
    except UnicodeDecodeError:
        message, hint = "the file is not UTF-8 text", "save it as UTF-8"
    except OSError as error:
        message, hint = f"the file cannot be read: {error.strerror}", "check its permissions"
    raise InvalidConfig([Finding("file", message, (), str(path), hint=hint)])
