"""What stands for the arguments of a call where they are to be compared, or must not be shown."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def args_hash(args: Mapping[str, Any]) -> str:
    """SHA-256 of the arguments as canonical JSON, in hexadecimal: what an approval is bound to."""
    text = json.dumps(args, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
