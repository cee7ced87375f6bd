"""The first configuration: written once, from what is at hand, when there is none."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hector.config.detect import Choice, Surroundings, Wishes, choose
from hector.config.environment import Environment
from hector.config.findings import Finding, InvalidConfig
from hector.config.llms import AnthropicLlm, GeminiLlm, OpenAiLlm
from hector.config.planned import HANDLERS, REASON
from hector.config.providers import BY_NAME
from hector.config.skill import FILE, Skill, read_skill
from hector.config.source import plain
from hector.config.tools import GENERIC_TOOLS
from hector.config.translate import suggest
from hector.core.record import dataclass

DEFAULT_INSTRUCTION: Final = "You are a helpful assistant. Answer briefly and to the point."
DEMO: Final = Path(__file__).with_name("demo.yaml")
DEFAULT_MODELS: Final = {
    section.model_fields["provider"].default: section.model_fields["model"].default
    for section in (AnthropicLlm, OpenAiLlm, GeminiLlm)
}
REAL: Final = (
    "for real answers set ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY, start Ollama, "
    "or name a model file in HECTOR_MODEL_PATH"
)
HEADER: Final = """\
# {made} It is yours now: it is never overwritten, and made anew only when it is gone.
# `hector validate` checks it, `hector schema` describes it, `hector info` shows what it means.
# Keys stay in the environment or in a .env file; ${{NAME}} stands for a variable.
"""


@dataclass(frozen=True, slots=True)
class Generated:
    """A new configuration. `path` None: it lives in memory only. `notes` are for the user, in order."""

    text: str
    path: Path | None
    provider: str
    notes: tuple[str, ...] = ()


def demo() -> Generated:
    """Scripted answers; nothing is written."""
    note = "demo: the answers are scripted, no language model is running"
    return Generated(DEMO.read_text(encoding="utf-8"), None, "scripted", (note,))


def generate(
    path: Path,
    environment: Environment,
    wishes: Wishes | None = None,
    around: Surroundings | None = None,
) -> Generated:
    """Make the configuration for `serve` without one, and write it to `path`; the demo if no model is at hand.

    A folder that cannot be written to is no reason to stop: the configuration then lives in memory.
    Raises InvalidConfig if the wishes make no sense.
    """
    wishes = wishes or Wishes()
    environment.read(path.parent)
    choice = choose(wishes, environment, around)
    if choice is None:
        hint = (
            "set ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY, start Ollama, or name a file in HECTOR_MODEL_PATH"
        )
        shown = demo()
        return Generated(shown.text, None, shown.provider, (*shown.notes, f"for real answers: {hint}"))
    if choice.provider == "scripted":
        return demo()
    text, notes = compose(path, choice, wishes, environment, made="Made by `hector serve`, since there was none.")
    notes = (f"model: {choice.provider}, since {choice.reason}" if choice.reason != "asked for" else "", *notes)
    try:
        write_new(path, text)
    except FileExistsError:
        return Generated(path.read_text(encoding="utf-8"), path, choice.provider, (f"{path} exists and is used",))
    except OSError as error:
        notes = (*notes, f"{path} cannot be written ({error.strerror}); this configuration lives until the stop")
        return Generated(text, None, choice.provider, tuple(note for note in notes if note))
    return Generated(text, path, choice.provider, tuple(note for note in (*notes, f"wrote {path}") if note))


def compose(
    path: Path, choice: Choice, wishes: Wishes, environment: Environment, *, made: str
) -> tuple[str, tuple[str, ...]]:
    """The text of a configuration, and what the user should know about it."""
    skill = read_skill(workspace(path) / FILE)
    notes: list[str] = []
    tools = _tools(wishes, skill, notes)
    lines = [HEADER.format(made=made), f"name: {_quoted(wishes.name or 'hector')}", "", "llms:", "  default:"]
    lines += [f"    {line}" for line in _model(choice, wishes, environment, notes)]
    lines += ["", "agents:", "  assistant:", "    llm: default"]
    lines += [f"    {line}" for line in _agent(path, wishes, skill, notes)]
    lines += [f"    tools: [{', '.join(tools)}]", ""]
    return "\n".join(lines), tuple(notes)


def _model(choice: Choice, wishes: Wishes, environment: Environment, notes: list[str]) -> list[str]:
    provider = BY_NAME[choice.provider]
    lines = [f"provider: {choice.provider}"]
    if model := choice.model or DEFAULT_MODELS.get(choice.provider):
        lines.append(f"model: {_quoted(model)}")
    if wishes.base_url:
        lines.append(f"base_url: {_quoted(wishes.base_url)}")
    variable = next((name for name in provider.keys if environment.first([name])), next(iter(provider.keys), ""))
    if wishes.api_key and variable:
        environment.variables[variable] = wishes.api_key
        notes.append(f"the key is not written to the file: set {variable} before the next start")
    if variable and (environment.first([variable]) or not wishes.base_url):
        lines.append(f"api_key: ${{{variable}}}")
        if not environment.first([variable]):
            notes.append(f"set {variable} in the environment or in a .env file")
    return lines


def _agent(path: Path, wishes: Wishes, skill: Skill | None, notes: list[str]) -> list[str]:
    if skill is not None and not wishes.instruction:
        source = os.path.relpath(workspace(path) / FILE, path.parent)
        notes.append(f"{FILE} is the instruction of the agent")
        lines = [f"name: {_quoted(skill.name)}", f"instruction_file: {_quoted(source)}"]
        return [*lines, f"description: {_quoted(skill.description)}"] if skill.description else lines
    text = wishes.instruction or DEFAULT_INSTRUCTION
    if "\n" not in text:
        return [f"instruction: {_quoted(text)}"]
    return ["instruction: |-", *(f"  {line}".rstrip() for line in _escaped(text).splitlines())]


def _tools(wishes: Wishes, skill: Skill | None, notes: list[str]) -> Sequence[str]:
    """The tools that exist of those that were asked for. A wish for another is an error, a skill's is a note."""
    if wishes.tools is not None:
        findings = [_no_tool(name) for name in wishes.tools if name not in GENERIC_TOOLS]
        if findings:
            raise InvalidConfig(findings)
        return wishes.tools
    wanted = skill.tools or () if skill else ()
    missing = [name for name in wanted if name not in GENERIC_TOOLS]
    if missing:
        notes.append(f"{FILE} allows tools that are not available in this version: {', '.join(missing)}")
    return [name for name in wanted if name in GENERIC_TOOLS]


def _no_tool(name: str) -> Finding:
    if name in HANDLERS:
        return Finding("planned", f"--tools: {name!r} {REASON}", allowed=", ".join(GENERIC_TOOLS))
    return Finding(
        "reference", f"--tools: there is no tool {name!r}", allowed=", ".join(GENERIC_TOOLS),
        hint=suggest(name, GENERIC_TOOLS),
    )  # fmt: skip


def workspace(path: Path) -> Path:
    """The folder that a configuration belongs to: its own, or the one around `.hector`."""
    folder = path.absolute().parent
    return folder.parent if folder.name == ".hector" else folder


def write_new(path: Path, text: str) -> None:
    """Write a file that only the owner may read. Raises FileExistsError rather than overwrite, OSError otherwise."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(error.errno, "a file is in the way of its folder") from None
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _escaped(text: str) -> str:
    """So that it survives the filling in of variables."""
    return text.replace("$", "$$")


def _quoted(text: str) -> str:
    """A YAML text on one line; quoted only where it must be."""
    text = _escaped(text)
    is_simple = text and all(sign.isalnum() or sign in "-_./" for sign in text) and text[0].isalpha()
    return text if is_simple and isinstance(plain(text), str) else json.dumps(text, ensure_ascii=False)
