"""Makes text of documents from strangers, in a process of its own that may use little memory and little time.

A hostile page or PDF costs that process, and nobody else. It gets one line of JSON and then the document on standard
input, and answers with JSON.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hector.core.errors import ToolError

FROZEN_COMMAND: Final = "boxed-reader"
"""How the one executable is told to be this program."""
SECONDS: Final = 15
"""Processor time for one document."""
_MEMORY: Final = 768 * 2**20
_MOST_PAGES: Final = 300
_MOST: Final = 2_000_000
"""Characters of text."""
_GIVEN: Final = frozenset(("LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP"))
_ROOT: Final = Path(__file__).parents[2]
_START: Final = "import sys; sys.path.append({root!r}); from hector.tools.web_reader import main; main()"


async def read_document(kind: str, data: bytes, *, base: str = "", seconds: int = SECONDS) -> tuple[str, str]:
    """Title and text of a document: `kind` is html or pdf; HTML comes as UTF-8. Raises ToolError."""
    program = [sys.executable, FROZEN_COMMAND] if getattr(sys, "frozen", False) else _python()
    head = json.dumps({"kind": kind, "base": base, "seconds": seconds}).encode() + b"\n"
    child = await asyncio.create_subprocess_exec(
        *program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=environment(os.environ),
    )  # fmt: skip
    try:
        async with asyncio.timeout(2 * seconds):
            said, _ = await child.communicate(head + data)
    except TimeoutError:
        raise ToolError(f"the document could not be read within {2 * seconds} s") from None
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    try:
        found: dict[str, Any] = json.loads(said)
    except ValueError:
        raise ToolError("the document takes too much time or memory to be read, or is damaged") from None
    if problem := found.get("problem"):
        raise ToolError(f"the document cannot be read: {problem}")
    return str(found["title"]), str(found["text"])


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What the process gets of our environment: where things are, and nothing that is secret."""
    return {name: value for name, value in ours.items() if name in _GIVEN or name.startswith("_PYI_")}


def _python() -> list[str]:
    return [sys.executable, "-E", "-s", "-c", _START.format(root=str(_ROOT))]


def main() -> None:
    """Read one document from standard input."""
    order = json.loads(sys.stdin.buffer.readline())
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - not on every system

        resource.setrlimit(resource.RLIMIT_CPU, (order["seconds"], order["seconds"]))
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    data = sys.stdin.buffer.read()
    try:
        title, text = _pdf(data) if order["kind"] == "pdf" else _html(data, order["base"])
        answer = {"title": title[:500], "text": text[:_MOST]}
    except Exception as error:  # noqa: BLE001 - whatever a stranger's document does to a parser
        answer = {"problem": f"{type(error).__name__}: {error}"[:300]}
    sys.stdout.write(json.dumps(answer))


def _html(data: bytes, base: str) -> tuple[str, str]:
    from hector.tools.web_page import page_text  # noqa: PLC0415 - loaded in this process only

    return page_text(data.decode("utf-8", "replace"), base)


def _pdf(data: bytes) -> tuple[str, str]:
    import io  # noqa: PLC0415 - loaded in this process only

    from pypdf import PdfReader  # noqa: PLC0415 - loaded in this process only

    reader = PdfReader(io.BytesIO(data))
    pages: list[str] = []
    size = 0
    for number, page in enumerate(reader.pages[:_MOST_PAGES], 1):
        pages.append(f"[page {number}]\n{page.extract_text().strip()}")
        size += len(pages[-1])
        if size > _MOST:
            break
    left_out = len(reader.pages) - len(pages)
    if left_out:
        pages.append(f"[{left_out} more pages were left out]")
    title = reader.metadata.title if reader.metadata else ""
    return str(title or ""), "\n\n".join(pages)
