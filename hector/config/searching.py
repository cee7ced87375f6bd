"""How a document store is searched."""

from typing import Literal

from pydantic import Field

from hector.config.base import Address, Duration, Section


class Reranker(Section):
    """A service that orders passages by how well they answer a question, in place of a language model."""

    provider: Literal["cohere"] = Field(
        "cohere", description="cohere: Cohere, or whatever takes its requests (Jina, vLLM, llama.cpp, Infinity, ...)."
    )
    model: str = Field("rerank-v3.5", description="Model, as the service names it.")
    api_key: str = Field("", repr=False, description="Key; left out: COHERE_API_KEY from the environment.")
    base_url: Address = Field(
        "https://api.cohere.com",
        description="Address; /v2/rerank is put behind it, unless it ends in /rerank already.",
    )
    timeout: Duration = Field(10.0, gt=0, description="Longest wait for its answer.")


class Search(Section):
    """How a document store is searched. Models that are named nowhere are the default ones of the app."""

    top_k: int = Field(10, ge=0, le=200, description="How many passages are found at most; 0 means the default, 10.")
    threshold: float = Field(
        0.0, ge=0, le=1, description="Least score of a passage, 0 for any; see the guide on how scores come about."
    )
    hybrid: bool = Field(
        True,
        description="Look for words as well as for meaning, and weigh both. false: for meaning alone, and for words "
        "only where there are no vectors.",
    )
    enable_hyde: bool = Field(False, description="Have a model write an answer, and look for passages like it.")
    hyde_llm: str = Field("", description="That model, an id under `llms`. Left out: the default one.")
    enable_multi_query: bool = Field(False, description="Have a model rephrase the question, and look for all forms.")
    multi_query_llm: str = Field("", description="That model, an id under `llms`. Left out: the default one.")
    multi_query_count: int = Field(3, ge=1, le=10, description="How many forms beside the question as it was asked.")
    enable_rerank: bool = Field(False, description="Have a model put the best passages in order.")
    rerank_llm: str = Field("", description="That model, an id under `llms`. Left out: the default one.")
    rerank_max_results: int = Field(20, ge=1, le=100, description="How many of the best passages it is shown.")
    reranker: Reranker | None = Field(
        None, description="A service that puts passages in order in place of a model. Left out: none."
    )
    timeout: Duration = Field(
        5.0, gt=0, description="How long vectors are waited for before the answer goes by words alone."
    )
    model_timeout: Duration = Field(
        20.0, gt=0, description="How long each answer of a model is waited for before it is done without."
    )

    @property
    def limit(self) -> int:
        """How many passages, where nobody says."""
        return self.top_k or 10


class AgentSearch(Section):
    """The tool with which an agent searches its document stores."""

    enabled: bool = Field(True, description="Give it the tool. false: include_context is all that it sees of them.")
    max_results: int | None = Field(
        None, ge=1, le=50, description="Passages, where the model names no number. Left out: top_k of its stores."
    )
