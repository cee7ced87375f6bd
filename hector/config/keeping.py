"""What is kept beside conversations: artifacts."""

from pydantic import Field

from hector.config.base import Section, Size


class Artifacts(Section):
    """Bounds on the artifacts that agents keep."""

    max_size: Size = Field(10 * 2**20, description="Largest artifact; 0 means no limit.")
    max_total: Size = Field(
        2**30, description="What all versions of all artifacts of one user may take; 0 means no limit."
    )
