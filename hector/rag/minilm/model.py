"""An embedding model, loaded: texts in, vectors out. For the process that computes."""

from collections.abc import Sequence

from hector.rag.errors import EmbeddingError
from hector.rag.minilm.files import ModelFiles
from hector.rag.minilm.network import Network, shape_of
from hector.rag.minilm.tensors import Tensors
from hector.rag.minilm.wordpiece import WordPieces, read_vocabulary, spelling_of


class Model:
    """Word pieces and network of one model. May be used by several threads."""

    def __init__(self, files: ModelFiles) -> None:
        """Raises EmbeddingError for files that are damaged or of another kind of model."""
        shape = shape_of(
            files.settings("config.json"),
            files.settings("1_Pooling/config.json"),
            files.settings("sentence_bert_config.json"),
        )
        vocabulary = read_vocabulary(files.read("vocab.txt"))
        self._pieces = WordPieces(vocabulary, spelling_of(files.settings("tokenizer_config.json")))
        self._network = Network(Tensors(files.view()), shape)
        if len(vocabulary) > self._network.words:
            raise EmbeddingError(f"vocab.txt has {len(vocabulary)} words, but the model only {self._network.words}")
        self.dimension = self._network.dimension

    def embed(self, texts: Sequence[str]) -> bytes:
        """The vectors of texts, one behind the other, as little-endian float32 of length 1."""
        found = self._network.embed([self.pieces(text) for text in texts])
        return bytes(found.astype("<f4", copy=False).tobytes())

    def pieces(self, text: str) -> list[int]:
        """The word pieces of a text that the model looks at."""
        return self._pieces.encode(text, self._network.longest)
