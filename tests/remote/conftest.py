"""Agents elsewhere."""

from tests.together.conftest import company

__all__ = ("company",)
