"""Tasks: accept a message durably, run it, let anyone follow it."""
