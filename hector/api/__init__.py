"""Hector from Python: agents, tools and callbacks in a program, over the same builders as the file."""
