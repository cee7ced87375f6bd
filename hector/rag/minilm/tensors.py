"""Reads safetensors files: a header of JSON, then numbers. https://github.com/huggingface/safetensors

The file may come from anywhere: every offset is checked against its shape and the file, and nothing of it is run.
"""

import json
from math import prod
from typing import Any, Final

from hector.rag.errors import EmbeddingError
from hector.rag.numeric import np

_LONGEST_HEAD: Final = 100_000_000
_DTYPES: Final = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1", "U8": "<u1", "BOOL": "?",
}  # fmt: skip


class Tensors:
    """The tensors in one file; `data` is the file in memory or mapped. Raises EmbeddingError for a damaged one."""

    def __init__(self, data: Any) -> None:
        self._data = memoryview(data)
        length = int.from_bytes(self._data[:8], "little")
        if len(self._data) < 8 or length > min(len(self._data) - 8, _LONGEST_HEAD):
            raise EmbeddingError("model.safetensors is no safetensors file, or is cut off")
        try:
            head = json.loads(bytes(self._data[8 : 8 + length]))
        except (ValueError, RecursionError):
            head = None
        if not isinstance(head, dict):
            raise EmbeddingError("model.safetensors has no readable header")
        self._head: dict[str, Any] = {name: entry for name, entry in head.items() if name != "__metadata__"}
        self._start = 8 + length

    @property
    def names(self) -> list[str]:
        """Of all tensors."""
        return list(self._head)

    def array(self, name: str) -> Any:
        """One tensor; floats of all sizes but f8 and int8 as float32. Raises EmbeddingError, KeyError for no such."""
        raw = self.raw(name)
        if self._head[name]["dtype"] == "BF16":
            return (raw.astype(np.uint32) << 16).view(np.float32)
        return raw.astype(np.float32) if raw.dtype.kind == "f" else raw

    def raw(self, name: str) -> Any:
        """One tensor as it is stored, in place; bfloat16 as uint16."""
        entry = self._head[name]
        try:
            dtype = np.dtype(_DTYPES[entry["dtype"]])
            shape = tuple(int(size) for size in entry["shape"])
            first, last = (int(offset) for offset in entry["data_offsets"])
        except (KeyError, TypeError, ValueError):
            raise EmbeddingError(
                f"model.safetensors: the tensor {name[:200]!r} is of a kind that is not known"
            ) from None
        if min((0, first, *shape)) < 0 or last - first != prod(shape) * dtype.itemsize:
            raise EmbeddingError(f"model.safetensors: the tensor {name[:200]!r} has another size than its shape")
        if self._start + last > len(self._data):
            raise EmbeddingError("model.safetensors is cut off")
        return np.frombuffer(self._data[self._start + first : self._start + last], dtype).reshape(shape)
