"""A model of Google."""

from typing import Literal

from pydantic import Field

from hector.config.base import Address
from hector.config.llmbase import LlmBase


class GeminiLlm(LlmBase):
    """Google Gemini."""

    provider: Literal["gemini"] = Field("gemini", description="Google's Gemini API.")
    model: str = Field("gemini-3.8-flash", min_length=1, description="Model id, as the provider writes it.")
    api_key: str = Field(
        "", repr=False, description="Key; left out: GEMINI_API_KEY, then GOOGLE_API_KEY from the environment."
    )
    base_url: Address = Field(
        "https://generativelanguage.googleapis.com", description="Address of the API, without version."
    )
    api_version: str = Field("v1beta", description="Version in the path of the API.")
