"""The text of documents, with the place of each part. Runs in processes of its own (`pool`): documents are hostile."""

from hector.rag.extract.limits import Limits
from hector.rag.extract.reading import read

__all__ = ["Limits", "read"]
