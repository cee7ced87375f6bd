"""Hector from Python."""
