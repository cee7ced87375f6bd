"""What goes wrong between a document and an answer.

HectorError
  RagError
    Unreadable                 this document cannot be read: it is reported with the reason and skipped
    Gone                       it is not there any more
    Unsettled                  it changes while it is read: retryable; what is known of it stays
    SourceError                the source as a whole does not answer: retryable
      SourceRefused            it answers that it will not, or may not be asked: waiting does not mend it
    EmbeddingError             the embedder refuses
      EmbeddingUnavailable     it does not answer: retryable
    VectorStoreError           the index or vector store refuses, or does not fit
      VectorStoreUnavailable   it does not answer: retryable
    SearchError                nothing can be found at all
"""

from hector.core.errors import HectorError


class RagError(HectorError):
    """Of retrieval."""

    code = "rag_error"


class Unreadable(RagError):  # noqa: N818
    """One document; the text is the reason, for a person."""

    code = "unreadable"


class Gone(RagError):  # noqa: N818
    """One item vanished between listing and reading."""

    code = "gone"


class Unsettled(RagError):  # noqa: N818
    """One item is being written: what is known of it stays, and it is worth another look in a few seconds."""

    code, retryable = "unsettled", True


class SourceError(RagError):
    """The source; its documents stay as they are."""

    code = "source"
    retryable = True


class SourceRefused(SourceError):  # noqa: N818
    """The source refuses access, or the egress policy does: somebody has to change something."""

    code, retryable = "source_refused", False


class EmbeddingError(RagError):
    """The embedder refuses, or answers something else than vectors of the right size."""

    code = "embedding"


class EmbeddingUnavailable(EmbeddingError):  # noqa: N818
    """The embedder does not answer at the moment."""

    code, retryable = "embedding_unavailable", True


class VectorStoreError(RagError):
    """The index or the vector store refuses, or does not fit."""

    code = "vector_store"


class VectorStoreUnavailable(VectorStoreError):  # noqa: N818
    """The vector store does not answer at the moment."""

    code, retryable = "vector_store_unavailable", True


class SearchError(RagError):
    """All of it."""

    code = "search"
