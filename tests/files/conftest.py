"""A folder to work in, beside one that nothing may reach."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hector.core.content import Text
from hector.core.errors import ToolError
from hector.core.ports import Offer, ToolContext
from hector.core.record import dataclass
from hector.tools.files.offer import NAMES, offer
from hector.tools.files.workspace import Settings

SECRET = "outside: nobody may read this"


@dataclass(slots=True)
class Desk:
    """`root` is what the tools work in, `outside` what lies beside it."""

    root: Path
    outside: Path
    offer: Offer
    session: str = "s"
    calls: int = 0

    def __call__(self, tool: str, effect: str = "", **args: Any) -> str:
        """Call a tool; errors come as "error: ..."."""
        self.calls += 1
        context = ToolContext("c", "helper", "default", "ana", self.session, "t", effect_id=effect or f"e{self.calls}")
        try:
            output = asyncio.run(self.offer.tools[tool].call(args, context))
        except ToolError as error:
            return f"error: {error}"
        return "".join(part.text for part in output.content if isinstance(part, Text))

    def put(self, path: str, text: str | bytes) -> Path:
        """A file below the root."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def get(self, path: str) -> str:
        """Its bytes, as text."""
        return (self.root / path).read_bytes().decode("latin-1")


@pytest.fixture
def desk(tmp_path: Path) -> Callable[..., Desk]:
    """`desk(read_only=True, ...)`."""

    def make(fixed: Mapping[str, Any] | None = None, **settings: Any) -> Desk:
        root, outside = tmp_path / "work", tmp_path / "work2"
        for folder in (root, outside):
            folder.mkdir(exist_ok=True)
        (outside / "secret.md").write_text(SECRET)
        facts = {"undo": tmp_path / "undo"} | settings
        made = offer({name: name for name in NAMES}, Settings((os.path.realpath(root),), **facts), fixed=fixed)
        return Desk(root, outside, made)

    return make
