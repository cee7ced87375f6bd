"""File tools for one folder: which there are, what they say of themselves, and which files a call is about."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from hector.core.content import JsonObject
from hector.core.errors import ToolError
from hector.core.ports import ApprovalRule, Offer, ToolPolicy
from hector.tools.files import patch as diffs
from hector.tools.files.handlers import FileTools
from hector.tools.files.names import steps
from hector.tools.files.workspace import Settings, Workspace
from hector.tools.function import function_tool, own_policy

_VIEW: Final = (ApprovalRule("allow", args=(("command", "view"),)),)
NAMES: Final = ("text_editor", "read_file", "write_file", "search_replace", "apply_patch", "grep_search", "list_files")
CHANGING: Final = frozenset(("text_editor", "write_file", "search_replace", "apply_patch"))


def policy_for(name: str, settings: Settings) -> ToolPolicy:
    """What a file tool says of itself. Changes name their call, so that one which was cut off can be made again."""
    readings = partial(files_of, settings.roots)
    if name not in CHANGING or settings.read_only:
        return ToolPolicy(on_unknown="retry", readings=readings)
    own, rules = own_policy(getattr(FileTools, name)), _VIEW if name == "text_editor" else ()
    return ToolPolicy(own.approval, own.prompt, on_unknown="retry", rules=rules, readings=readings)


def files_of(roots: Sequence[str], args: JsonObject) -> list[JsonObject]:
    """The arguments of a call with each file that they are about as `path`, from the folder that it is in."""
    written = [args.get("path", ".")]
    try:
        if "patch" in args:
            written = [one.path for one in diffs.parse(str(args["patch"]))]
        found = [steps(str(one), roots) for one in written]
    except ToolError:
        return []  # the call says so itself
    within = [(root, "/".join(names) or ".") for root, names in found]
    whole = [f"{roots[root].rstrip('/')}/{path}" for root, path in within if root]
    return [{**args, "path": path} for path in (*(path for _, path in within), *whole)]


def offer(
    names: Mapping[str, str], settings: Settings, *, description: str = "", fixed: Mapping[str, Any] | None = None
) -> Offer:
    """File tools under the names that models are to know them by: name -> which of NAMES.

    `fixed` are arguments that the configuration sets, for those tools that take them.
    """
    tools = FileTools(Workspace(settings))
    made = {}
    for name, kind in names.items():
        if settings.read_only and kind in CHANGING and kind != "text_editor":
            continue
        function = getattr(tools, kind)
        given = {key: value for key, value in (fixed or {}).items() if key in _parameters(function)}
        made[name] = function_tool(function, name=name, description=description or None, fixed=given)
    return Offer(made, {name: policy_for(names[name], settings) for name in made})


def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(function.__annotations__) - {"return", "context"}
