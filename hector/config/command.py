"""The command tool: which commands a model may run, where, and how far they are kept from everything else."""

from typing import Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hector.config.base import Duration, Names, Section, Size
from hector.config.toolbase import ToolBase

Level: TypeAlias = Literal["none", "process", "landlock", "namespaces"]
LEVELS: Final[tuple[Level, ...]] = ("none", "process", "landlock", "namespaces")
"""Each holds what the ones before it hold."""


def _wrong(message: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("hector", "{message}; allowed: {allowed}", {"message": message, "allowed": allowed})


class Sandbox(Section):
    """How far commands are kept from the rest of the machine."""

    level: Literal["auto", "none", "process", "landlock", "namespaces"] = Field(
        "auto", description="How far: see docs/guide/commands.md. auto: as far as this machine can."
    )
    require: Level = Field(
        "none", description="Refuse to start where this level cannot be had, rather than to run with less."
    )
    network: bool = Field(False, description="Let commands use the network; below landlock nothing keeps them from it.")
    read: Names = Field((), description="Folders and files that commands may read, besides the system's own programs.")
    write: Names = Field((), description="Folders that they may write to, besides working_directory.")
    hide: Names = Field(
        (), description="What they must not see of working_directory, besides .hector and .env, relative to it."
    )

    @model_validator(mode="after")
    def _can_be_had(self) -> Self:
        if self.level != "auto" and LEVELS.index(self.level) < LEVELS.index(self.require):
            raise _wrong(f"level {self.level} never holds what require: {self.require} asks for", "level: auto")
        return self


class CommandLimits(Section):
    """What one command may use. 0 means no limit."""

    memory: Size = Field(2 * 2**30, description="Memory of each process.")
    processes: int = Field(128, ge=0, description="Processes and threads at once.")
    file_size: Size = Field(256 * 2**20, description="Longest file that it writes.")
    open_files: int = Field(1024, ge=0, description="Open files of each process.")
    output: Size = Field(
        10 * 2**20, ge=1024, description="Bytes of output, after which it is ended; max_output is what the model sees."
    )


class CommandTool(ToolBase):
    """Runs commands: without a shell, one at a time, unless `shell` is on."""

    type: Literal["command"] = Field("command", description="Kind of tool.")
    timeout: Duration = Field(30.0, description="Longest run of one command; 0 means no limit.")
    max_output: int = Field(
        30_000, ge=0, description="Characters of output that the model sees, from its beginning and its end; 0: all."
    )
    allowed_commands: Names = Field(
        (), description="Names or paths of programs. With any, nothing else runs, and nothing that runs other programs."
    )
    denied_commands: Names = Field(
        (), description="Names of programs that never run, besides those that are always denied, such as rm and sudo."
    )
    deny_by_default: bool = Field(False, description="Run only allowed_commands, also when there are none.")
    shell: bool = Field(
        False, description="Take several commands at once, with |, &&, ;, > and the like. Not with allowed_commands."
    )
    working_directory: str = Field(
        "./", min_length=1, description="Folder of the commands, relative to that of the server. Made if it is missing."
    )
    environment: dict[str, str] = Field(
        {}, description="Variables for the commands. Of the server's own they see language and time zone only."
    )
    sandbox: Sandbox = Field(
        default_factory=Sandbox.model_construct, description="How far commands are kept from everything else."
    )
    limits: CommandLimits = Field(
        default_factory=CommandLimits.model_construct, description="What one command may use."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.shell and self.listed:
            raise _wrong(
                "a list of allowed commands cannot be held through a shell", "either shell, or allowed_commands"
            )
        both = sorted(set(self.allowed_commands) & set(self.denied_commands))
        if both:
            raise _wrong(f"{both[0]} is allowed and denied", "each command in one of the two lists")
        return self

    @property
    def listed(self) -> bool:
        """Whether only the allowed commands run."""
        return bool(self.allowed_commands) or self.deny_by_default
