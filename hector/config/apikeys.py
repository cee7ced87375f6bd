"""API keys that are written in the file."""

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from hector.config.base import Section, complaint
from hector.core.ids import CONFIG_ID

HASH: Final = r"^sha256:[0-9a-f]{64}$"


class ApiKey(Section):
    """A key that is written in the file, or its hash."""

    name: str = Field(
        min_length=1, max_length=100, description="What it is called in logs, and the user it stands for."
    )
    key: str | None = Field(None, min_length=16, description="The key itself, better as ${VARIABLE}.")
    hash: str | None = Field(None, pattern=HASH, description='Instead of the key: "sha256:" and its SHA-256 in hex.')
    role: Literal["admin", "operator", "app", "user"] = Field("user", description="What it may do.")
    app: str | None = Field(
        None, pattern=CONFIG_ID.pattern, description="App that it is for. Left out: the default one, or all for admins."
    )
    user: str | None = Field(None, min_length=1, max_length=256, description="User it stands for. Left out: its name.")

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        if (self.key is None) == (self.hash is None):
            raise complaint("an API key is given once", "either `key` or `hash`")
        return self
