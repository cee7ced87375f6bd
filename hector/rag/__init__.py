"""Retrieval: documents from where they are to passages that answer a question."""
