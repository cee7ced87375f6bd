"""How long what is over is kept."""

from pydantic import Field

from hector.config.base import Duration, Section

DAY = 86_400.0


class Retention(Section):
    """How long what is over is kept; 0 keeps it for ever. What runs or waits for somebody always stays."""

    sessions: Duration = Field(
        90 * DAY, description="Conversations, with all that belongs to them, since their last use."
    )
    jobs: Duration = Field(7 * DAY, description="Finished jobs, since their end; the tasks that they worked on stay.")
    usage: Duration = Field(400 * DAY, description="What was used, by day.")
    dead_letters: Duration = Field(30 * DAY, description="Jobs that were given up, since then.")
    audit: Duration = Field(0.0, description="Rows of the audit log, which stays verifiable behind the cut.")
