"""Under which conditions a tool is called: its function's marks, and the file's last word."""

from dataclasses import replace
from typing import Any

import pytest

from hector.config.functiontool import FunctionTool
from hector.core.ports import ToolPolicy
from hector.tools.catalog import Catalog
from hector.tools.function import idempotent, requires_approval
from hector.tools.policy import policy_of

PLAIN, SAFE = ToolPolicy(), ToolPolicy(on_unknown="retry")
GUARDED = ToolPolicy(True, "May I?")


@idempotent
def look() -> str:
    """Look."""
    return "x"


@requires_approval("May I?")
def drop() -> str:
    """Drop."""
    return "x"


@idempotent
@requires_approval()
def both() -> str:
    """Both."""
    return "x"


@pytest.mark.proves("tools.policy")
@pytest.mark.parametrize(
    ("own", "file", "expected"),
    [
        (PLAIN, {}, PLAIN),
        (PLAIN, {"idempotent": True}, SAFE),
        (SAFE, {}, SAFE),
        (SAFE, {"idempotent": False}, PLAIN),
        (SAFE, {"on_unknown": "fail"}, ToolPolicy(on_unknown="fail")),
        (PLAIN, {"idempotent": True, "on_unknown": "ask"}, PLAIN),
        (PLAIN, {"require_approval": True, "approval_prompt": "Now?", "approval_expires": "1m"},
         ToolPolicy(True, "Now?", 60.0)),
        (GUARDED, {}, GUARDED),
        (GUARDED, {"approval_prompt": "Really?"}, ToolPolicy(True, "Really?")),
        (GUARDED, {"require_approval": False}, ToolPolicy(False, "May I?")),
    ],
)  # fmt: skip
def test_the_file_has_the_last_word(own: ToolPolicy, file: dict[str, Any], expected: ToolPolicy) -> None:
    assert policy_of(own, FunctionTool.model_validate({"handler": "x", **file})) == expected
    assert policy_of(own, None) == own


@pytest.mark.proves("tools.policy")
def test_marks_of_functions() -> None:
    catalog = Catalog([look, drop, both])
    marks = {name: replace(catalog.policy(name), readings=None) for name in ("look", "drop", "both", "save_artifact")}
    twice = ToolPolicy(True, on_unknown="retry")
    assert marks == {"look": SAFE, "drop": GUARDED, "both": twice, "save_artifact": SAFE}
    assert catalog.policy("request_approval").approval
