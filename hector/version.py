"""Which version this is. Nothing else, so that every layer may ask."""

__version__ = "0.1.0"
