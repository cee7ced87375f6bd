"""Where the built-in embedding model is: a folder of somebody's choice, or the one that Hector comes with."""

import json
import mmap
import os
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from hector.core import attached
from hector.core.record import dataclass
from hector.rag.errors import EmbeddingError

VARIABLE: Final = "HECTOR_MODEL_DIR"
BESIDE: Final = "hector-model"
WITHIN: Final = "minilm"
WEIGHTS: Final = "model.safetensors"
NEEDED: Final = (WEIGHTS, "vocab.txt", "config.json")
OPTIONAL: Final = ("sentence_bert_config.json", "1_Pooling/config.json", "tokenizer_config.json")
_LONGEST_TEXT: Final = 16 * 2**20
_ROOT: Final = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A folder with a model, or with `inside` what is attached to the executable at `folder`."""

    folder: Path
    inside: bool = False

    def view(self) -> memoryview:
        """The weights, mapped into memory. Raises EmbeddingError."""
        try:
            if self.inside:
                return self._attached().view(f"{WITHIN}/{WEIGHTS}")
            with (self.folder / WEIGHTS).open("rb") as file:
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise EmbeddingError(f"{self.folder / WEIGHTS} cannot be read: {error}") from None

    def read(self, name: str) -> bytes:
        """A small file; empty if it is optional and not there. Raises EmbeddingError."""
        if self.inside:
            found = self._attached()
            return found.read(f"{WITHIN}/{name}") if f"{WITHIN}/{name}" in found.files else b""
        path = self.folder / name
        try:
            with path.open("rb") as file:
                return file.read(_LONGEST_TEXT)
        except FileNotFoundError:
            if name in OPTIONAL:
                return b""
            raise EmbeddingError(f"{path} is missing") from None
        except OSError as error:
            raise EmbeddingError(f"{path} cannot be read: {error.strerror}") from None

    def settings(self, name: str) -> dict[str, Any]:
        """One of the JSON files; empty if it is optional and not there. Raises EmbeddingError."""
        data = self.read(name)
        try:
            found = json.loads(data) if data else {}
        except (ValueError, RecursionError) as error:
            raise EmbeddingError(f"{self.folder / name} is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise EmbeddingError(f"{self.folder / name} is no JSON object")
        return found

    def fingerprint(self) -> str:
        """A hash of all that decides about vectors."""
        found = sha256(self.view())
        for name in (*NEEDED[1:], *OPTIONAL):
            found.update(sha256(self.read(name)).digest())
        return found.hexdigest()

    def _attached(self) -> attached.Attached:
        found = attached.find(self.folder)
        if found is None:
            raise EmbeddingError(f"{self.folder} has changed and holds no model any more")
        return found


def find_model(model_dir: str | None, environment: Mapping[str, str] = os.environ) -> ModelFiles:
    """The model to use. Raises EmbeddingError that says what to do where there is none, or not all of it."""
    if named := model_dir or environment.get(VARIABLE):
        return _whole(Path(named), "model_dir" if model_dir else VARIABLE)
    frozen = bool(getattr(sys, "frozen", False))
    executable = Path(sys.executable)
    beside = executable.parent / BESIDE
    if frozen and beside.is_dir():
        return _whole(beside, "the folder beside the executable")
    if frozen and (found := attached.find(executable)) and f"{WITHIN}/{WEIGHTS}" in found.files:
        return ModelFiles(executable, inside=True)
    ours = Path(getattr(sys, "_MEIPASS", "")) / WITHIN if frozen else _ROOT / "vendor" / WITHIN
    for folder in (ours, Path(__file__).parent / "weights"):
        if (folder / WEIGHTS).is_file():
            return ModelFiles(folder)
    raise EmbeddingError(
        f"this Hector comes without an embedding model. Put one beside the executable as a folder {BESIDE}, or name "
        f"its folder with {VARIABLE} or `model_dir` ({', '.join(NEEDED)}); or use the executable that has one; or "
        "configure another embedder (openai, ollama, cohere, gemini). Without any, search goes by words alone."
    )


def _whole(folder: Path, named: str) -> ModelFiles:
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        what = f"lacks {', '.join(missing)}" if folder.is_dir() else "is no folder"
        raise EmbeddingError(f"{named}: {folder} {what}; an embedding model is a folder with {', '.join(NEEDED)}")
    return ModelFiles(folder)
