"""Agents: async generators of what happens. Think, act, delegate."""
