"""What a client may send before it is known."""

from typing import Final

from pydantic import Field

from hector.config.base import Duration, Section, Size

ANY: Final = "*"
"""Every origin."""


class Heads(Section):
    """Bounds on requests before anything is known of them."""

    max_bytes: Size = Field(64 * 2**10, ge=1024, le=2**20, description="Largest request line with all headers.")
    max_count: int = Field(100, ge=10, le=1000, description="Most headers.")
    timeout: Duration = Field(30.0, gt=0, description="How long a client may take to send them.")
