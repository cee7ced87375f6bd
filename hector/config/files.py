"""What the file tools may do."""

from pydantic import Field

from hector.config.base import Names, Section, Size


class Files(Section):
    """What the file tools may do in the folder that they work in."""

    roots: Names = Field((), description="Further folders that they may use; paths into them are written from `/`.")
    read_only: bool = Field(False, description="Nothing is changed; tools that change files are not offered.")
    max_read: Size = Field(10 * 2**20, description="Largest file that is read.")
    max_write: Size = Field(2**20, description="Largest text that one call writes.")
    allow: Names = Field(
        (),
        description="Names or paths, with * and ?, that are shown although they look like secrets, such as *.pem.",
    )
    deny: Names = Field((), description="Names or paths, with * and ?, that are never shown nor changed.")
    hard_links: bool = Field(
        False, description="Use files that have other names, too, which may lie outside of the folder."
    )
    undo: str = Field(
        ".hector/undo", description="Folder that keeps what files were before changes. Empty: changes cannot be undone."
    )
