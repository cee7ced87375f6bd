"""The first configuration: written once, from what is at hand, when there is none."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hector.config.detect import ALL, Choice, Surroundings, Wishes, choose, every_tool
from hector.config.environment import Environment
from hector.config.findings import Finding, InvalidConfig
from hector.config.handlers import KINDS, LOCAL_TOOLS
from hector.config.llm_anthropic import AnthropicLlm
from hector.config.llm_gemini import GeminiLlm
from hector.config.llm_openai import OpenAiLlm
from hector.config.providers import BY_NAME
from hector.config.skill import FILE, Skill, read_skill
from hector.config.source import plain
from hector.config.tools import BUILT_IN as FUNCTIONS
from hector.config.tools import SEARCH
from hector.config.translate import suggest
from hector.core.record import dataclass

DEFAULT_INSTRUCTION: Final = "You are a helpful assistant. Answer briefly and to the point."
BUILT_IN: Final = (*(name for name in FUNCTIONS if name != SEARCH), *KINDS)
"""All tools that may be asked for by name."""
DEMO: Final = Path(__file__).with_name("demo.yaml")
DEFAULT_MODELS: Final = {
    section.model_fields["provider"].default: section.model_fields["model"].default
    for section in (AnthropicLlm, OpenAiLlm, GeminiLlm)
}
REAL: Final = (
    "for real answers set ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY, start Ollama, "
    "or name a model file in HECTOR_MODEL_PATH"
)
_READING: Final = frozenset(("read_file", "grep_search", "list_files", "web_fetch", "web_search"))
"""Tools that work without asking."""
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
    if wishes.docs_folder and (choice is None or choice.provider == "scripted"):
        message = "--docs-folder: there is no language model that could use the documents"
        raise InvalidConfig([Finding("range", message, hint=REAL)])
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
    tools = _tools(wishes, skill, environment, notes)
    notes += filter(None, [_approvals(tools)])
    lines = [HEADER.format(made=made), f"name: {_quoted(wishes.name or 'hector')}", "", "llms:", "  default:"]
    lines += [f"    {line}" for line in _model(choice, wishes, environment, notes)]
    lines += ["", "agents:", "  assistant:", "    llm: default"]
    lines += [f"    {line}" for line in _agent(path, wishes, skill, notes)]
    lines += [f"    tools: [{', '.join(tools)}]", ""]
    if wishes.docs_folder:
        lines += _documents(wishes.docs_folder, notes)
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


def _tools(wishes: Wishes, skill: Skill | None, environment: Environment, notes: list[str]) -> Sequence[str]:
    """The tools that exist of those that were asked for. A wish for another is an error, a skill's is a note."""
    if wishes.tools == (ALL,):
        return every_tool(environment)
    if wishes.tools is not None:
        findings = [_no_tool(name) for name in wishes.tools if name not in BUILT_IN]
        if findings:
            raise InvalidConfig(findings)
        return wishes.tools
    wanted = skill.tools or () if skill else ()
    missing = [name for name in wanted if name not in BUILT_IN]
    if missing:
        notes.append(f"{FILE} allows tools that are not available in this version: {', '.join(missing)}")
    return [name for name in wanted if name in BUILT_IN]


def _documents(wish: str, notes: list[str]) -> list[str]:
    """The document store that --docs-folder asks for. Raises InvalidConfig for what is no folder."""
    written, _, remote = wish.partition(":") if not Path(wish).is_dir() else (wish, "", "")
    folder = Path(written).expanduser()
    if not folder.is_dir():
        message = "--docs-folder: there is no such folder"
        raise InvalidConfig([Finding("file", message, found=repr(written), hint=f"looked for {folder.absolute()}")])
    notes.append(f"documents in {written} can be searched; `hector index` shows how far that is")
    lines = ["document_stores:", "  docs:", "    source:", "      type: directory", f"      path: {_quoted(written)}"]
    lines += ["    chunking:", "      strategy: semantic", "    watch: true", "    incremental_indexing: true"]
    if remote:
        notes.append("MCP parsers see the folder elsewhere: name their tools under document_stores.docs.mcp_parsers")
        lines += ["    # mcp_parsers:", "    #   tool_names: [convert_document_into_docling_document]"]
        lines += [f"    #   path_prefix: {_quoted(remote)}"]
    return [*lines, ""]


def _approvals(tools: Sequence[str]) -> str:
    """Which of them ask a person, as the new file leaves it."""
    each = [name for name in tools if name in KINDS and name not in _READING]
    files = [name for name in tools if name in LOCAL_TOOLS and name not in _READING]
    said = [f"before each {' and '.join(each)}"] if each else []
    said += [f"before {' or '.join(files)} changes a file"] if files else []
    return f"you are asked {' and '.join(said)}: in `hector chat`, or by `hector approve`" if said else ""


def _no_tool(name: str) -> Finding:
    if name == SEARCH:
        message = "--tools: 'search' needs documents; agents have it by themselves where document_stores has any"
        return Finding("reference", message, allowed=", ".join(BUILT_IN))
    return Finding(
        "reference", f"--tools: there is no tool {name!r}", allowed=", ".join(BUILT_IN),
        hint=suggest(name, BUILT_IN),
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
