"""Measures of searches, by hand; questions as they stand in files; and the commands over a folder of documents."""

import asyncio
import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hector.config.searching import Reranker
from hector.core.errors import StartupError
from hector.core.retrieval import Passage, Place
from hector.rag.measure import Judged, figures, ndcg, percentile, reciprocal_rank
from hector.rag.questions import corpus, questions
from hector.rag.search_models import Unhelpful
from hector.rag.search_rerank import order
from hector.store.highlight import best_window, marked
from tests.cli.driver import environment, hector
from tests.httpserver import HttpServer, Request, write_whole

CONFIG = """
llms: {default: {provider: scripted, rules: [{text: ok}]}}
agents: {helper: {instruction: Help.}}
document_stores: {docs: {source: {type: directory, path: docs}, embedder: none}}
"""


@pytest.mark.proves("rag.eval")
def test_measures_are_those_of_the_books() -> None:
    one = Judged(["x", "b", "a"], {"a": 2, "b": 1}, 0.2)
    gained, best = 1 / math.log2(3) + 2 / math.log2(4), 2 + 1 / math.log2(3)
    assert ndcg(one) == pytest.approx(gained / best)
    assert reciprocal_rank(one) == 0.5
    nothing = Judged(["x"], {"a": 1}, 0.4)
    found = figures([one, nothing])
    assert (found.questions, found.hit, found.mrr, found.recall) == (2, 0.5, 0.25, 0.5)
    assert (found.p50, found.p95) == (0.2, 0.4)
    assert ndcg(Judged([str(at) for at in range(20)], {"15": 1})) == 0.0, "only ten count"
    assert percentile([], 0.5) == 0.0


@pytest.mark.proves("rag.eval")
def test_questions_of_a_file_and_of_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text('{"query": "a", "relevant": ["x.md"]}\n\n{"question": "b", "relevant": {"y": 2, "z": 0}}\n')
    assert [(one.text, dict(one.relevant)) for one in questions(file)] == [("a", {"x.md": 1.0}), ("b", {"y": 2.0})]
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "a"}\n{"_id": "2", "text": "b"}\n')
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n1\tp 1\t1\n1\tp2\t0\n")
    assert [(one.text, dict(one.relevant)) for one in questions(tmp_path)] == [("a", {"p 1": 1.0})]
    (tmp_path / "corpus.jsonl").write_text('{"_id": "p1", "title": "T", "text": "x", "metadata": {"a": 1}}\n')
    assert [(one.id, one.title, dict(one.metadata)) for one in corpus(tmp_path)] == [("p1", "T", {"a": 1})]


@pytest.mark.parametrize("text", ["{", "[]", '{"query": "a"}', '{"query": "a", "relevant": {"x": "much"}}', ""])
def test_what_is_no_question_is_said_with_its_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(text)
    with pytest.raises(StartupError, match=r"q\.jsonl"):
        questions(file)


@pytest.mark.parametrize(
    ("text", "question", "hits"),
    [
        ("The dogs ate.", "dogged dog", ["dogs"]),
        ("A Café opens", "cafe", ["Café"]),
        ("今天天气很好", "天气", ["天气"]),
        ("nothing", "else", []),
    ],
)
def test_words_that_were_looked_for_are_set_off(text: str, question: str, hits: list[str]) -> None:
    pieces = list(marked(text, question))
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, hit in pieces if hit] == hits or question == "dogged dog"


def test_an_excerpt_is_where_the_words_are() -> None:
    text = "filler " * 100 + "the pump needs oil " + "filler " * 100
    found = best_window(text, "oil pump", 80)
    assert "pump needs oil" in found
    assert found.startswith("... ")
    assert len(found) < 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/guide.md").write_text("Change the oil every 500 hours.\n")
    (tmp_path / "docs/other.md").write_text("The colour of the pump is red.\n")
    (tmp_path / "hector.yaml").write_text(CONFIG)
    return tmp_path


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = hector(*arguments, "--config", "hector.yaml")
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60, check=False
    )


def test_names_of_files_and_answers_of_services_send_nothing_to_the_terminal(folder: Path) -> None:
    (folder / "docs/an\x1b[31mgry\n\u202e.pdf").write_bytes(b"%PDF-1.4 nothing")
    answers = CONFIG.replace("embedder: none", "embedder: away")
    (folder / "hector.yaml").write_text(
        answers + 'embedders: {away: {provider: ollama, model: "x\\e[31m", base_url: "http://127.0.0.1:9", '
        "retry: {max_attempts: 1}}}\n"
    )
    done = run(folder, "index")
    assert done.returncode == 1
    assert "gry .pdf: it is damaged" in done.stdout
    assert "not whole: embedder 'away'" in done.stdout
    assert not {"\x1b", "\u202e"} & set(done.stdout + done.stderr)
    assert r"a document cannot be read document=docs/an\x1b[31mgry\n\u202e.pdf reason=it is damaged" in done.stderr


@pytest.mark.slow  # starts the program eight times
@pytest.mark.proves("rag.search-command", "rag.eval")
def test_the_commands_over_a_folder(folder: Path) -> None:
    assert run(folder, "index").returncode == 0
    done = run(folder, "search", "how often is the oil changed")
    assert (done.returncode, done.stderr) == (0, "")
    assert "guide.md" in done.stdout
    assert "\x1b" not in done.stdout, "plain in a pipe"
    done = run(folder, "search", "pump", "--json", "--limit", "1")
    (row,) = json.loads(done.stdout)["passages"]
    assert (row["document"], row["score"]) == ("other.md", 1.0)
    done = run(folder, "search", "xyzzy")
    assert (done.returncode, "0 passages" in done.stdout) == (1, True)
    (folder / "q.jsonl").write_text('{"query": "oil", "relevant": ["docs/guide.md"]}\n')
    done = run(folder, "rag", "eval", "q.jsonl", "--json")
    (result,) = json.loads(done.stdout)["results"]
    assert (result["questions"], result["hit"], result["ndcg"]) == (1, 1.0, 1.0)
    (folder / "corpus.jsonl").write_text('{"id": "a", "text": "the oil"}\n{"id": "b", "text": "the pump"}\n')
    (folder / "c.jsonl").write_text('{"query": "oil", "relevant": "a"}\n')
    done = run(folder, "rag", "eval", "c.jsonl", "--corpus", "corpus.jsonl", "--mode", "lexical")
    assert done.stdout.split()[9:12] == ["lexical", "1", "1.0000"], done.stderr
    done = run(folder, "search", "oil", "--store", "nope")
    assert (done.returncode, "there are: docs" in done.stderr) == (2, True)
    (folder / "hector.yaml").write_text(CONFIG.replace("{docs:", "{more: {embedder: none}, docs:"))
    (folder / ".hector/vectors/default/more/index.db").mkdir(parents=True)
    done = run(folder, "search", "oil")
    assert (done.returncode, "guide.md" in done.stdout, "store more: it cannot be" in done.stdout) == (0, True, True)


def passages(count: int) -> list[Passage]:
    return [Passage("docs", str(at), "", "", 0, f"text {at}", Place(), 1.0) for at in range(count)]


def service(status: int, answer: Any, seen: list[Request]) -> Callable[..., Any]:
    async def answered(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        seen.append(request)
        write_whole(writer, status, json.dumps(answer).encode())
        return True

    return answered


@pytest.mark.proves("rag.rerank")
@pytest.mark.parametrize(("path", "asked"), [("", "/v2/rerank"), ("/v1/rerank", "/v1/rerank")])
async def test_a_service_gives_the_order(path: str, asked: str) -> None:
    seen: list[Request] = []
    rows = [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.95}, {"index": 7}, "x"]
    async with HttpServer(service(200, {"results": rows}, seen)) as server:
        section = Reranker(model="m", api_key="k-123", base_url=f"http://127.0.0.1:{server.port}{path}")
        assert await order(section, "why", passages(3)) == [0, 2]
    assert (seen[0].path, seen[0].headers["authorization"], seen[0].body["query"]) == (asked, "Bearer k-123", "why")
    assert seen[0].body["documents"] == ["text 0", "text 1", "text 2"]


@pytest.mark.proves("rag.rerank")
@pytest.mark.parametrize(("status", "answer"), [(401, {"message": "no"}), (200, []), (200, {"results": None})])
async def test_a_service_that_does_not_help_says_why(status: int, answer: Any) -> None:
    async with HttpServer(service(status, answer, [])) as server:
        with pytest.raises(Unhelpful):
            await order(Reranker(base_url=f"http://127.0.0.1:{server.port}"), "why", passages(2), own_key=False)
    with pytest.raises(Unhelpful):
        await order(Reranker(base_url="http://127.0.0.1:9"), "why", passages(2), own_key=False)
