"""A model file on this machine."""

from typing import Literal

from pydantic import Field

from hector.config.base import Duration
from hector.config.llmbase import LlmBase


class LocalLlm(LlmBase):
    """A GGUF file, served by llama.cpp as a child process."""

    provider: Literal["local"] = Field("local", description="A GGUF file on this machine, run by llama.cpp.")
    model: str = Field("local", min_length=1, description="Name to report.")
    path: str = Field(
        "",
        description="The GGUF file, relative to the configuration file. Left out: HECTOR_MODEL_PATH, then any found.",
    )
    timeout: Duration = Field(300.0, description="Longest silence of the model; reading a long prompt counts.")
    context_size: int = Field(4096, ge=1, description="Context window in tokens.")
    threads: int = Field(0, ge=0, description="Threads to compute with; 0 means one per core.")
    host: str = Field("127.0.0.1", description="Interface on which the child process listens.")
    port: int = Field(0, ge=0, le=65535, description="Port of the child process; 0 means any free one.")
    startup_timeout: Duration = Field(120.0, description="Longest wait until the model is loaded.")
    executable: str | None = Field(
        None, description="The llama-server to run. Left out: from PATH, then hector[local]."
    )
