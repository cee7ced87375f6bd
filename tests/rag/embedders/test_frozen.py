"""The executables compute vectors: the same ones as the sources, from the model where it lies."""

import json
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hector.core.attached import find
from hector.rag.minilm.files import ModelFiles, find_model
from hector.rag.minilm.model import Model
from tests.smoke.frontdoor import DIST, FORMS, PATIENCE, Hector, Server, answer_text, request

pytestmark = [pytest.mark.frozen, pytest.mark.proves("rag.embedders.executable")]
ROOT = DIST.parent
TEXTS = ["a question", "Überraschung 北京"]


def frame(order: object) -> bytes:
    data = json.dumps(order).encode()
    return len(data).to_bytes(4, "little") + data


def vectors(executable: Path, files: ModelFiles) -> bytes:
    """What the hidden program of an executable makes of TEXTS."""
    orders = frame({"folder": str(files.folder), "inside": files.inside})
    orders += frame({"number": 1, "lane": "query", "texts": TEXTS})
    process = subprocess.Popen(
        [str(executable), "boxed-embedder"], env={"PATH": "", "HOME": "/nonexistent"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(orders)
        process.stdin.flush()
        answers = [process.stdout.read(int.from_bytes(process.stdout.read(4), "little")) for _ in range(2)]
        process.stdin.close()
    assert (process.returncode, [answer[4:5] for answer in answers]) == (0, [b"v", b"v"])
    return answers[1][5:]


@pytest.mark.parametrize(
    ("executable", "files"),
    [
        (DIST / "hector", ModelFiles(DIST / "hector", inside=True)),
        (DIST / "hector-onedir" / "hector", ModelFiles(DIST / "hector-onedir" / "_internal" / "minilm")),
        (DIST / "hector-slim", ModelFiles(ROOT / "vendor" / "minilm")),
    ],
    ids=["one-file", "one-folder", "slim"],
)
def test_executables_embed(executable: Path, files: ModelFiles) -> None:
    assert vectors(executable, files) == Model(find_model(str(ROOT / "vendor" / "minilm"))).embed(TEXTS)


def test_what_is_attached() -> None:
    full, slim = find(DIST / "hector"), find(DIST / "hector-slim")
    assert full is not None
    assert slim is not None
    ours = (ROOT / "vendor" / "minilm" / "model.safetensors").read_bytes()
    assert full.view("minilm/model.safetensors") == ours
    assert full.read("minilm/NOTICE").startswith(b"all-MiniLM-L6-v2")
    assert not [name for name in slim.files if name.startswith("minilm")]
    assert [name for name in slim.files if "openblas" in name]


WORD_DOCUMENT = (
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r>'
    "<w:t>The dog of our neighbours is called Rex.</w:t></w:r></w:p></w:body></w:document>"
)
QUESTION = "what name does the puppy next door have"


def documents(folder: Path) -> None:
    """One Word document that answers the question in other words, and others."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "pets.docx", "w") as packed:
        packed.writestr("word/document.xml", WORD_DOCUMENT)
    for name in ("invoices", "weather", "taxes"):
        (folder / f"{name}.md").write_text(f"# About {name}\n\nEverything about {name} and more.", encoding="utf-8")


def configuration() -> str:
    look = {"name": "search", "args": {"query": QUESTION, "limit": 1}}
    rules = [
        {"tool_result": "search", "tool_result_matches": "called Rex", "text": "Rex"},
        {"tool_result": "search", "text": "nothing"},
        {"text": "", "tool_calls": [look]},
    ]
    return json.dumps(
        {
            "llms": {"default": {"provider": "scripted", "rules": rules}},
            "embedders": {"own": {"provider": "builtin"}},
            "document_stores": {"docs": {"source": {"type": "directory", "path": "docs"}, "embedder": "own"}},
            "agents": {"helper": {"llm": "default"}},
        }
    )


def programs(server: Server) -> set[str]:
    """The hidden programs that were started for a server."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            mine = (place / "cwd").readlink() == server.output.parent
        except OSError:  # it has ended, or is somebody else's
            continue
        found |= {word.decode() for word in words[1:2] if mine and word.startswith(b"boxed-")}
    return found


@pytest.mark.parametrize("form", ["one-file", "one-folder"])
def test_a_server_reads_and_embeds_documents_with_programs_of_its_own(form: str, tmp_path: Path) -> None:
    documents(tmp_path / "docs")
    (tmp_path / "hector.json").write_text(configuration(), encoding="utf-8")
    hector = Hector(FORMS[form], tmp_path)
    with hector.serve("--config", "hector.json") as server:
        until, seen = time.monotonic() + PATIENCE, set[str]()
        state: dict[str, Any] = {"percent": None}
        while state["percent"] != 100 and time.monotonic() < until:
            state = request(f"{server.url}/health").json()["document_stores"]["docs"]
            seen |= programs(server)
            time.sleep(0.02)
        assert (state["percent"], state["failed"], seen) == (100, 0, {"boxed-extractor", "boxed-embedder"}), (
            server.text()
        )
        assert answer_text(server.say("helper", "How is the dog called?")) == "Rex"
        found = hector.run("search", QUESTION, "--config", "hector.json", "--json", "--limit", "1")
        assert "called Rex" in found.stdout, found.stderr
        assert server.stop() == 0
    assert not programs(server), "they end with the server"
