"""Tools that are functions: part of Hector, or registered from Python."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hector.config.files import Files
from hector.config.handlers import LOCAL_TOOLS
from hector.config.toolbase import ToolBase


class FunctionTool(ToolBase):
    """A handler that is part of Hector or was registered from Python."""

    type: Literal["function"] = Field("function", description="Kind of tool.")
    handler: str = Field("", description="Registered name of the function. Left out: the id of the entry.")
    parameters: dict[str, Any] = Field({}, description="Fixed arguments; the model neither sees nor changes them.")
    working_directory: str = Field(
        "", description="Folder of file tools, from the one that the server runs in. Left out: that one itself."
    )
    files: Files | None = Field(None, description="What file tools may do there.")

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        for key, value in (("working_directory", self.working_directory), ("files", self.files)):
            if value and self.handler not in LOCAL_TOOLS:
                said = {"message": f"{key!r} is for the file tools", "allowed": ", ".join(sorted(LOCAL_TOOLS))}
                raise PydanticCustomError("hector", "{message}; allowed: {allowed}", said)
        return self
