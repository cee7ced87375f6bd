"""Hector: an AI agent runtime. One executable, one YAML file."""

__version__ = "0.1.0"
