"""What sources of documents have in common."""

from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import AfterValidator, Field

from hector.config.base import Names, Section, Size, complaint

EXCLUDED: Final = (".*", "node_modules", "__pycache__", "vendor", ".git")
"""What is left out where nobody says what else."""
LARGEST: Final = 10 * 2**20
"""Bytes of a document."""


def _patterns(value: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in value:
        if not pattern.strip("/ ") or pattern.startswith("!") or "\0" in pattern or ".." in pattern.split("/"):
            raise complaint(f"{pattern!r} is no pattern", "*.md, docs/**, **/drafts/**, node_modules")
    return value


Patterns: TypeAlias = Annotated[Names, AfterValidator(_patterns)]


class SourceBase(Section):
    """What all kinds of sources have in common."""

    indexed: ClassVar[bool] = True
    """Whether documents are read from it at all."""
    local: ClassVar[bool] = False
    """Whether it is made of files of this machine, which can be watched."""

    type: str = Field(description="Kind of source.")


class Files(SourceBase):
    """What sources that hold files let through."""

    include: Patterns = Field(
        (),
        description="Patterns of files, by their path within the source: *.md is any folder's, docs/* one folder's, "
        "docs/** everything below, **/drafts/** every folder of that name. Without wildcards: a folder or file of that "
        "name. Left out: everything that is not hidden, secret or binary.",
    )
    exclude: Patterns = Field(
        EXCLUDED,
        description="Patterns of files and folders that are left out, also where `include` names them. Replaces the "
        "list that stands here; hidden files and secrets stay out unless `include` names them as such.",
    )
    max_file_size: Size = Field(LARGEST, gt=0, description="Larger files are left out.")
