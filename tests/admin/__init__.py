"""The Admin API, from its table of endpoints."""
