"""Identifiers: random, URL-safe, cheap."""

import os
import re
from typing import Final

CONFIG_ID: Final = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")
"""Ids of agents, models and tools: usable in URLs and as function names of every provider."""


def new_id() -> str:
    """32 hexadecimal digits, 128 random bits, laid out as a UUID so that clients may parse it as one."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
