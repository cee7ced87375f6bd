"""Where the documents of a store come from: one class per kind, told apart by `type`."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from hector.config.base import CollectionName, Duration, Names, Section, complaint
from hector.config.sourcebase import Files, SourceBase
from hector.config.tagged import ByTag


class DirectorySource(Files):
    """A folder of this machine with all that is below."""

    local: ClassVar[bool] = True

    type: Literal["directory"] = Field("directory", description="Kind of source.")
    path: str = Field(
        ".", min_length=1, description="The folder, from the one that the server runs in. Links in it are not followed."
    )
    ignore_files: bool = Field(
        True, description="Whether .gitignore, .ignore and .hectorignore in it leave out what they list."
    )


class SqlTable(Section):
    """A table or view, each row of which is a document."""

    table: str = Field(min_length=1, description="Its name; schema.table where it needs one.")
    columns: Names = Field(
        min_length=1, description="What is read: one column's text, or `name: value` paragraphs of several."
    )
    id_column: str = Field("id", min_length=1, description="Column that tells rows apart; an index on it helps.")
    updated_column: str = Field(
        "",
        description="Column that changes with a row, such as its time of change. Left out: rows are compared by their "
        "content, which reads all of them each time.",
    )
    where_clause: str = Field("", description="Condition in SQL that rows have to meet.")
    metadata_columns: Names = Field((), description="Columns that searches can filter by.")


class Sql(Section):
    """Rows of a database as documents."""

    database: str = Field("", description="Which database: an id under `databases`.")
    dsn: str = Field(
        "", repr=False, description="Or its address: postgres://user:password@host/name, sqlite://path/to/file.db."
    )
    tables: tuple[SqlTable, ...] = Field((), description="Tables and views.")
    query: str = Field("", description="Or one SELECT, whose rows are the documents.")
    content_columns: Names = Field((), description="Columns of `query` that are read. Left out: all others.")
    id_column: str = Field("id", min_length=1, description="Column of `query` that tells rows apart.")
    updated_column: str = Field("", description="Column of `query` that changes with a row.")
    metadata_columns: Names = Field((), description="Columns of `query` that searches can filter by.")
    page_size: int = Field(500, ge=1, le=10_000, description="Rows that are held in memory at once.")
    timeout: Duration = Field(60.0, gt=0, description="Longest run of one statement.")

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if bool(self.database) == bool(self.dsn):
            what = "database and dsn are both given" if self.dsn else "no database is named"
            raise complaint(what, "database (an id under databases), or dsn, one of them")
        if bool(self.tables) == bool(self.query):
            what = "tables and query are both given" if self.query else "neither tables nor a query is given"
            raise complaint(what, "tables, or query, one of them")
        return self


class SqlSource(SourceBase):
    """Rows of a database."""

    type: Literal["sql"] = Field("sql", description="Kind of source.")
    sql: Sql = Field(description="Which rows.")


def _api() -> type[SourceBase]:
    from hector.config.sources_remote import ApiSource  # noqa: PLC0415 - loaded for the first block of its kind

    return ApiSource


def _blob() -> type[SourceBase]:
    from hector.config.sources_remote import BlobSource  # noqa: PLC0415 - loaded for the first block of its kind

    return BlobSource


def _git() -> type[SourceBase]:
    from hector.config.sources_remote import GitSource  # noqa: PLC0415 - loaded for the first block of its kind

    return GitSource


class CollectionSource(SourceBase):
    """A collection that another store, or somebody else, fills: it is searched, and nothing is read into it."""

    indexed: ClassVar[bool] = False

    type: Literal["collection"] = Field("collection", description="Kind of source.")
    collection: CollectionName = Field(min_length=1, description="Its name.")


TYPES: Final[Mapping[str, Callable[[], type[SourceBase]]]] = {
    "directory": lambda: DirectorySource,
    "sql": lambda: SqlSource,
    "api": _api,
    "blob": _blob,
    "git": _git,
    "collection": lambda: CollectionSource,
}
"""By `type`."""


def kind_of(block: Mapping[str, Any]) -> str:
    """The kind of a block that does not name it: the one that a key of it belongs to."""
    return next((kind for kind in TYPES if kind in block), "directory")


Source: TypeAlias = Annotated[SourceBase, ByTag("type", TYPES, kind_of)]
