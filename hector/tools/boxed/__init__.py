"""What runs between the server and a command: a small program of its own that confines the command and ends it.

It imports nothing but the standard library, so that it starts at once, also without site-packages.
"""
