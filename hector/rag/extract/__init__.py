"""The text of documents, with the place of each part. Runs in processes of its own (`pool`): documents are hostile."""
