"""How documents are cut into chunks, and which MCP tools read some of them."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hector.config.base import Names, Section, complaint


def _strategy(value: object) -> object:
    return "semantic" if value == "sentence" else value


class Chunking(Section):
    """How documents are cut into chunks. All sizes are in characters."""

    strategy: Annotated[Literal["simple", "overlapping", "semantic"], BeforeValidator(_strategy)] = Field(
        "simple",
        description="simple: as many whole lines as fit, or words where a line is too long; overlapping: whole "
        "sentences, the last of which stand at the start of the next chunk again; semantic: along headings, "
        "paragraphs and sentences, with code and tables in one piece. `sentence` is taken for semantic.",
    )
    size: int = Field(1000, ge=20, le=100_000, description="How long a chunk becomes.")
    overlap: int = Field(
        0,
        ge=0,
        description="How much of the end of a chunk stands at the start of the next one again, in whole sentences or "
        "words. 0: none; with overlapping: a fifth of `size`.",
    )
    min_size: int = Field(
        100,
        ge=0,
        description="What is shorter than this is joined to what stands beside it; at most `size`, which it is where "
        "it is left out and `size` is smaller.",
    )
    max_size: int = Field(
        2000,
        ge=20,
        le=200_000,
        description="What no chunk exceeds: code and tables may be longer than `size`, up to this. At least `size`, "
        "which it is where it is left out and `size` is larger.",
    )
    preserve_words: bool = Field(
        True, description="Cut between lines, sentences and words. false: simple and overlapping cut exactly at `size`."
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        given = self.model_fields_set
        if self.overlap >= self.size:
            raise complaint(f"overlap {self.overlap} leaves nothing of a chunk of {self.size}", "less than `size`")
        if "min_size" in given and self.min_size > self.size:
            raise complaint(f"min_size {self.min_size} is more than size {self.size}", "0 up to `size`")
        if "max_size" in given and self.max_size < self.size:
            raise complaint(f"max_size {self.max_size} is less than size {self.size}", "`size` or more")
        return self


def _endings(value: tuple[str, ...]) -> tuple[str, ...]:
    endings = tuple(f".{ending.removeprefix('*').removeprefix('.').lower()}" for ending in value)
    if "." in endings:
        raise complaint("an ending is empty", "endings of file names, such as .pdf")
    return endings


def _tools(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise complaint("no tool is named", "names of tools of an MCP server that read documents")
    return value


class McpParsers(Section):
    """Tools of MCP servers that read documents, beside or before the readers that Hector has itself."""

    tool_names: Annotated[Names, AfterValidator(_tools)] = Field(
        description="Tools that read a document, in the order in which they are tried."
    )
    extensions: Annotated[Names, AfterValidator(_endings)] = Field(
        (".pdf", ".docx", ".pptx", ".xlsx"), description="Endings of the files that they are given."
    )
    priority: int = Field(
        8,
        ge=0,
        le=100,
        description="What has more reads first: readers for a format have 5, plain text has 1.",
    )
    prefer_native: bool = Field(False, description="Only give them what Hector cannot read itself.")
    path_prefix: str = Field(
        "", description="What stands for the source's folder in paths that they get, where they see it elsewhere."
    )
