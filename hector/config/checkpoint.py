"""Checkpoints: how often the progress of a run is written down, and what happens to runs that were cut off.

What is about to take effect outside, and every end, is always written at once: no setting turns that off.
"""

from typing import Literal

from pydantic import Field

from hector.config.base import Duration, Section


class Recovery(Section):
    """Runs that were cut off because their process died."""

    auto_resume: bool = Field(
        True, description="Go on with them by itself. Otherwise they become dead letters, to be requeued by hand."
    )
    auto_resume_hitl: bool = Field(
        True, description="The same for runs that a person's decision had set going; counts only with auto_resume."
    )
    timeout: Duration = Field(
        24 * 3600.0, description="Those cut off longer ago than this become dead letters; 0 means no limit."
    )


class Checkpoint(Section):
    """When the steps of a run are written down. What was not written is done again after a crash."""

    enabled: bool = Field(
        True, description="Write between the ends. Otherwise only before tools take effect, and at the end."
    )
    strategy: Literal["event", "interval", "hybrid"] = Field(
        "hybrid", description="event: after each model turn; interval: every `interval` turns; hybrid: both."
    )
    interval: int = Field(0, ge=0, description="Model turns, with their tools, from write to write; 0 means none.")
    after_tools: bool = Field(True, description="Write the results of tools as soon as they are there.")
    before_llm: bool = Field(True, description="Write before each further model call.")
    recovery: Recovery = Field(default_factory=Recovery.model_construct, description="Runs that were cut off.")
