"""The model within: word pieces as the reference cuts them, vectors as the original's, damaged files refused."""

import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hector.rag.errors import EmbeddingError
from hector.rag.minilm.files import ModelFiles, find_model
from hector.rag.minilm.letters import Spelling
from hector.rag.minilm.model import Model
from hector.rag.minilm.network import Network, batches, shape_of
from hector.rag.minilm.tensors import Tensors
from hector.rag.minilm.wordpiece import WordPieces, read_vocabulary
from hector.rag.numeric import np
from tests.rag.embedders.texts import LONGEST, RECORDED, digests

VENDOR = Path(__file__).parents[3] / "vendor" / "minilm"


@pytest.fixture(scope="module")
def pieces() -> WordPieces:
    return WordPieces(read_vocabulary((VENDOR / "vocab.txt").read_bytes()))


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(find_model(str(VENDOR)))


@pytest.mark.proves("rag.embedders.exact")
def test_word_pieces_are_those_of_the_reference(pieces: WordPieces) -> None:
    assert digests(lambda text: pieces.encode(text, LONGEST)) == RECORDED.read_text(encoding="ascii").split()


def test_half_characters_are_left_out(pieces: WordPieces) -> None:
    assert pieces.encode("hel\ud800lo \udfff world", 256) == pieces.encode("hello world", 256)


def test_texts_are_cut(pieces: WordPieces) -> None:
    found = pieces.encode("one two three " * 100_000, 16)
    assert (len(found), found[0], found[-1]) == (16, 101, 102)


def test_cased_models_keep_their_case() -> None:
    vocabulary = {name: at for at, name in enumerate(("[UNK]", "[CLS]", "[SEP]", "Ärzte", "arzte"))}
    cased = WordPieces(vocabulary, Spelling(lower_case=False, strip_accents=False))
    assert cased.encode("Ärzte", 9) == [1, 3, 2]
    assert WordPieces(vocabulary).encode("Ärzte", 9) == [1, 4, 2]


def plain(weights: dict[str, Any], ids: Sequence[int]) -> Any:
    """The model as its paper has it, one text at a time, in float64 and with the true GELU."""

    def dense(x: Any, name: str) -> Any:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: Any, name: str) -> Any:
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    at = "embeddings."
    x = weights[f"{at}word_embeddings.weight"][list(ids)] + weights[f"{at}position_embeddings.weight"][: len(ids)]
    x = norm(x + weights[f"{at}token_type_embeddings.weight"][0], f"{at}LayerNorm")
    erf = np.vectorize(math.erf)
    for number in range(6):
        at = f"encoder.layer.{number}"
        q, k, v = (dense(x, f"{at}.attention.self.{one}") for one in ("query", "key", "value"))
        heads = []
        for head in range(0, 384, 32):
            part = slice(head, head + 32)
            share = np.exp(q[:, part] @ k[:, part].T / math.sqrt(32))
            heads.append(share / share.sum(-1, keepdims=True) @ v[:, part])
        x = norm(
            x + dense(np.concatenate(heads, 1), f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm"
        )
        wide = dense(x, f"{at}.intermediate.dense")
        wide = wide * 0.5 * (1 + erf(wide / math.sqrt(2)))
        x = norm(x + dense(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    pooled = x.mean(0)
    return pooled / np.linalg.norm(pooled)


def restored(tensors: Tensors) -> dict[str, Any]:
    """All weights as float64."""
    found: dict[str, Any] = {}
    for name in tensors.names:
        if not name.endswith(".scale"):
            found[name] = tensors.array(name).astype(np.float64)
            if f"{name}.scale" in tensors.names:
                scale = tensors.array(f"{name}.scale").astype(np.float64)
                found[name] = (found[name].reshape(*scale.shape, -1) * scale[..., None]).reshape(found[name].shape)
    return found


@pytest.mark.proves("rag.embedders.exact")
def test_vectors_are_those_of_the_model_as_it_is_written_down(model: Model, pieces: WordPieces) -> None:
    said = ["A question?", "北京大学", "The quick brown fox jumps over the lazy dog. " * 8, "", "A question?"]
    found = np.frombuffer(model.embed(said), np.float32).reshape(len(said), -1)
    weights = restored(Tensors((VENDOR / "model.safetensors").read_bytes()))
    for text, vector in zip(said, found, strict=True):
        assert float(vector @ plain(weights, pieces.encode(text, 256))) > 0.99999
    assert np.allclose(np.linalg.norm(found, axis=1), 1)


def test_batches_hold_all_texts_and_not_too_much() -> None:
    lengths = [5, 900, 3, 700, 256, 256, 2000, 1]
    found = list(batches(lengths))
    assert sorted(at for batch in found for at in batch) == list(range(8))
    assert all(len(batch) == 1 or sum(lengths[at] for at in batch) <= 1024 for batch in found)


def written(tensors: dict[str, Any], kind: str = "F32") -> bytes:
    head, body = {}, b""
    for name, tensor in tensors.items():
        data = tensor.tobytes()
        head[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A BERT model of one layer, with CLS pooling, as a folder."""
    chance = np.random.default_rng(5)
    width, wide = 8, 16
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (6, width), "embeddings.position_embeddings.weight": (10, width),
        "embeddings.token_type_embeddings.weight": (2, width),
    }  # fmt: skip
    at = "encoder.layer.0."
    parts = [(f"{at}attention.self.{one}", width, width) for one in ("query", "key", "value")]
    parts += [(f"{at}attention.output.dense", width, width), (f"{at}intermediate.dense", wide, width)]
    parts += [(f"{at}output.dense", width, wide)]
    for name, rows, columns in parts:
        shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
    for name in ("embeddings.LayerNorm", f"{at}attention.output.LayerNorm", f"{at}output.LayerNorm"):
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    tensors = {f"bert.{name}": chance.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    (tmp_path / "model.safetensors").write_bytes(written(tensors))
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n##s\n", encoding="utf-8")
    config = {"model_type": "bert", "num_attention_heads": 2, "num_hidden_layers": 1, "hidden_size": width}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}', encoding="utf-8")
    return tmp_path


@pytest.mark.proves("rag.embedders.folder")
def test_any_bert_folder_will_do(tiny: Path) -> None:
    model = Model(find_model(str(tiny)))
    found = np.frombuffer(model.embed(["hello", "hellos", "hello " * 50]), np.float32).reshape(3, 8)
    assert model.dimension == 8
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert not np.allclose(found[0], found[1])


@pytest.mark.proves("rag.embedders.folder")
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.safetensors", b"", "cannot be read"),
        ("model.safetensors", b"\xff" * 64, "no safetensors file"),
        ("model.safetensors", struct.pack("<Q", 2) + b"[]", "no readable header"),
        ("model.safetensors", struct.pack("<Q", 2) + b"{}", "holds no BERT model"),
        ("config.json", b"{", "is no JSON"),
        ("config.json", b'{"model_type": "t5"}', "only bert"),
        ("config.json", b'{"hidden_act": "relu"}', "hidden_act 'relu'"),
        ("config.json", b"{}", "does not describe a BERT model"),
        ("config.json", b'{"num_attention_heads": 3, "num_hidden_layers": 1}', "3 heads cannot share"),
        ("config.json", b'{"num_attention_heads": 2, "num_hidden_layers": 2}', "lacks bert.encoder.layer.1"),
        ("vocab.txt", b"", "empty"),
        ("vocab.txt", b"\xff\xfe", "not UTF-8"),
        ("vocab.txt", b"hello\nworld\n", r"lacks \[UNK\]"),
        (
            "vocab.txt",
            b"[UNK]\n[CLS]\n[SEP]\n" + b"".join(b"w%d\n" % at for at in range(9)),
            "12 words, but the model only 6",
        ),
    ],
)
def test_damaged_folders_are_refused_by_name(tiny: Path, name: str, content: bytes, words: str) -> None:
    (tiny / name).write_bytes(content)
    with pytest.raises(EmbeddingError, match=words):
        Model(find_model(str(tiny)))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 8]}, "another size"),
        ({"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}, "another size"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, "x"]}, "a kind that is not known"),
        ({"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}, "a kind that is not known"),
        ({"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}, "cut off"),
    ],
)
def test_offsets_are_checked(entry: dict[str, Any], words: str) -> None:
    text = json.dumps({"a": entry}).encode()
    with pytest.raises(EmbeddingError, match=words):
        Tensors(struct.pack("<Q", len(text)) + text + bytes(8)).raw("a")


def test_halves_are_read() -> None:
    numbers = np.array([[1.5, -2.0]], np.float32)
    brain = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    assert Tensors(written({"a": brain}, "BF16")).array("a").tolist() == numbers.tolist()
    assert Tensors(written({"a": numbers.astype(np.float16)}, "F16")).array("a").tolist() == numbers.tolist()


def test_scales_that_do_not_fit_are_refused(tiny: Path) -> None:
    tensors = Tensors((tiny / "model.safetensors").read_bytes())
    kept = {name: tensors.raw(name) for name in tensors.names}
    kept["bert.embeddings.word_embeddings.weight.scale"] = np.ones((5, 1), np.float32)
    shape = shape_of(json.loads((tiny / "config.json").read_text(encoding="utf-8")), {}, {})
    with pytest.raises(EmbeddingError, match="scales of bert.embeddings"):
        Network(Tensors(written(kept)), shape)


def test_where_the_model_is_found(tiny: Path, tmp_path: Path) -> None:
    assert find_model(None, {}) == ModelFiles(VENDOR)
    assert find_model(None, {"HECTOR_MODEL_DIR": str(tiny)}) == ModelFiles(tiny)
    assert find_model(str(VENDOR), {"HECTOR_MODEL_DIR": str(tiny)}) == ModelFiles(VENDOR)
    (tiny / "vocab.txt").unlink()
    with pytest.raises(EmbeddingError, match=r"HECTOR_MODEL_DIR: .* lacks vocab.txt"):
        find_model(None, {"HECTOR_MODEL_DIR": str(tiny)})
    with pytest.raises(EmbeddingError, match=r"model_dir: .*nowhere is no folder"):
        find_model(str(tmp_path / "nowhere"), {})


@pytest.mark.proves("rag.embedders.executable")
def test_the_slim_executable_says_what_it_needs(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    executable = folder / "hector"
    executable.write_bytes(b"\x7fELF" * 99)
    monkeypatch.setattr("sys.frozen", True, raising=False)
    monkeypatch.setattr("sys._MEIPASS", str(folder / "unpacked"), raising=False)
    monkeypatch.setattr("sys.executable", str(executable))
    with pytest.raises(EmbeddingError, match=r"without an embedding model.*hector-model.*HECTOR_MODEL_DIR.*openai"):
        find_model(None, {})
    (folder / "hector-model").symlink_to(tiny)
    assert find_model(None, {}) == ModelFiles(folder / "hector-model")
