"""What an agent says on its card that it can do."""

from pydantic import Field

from hector.config.base import Names, Section


class Skill(Section):
    """One entry of the agent card."""

    id: str = Field(min_length=1, description="Identifier within the card.")
    name: str = Field("", description="Short title. Left out: the id.")
    description: str = Field("", description="What the agent can do.")
    tags: Names = Field((), description="Key words.")
    examples: tuple[str, ...] = Field((), description="Sample requests.")
