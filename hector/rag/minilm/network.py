"""The computation of a BERT encoder in plain numpy: texts as numbers of word pieces in, one vector each out.

Texts of one batch stand one behind the other in one matrix, without padding; only attention looks at them apart, those
of one length together. Weights that are int8 become float32 when they are loaded, but for the table of words, of which
only the rows that a text needs are. All sizes are in numbers.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from hector.core.record import dataclass
from hector.rag.errors import EmbeddingError
from hector.rag.minilm.tensors import Tensors
from hector.rag.numeric import np

BATCH: Final = 1024
"""Word pieces that are computed together: more is no faster and takes more memory."""
_ROWS: Final = 64
"""Of the widest matrix, so many fit the processor's cache."""
_GELU: Final = np.float32(-2.0 * math.sqrt(2.0 / math.pi))
_CUBE: Final = np.float32(0.044715)


@dataclass(frozen=True, slots=True)
class Shape:
    """What config.json and the files beside it say of a model."""

    heads: int
    layers: int
    epsilon: float = 1e-12
    longest: int = 512
    pooling: str = "mean"


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: Any
    bias: Any


@dataclass(frozen=True, slots=True)
class _Dense:
    """`weight` is as files have it: a row for each output."""

    weight: Any
    bias: Any


@dataclass(frozen=True, slots=True)
class _Layer:
    attend: _Dense
    attended: _Dense
    attended_norm: _Norm
    widen: _Dense
    narrow: _Dense
    norm: _Norm


class _Weights:
    """Reads tensors by their names, with or without the prefix `bert.`, and with the older names of norms."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._names = frozenset(tensors.names)
        self._prefix = next(
            (p for p in ("", "bert.", "model.") if f"{p}embeddings.word_embeddings.weight" in self._names), None
        )
        if self._prefix is None:
            raise EmbeddingError("model.safetensors holds no BERT model: it has no embeddings.word_embeddings.weight")

    def stored(self, name: str) -> tuple[Any, Any]:
        """A tensor as it is stored, and its scales or None: so many for each row, which share it evenly."""
        full = f"{self._prefix}{name}"
        if full not in self._names:
            raise EmbeddingError(f"model.safetensors holds no BERT model that can be read: it lacks {full}")
        scale = f"{full}.scale"
        if scale in self._names:
            codes, scales = self._tensors.raw(full), self._tensors.array(scale)
            if scales.ndim != 2 or len(scales) != len(codes) or codes.shape[-1] % scales.shape[1]:
                raise EmbeddingError(f"model.safetensors: the scales of {full} do not fit it")
            return codes, scales
        return self._tensors.array(full), None

    def floats(self, name: str) -> Any:
        """A tensor as float32."""
        codes, scale = self.stored(name)
        found = codes.astype(np.float32)
        if scale is not None:
            grouped = found.reshape(*scale.shape, -1)
            grouped *= scale[..., None]
        return found

    def dense(self, name: str) -> _Dense:
        return _Dense(self.floats(f"{name}.weight"), self.floats(f"{name}.bias"))

    def norm(self, name: str) -> _Norm:
        old = f"{self._prefix}{name}.gamma" in self._names
        weight, bias = ("gamma", "beta") if old else ("weight", "bias")
        return _Norm(self.floats(f"{name}.{weight}"), self.floats(f"{name}.{bias}"))

    def layer(self, number: int, heads: int) -> _Layer:
        at = f"encoder.layer.{number}"
        parts = [self.dense(f"{at}.attention.self.{name}") for name in ("query", "key", "value")]
        shrink = np.float32(1.0 / math.sqrt(len(parts[0].bias) // heads))
        weights = [parts[0].weight * shrink, parts[1].weight, parts[2].weight]
        biases = [parts[0].bias * shrink, parts[1].bias, parts[2].bias]
        return _Layer(
            _Dense(np.concatenate(weights), np.concatenate(biases)),
            self.dense(f"{at}.attention.output.dense"),
            self.norm(f"{at}.attention.output.LayerNorm"),
            self.dense(f"{at}.intermediate.dense"),
            self.dense(f"{at}.output.dense"),
            self.norm(f"{at}.output.LayerNorm"),
        )


class Network:
    """One model, loaded. May be used by several threads."""

    def __init__(self, tensors: Tensors, shape: Shape) -> None:
        """Raises EmbeddingError when the tensors are not those of such a model."""
        weights = _Weights(tensors)
        self._words, self._scales = weights.stored("embeddings.word_embeddings.weight")
        width = self._words.shape[-1]
        if self._words.ndim != 2 or shape.heads < 1 or width % shape.heads:
            raise EmbeddingError(f"the model has vectors of {width} numbers, which {shape.heads} heads cannot share")
        self._places = weights.floats("embeddings.position_embeddings.weight")
        self._places = self._places + weights.floats("embeddings.token_type_embeddings.weight")[0]
        self._norm = weights.norm("embeddings.LayerNorm")
        self._layers = [weights.layer(number, shape.heads) for number in range(shape.layers)]
        self._shape = shape
        self.longest = min(shape.longest, len(self._places))
        self.words = len(self._words)
        self.dimension = int(width)

    def embed(self, texts: Sequence[Sequence[int]]) -> Any:
        """A row of length 1 for each text, in order; each has 1 to `longest` numbers below `words`."""
        found = np.empty((len(texts), self.dimension), np.float32)
        for batch in batches([len(text) for text in texts]):
            found[batch] = self._batch([texts[at] for at in batch])
        return found

    def _batch(self, texts: Sequence[Sequence[int]]) -> Any:
        """Vectors of texts that are in order of their lengths."""
        lengths = [len(text) for text in texts]
        pieces = np.concatenate([np.asarray(text, np.intp) for text in texts])
        state = self._start(pieces, lengths)
        runs = list(_runs(lengths))
        for layer in self._layers:
            mixed = self._attention(_times(state, layer.attend), runs)
            state = self._normed(state + _times(mixed, layer.attended), layer.attended_norm)
            wide = _times(state, layer.widen)
            _gelu(wide)
            state = self._normed(state + _times(wide, layer.narrow), layer.norm)
        return self._pooled(state, lengths)

    def _start(self, pieces: Any, lengths: Sequence[int]) -> Any:
        state = self._words[pieces].astype(np.float32)
        if self._scales is not None:
            grouped = state.reshape(len(pieces), self._scales.shape[1], -1)
            grouped *= self._scales[pieces][:, :, None]
        state += self._places[np.concatenate([np.arange(length) for length in lengths])]
        return self._normed(state, self._norm)

    def _attention(self, projected: Any, runs: Sequence[tuple[int, int, int]]) -> Any:
        """Each text looks at itself alone. `projected`: questions, keys and values side by side."""
        heads, width = self._shape.heads, self.dimension
        mixed = np.empty((len(projected), width), np.float32)
        for first, count, length in runs:
            part = projected[first : first + count * length].reshape(count, length, 3, heads, width // heads)
            asked, keys, values = part.transpose(2, 0, 3, 1, 4)
            share = asked @ keys.transpose(0, 1, 3, 2)
            share -= share.max(axis=-1, keepdims=True)
            np.exp(share, out=share)
            total = share.sum(axis=-1)
            out = mixed[first : first + count * length].reshape(count, length, heads, -1).transpose(0, 2, 1, 3)
            np.divide(share @ values, total[..., None], out=out)
        return mixed

    def _normed(self, state: Any, norm: _Norm) -> Any:
        """LayerNorm, in place."""
        state -= state.mean(axis=1, keepdims=True)
        spread = np.einsum("ij,ij->i", state, state) / np.float32(self.dimension)
        state *= (1.0 / np.sqrt(spread + np.float32(self._shape.epsilon)))[:, None]
        state *= norm.weight
        state += norm.bias
        return state

    def _pooled(self, state: Any, lengths: Sequence[int]) -> Any:
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        pooled = state[starts] if self._shape.pooling == "cls" else np.add.reduceat(state, starts, axis=0)
        return pooled / np.sqrt(np.einsum("ij,ij->i", pooled, pooled))[:, None]


def batches(lengths: Sequence[int], most: int = BATCH) -> Iterator[list[int]]:
    """Which texts are computed together: the short ones first, up to `most` word pieces at a time."""
    batch: list[int] = []
    size = 0
    for at in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and size + lengths[at] > most:
            yield batch
            batch, size = [], 0
        batch.append(at)
        size += lengths[at]
    if batch:
        yield batch


def _runs(lengths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """First row, number of texts and length of each run of texts that are equally long."""
    at = 0
    for length, group in groupby(lengths):
        count = sum(1 for _ in group)
        yield at, count, length
        at += count * length


def _times(state: Any, dense: _Dense) -> Any:
    found = state @ dense.weight.T
    found += dense.bias
    return found


def _gelu(wide: Any) -> None:
    """GELU in place, in the form with tanh, written with exp: x / (1 + exp(-2 u)); block by block in the cache."""
    scratch = np.empty((_ROWS, wide.shape[1]), np.float32)
    for at in range(0, len(wide), _ROWS):
        block = wide[at : at + _ROWS]
        part = scratch[: len(block)]
        np.multiply(block, block, out=part)
        part *= _CUBE
        part += np.float32(1.0)
        part *= block
        part *= _GELU
        np.minimum(part, np.float32(80.0), out=part)
        np.exp(part, out=part)
        part += np.float32(1.0)
        block /= part


def shape_of(config: Mapping[str, Any], pooling: Mapping[str, Any], sentence: Mapping[str, Any]) -> Shape:
    """From config.json, 1_Pooling/config.json and sentence_bert_config.json. Raises EmbeddingError for other models."""
    kind = config.get("model_type", "bert")
    if kind != "bert":
        raise EmbeddingError(f"config.json: the model is of type {str(kind)[:40]!r}; only bert can be computed")
    if config.get("hidden_act", "gelu") not in {"gelu", "gelu_new", "gelu_pytorch_tanh"}:
        raise EmbeddingError(
            f"config.json: hidden_act {str(config['hidden_act'])[:40]!r} cannot be computed; only gelu"
        )
    try:
        return Shape(
            heads=int(config["num_attention_heads"]),
            layers=int(config["num_hidden_layers"]),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
            longest=max(3, int(sentence.get("max_seq_length") or config.get("max_position_embeddings", 512))),
            pooling="cls" if pooling.get("pooling_mode_cls_token") else "mean",
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EmbeddingError(f"config.json does not describe a BERT model: {type(error).__name__} {error}") from None
