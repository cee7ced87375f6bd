"""Embedders: one class per provider, told apart by `provider`."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field

from hector.config.base import Address, Duration, Section
from hector.config.environment import Environment
from hector.config.llmbase import Retry
from hector.config.tagged import ByTag

Dimension: TypeAlias = Annotated[int, Field(gt=0, le=16384)]


class EmbedderBase(Section):
    """What all embedders have in common."""

    query_prefix: str = Field(
        "", description='Put before questions, for models that were trained so, as in "search_query: ".'
    )
    document_prefix: str = Field(
        "", description='Put before pieces of documents, for models that were trained so, as in "search_document: ".'
    )


class BuiltinEmbedder(EmbedderBase):
    """all-MiniLM-L6-v2, which Hector computes itself, or a model of the same kind from a folder."""

    provider: Literal["builtin"] = Field("builtin", description="Computed on this machine by Hector itself.")
    model: str = Field(
        "", description="Name to show and to keep beside the vectors. Left out: that of the folder's model."
    )
    model_dir: str | None = Field(
        None,
        description="Folder of a BERT model (model.safetensors, vocab.txt, config.json), relative to the configuration "
        "file. Left out: HECTOR_MODEL_DIR, then a folder hector-model beside the executable, then the one within.",
    )
    batch_size: int = Field(32, ge=1, le=1024, description="Most texts of one batch.")
    workers: int = Field(1, ge=1, le=64, description="Processes that compute; each takes one processor and its memory.")
    idle: Duration = Field(
        120.0, gt=0, description="How long a process without work is kept; then its memory is given back."
    )
    timeout: Duration = Field(
        120.0, gt=0, description="Longest wait for one batch; then its process is ended and started again."
    )


class RemoteEmbedder(EmbedderBase):
    """What all embedders that are reached over the network have in common."""

    timeout: Duration = Field(30.0, gt=0, description="Longest silence of the server.")
    connect_timeout: Duration = Field(10.0, gt=0, description="Longest wait for a connection.")
    headers: dict[str, str] = Field({}, description="Extra HTTP headers for every call.")
    proxy: Address | None = Field(
        None,
        description="HTTP proxy, as http://user:password@host:port. Left out: HTTPS_PROXY, HTTP_PROXY, NO_PROXY count.",
    )
    ca_bundle: str | None = Field(
        None,
        description="File with the certificates to trust, relative to the configuration file. Left out: the usual.",
    )
    retry: Retry = Field(
        default_factory=Retry.model_construct, description="What to do when a call fails for a reason that may pass."
    )
    dimension: Dimension | None = Field(
        None,
        description="How many numbers a vector has; any other number is an error. Left out: as the model is known to "
        "have, or as it turns out.",
    )
    output_dimension: Dimension | None = Field(
        None, description="Ask for vectors cut to this length, for models that can. Left out: their full length."
    )


class OpenAiEmbedder(RemoteEmbedder):
    """OpenAI and everything that speaks its wire format."""

    provider: Literal["openai"] = Field("openai", description="OpenAI or a server that speaks the same wire format.")
    model: str = Field("text-embedding-3-small", min_length=1, description="Model id, as the provider writes it.")
    api_key: str = Field("", repr=False, description="Key; left out: OPENAI_API_KEY from the environment.")
    base_url: Address = Field(
        "https://api.openai.com/v1",
        description="Address; left out: OPENAI_BASE_URL, then OpenAI's. /embeddings is put behind it.",
    )
    batch_size: int = Field(100, ge=1, le=2048, description="Most texts of one call.")
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="How vectors travel; base64 is half as long. Left out: as the server likes, which is float."
    )
    user: str = Field("", description="Who is behind the calls, as OpenAI's abuse watch is told. Left out: not told.")


class OllamaEmbedder(RemoteEmbedder):
    """A model served by Ollama."""

    provider: Literal["ollama"] = Field("ollama", description="A local or remote Ollama server.")
    model: str = Field("nomic-embed-text", min_length=1, description="Model id, as `ollama list` shows it.")
    api_key: str = Field("", repr=False, description="Sent as a bearer token, for Ollama behind a gateway.")
    base_url: Address = Field(
        "http://localhost:11434",
        description="Address of Ollama; left out: OLLAMA_BASE_URL, then OLLAMA_HOST, then localhost.",
    )
    batch_size: int = Field(100, ge=1, le=2048, description="Most texts of one call.")
    keep_alive: str = Field("5m", description="How long Ollama keeps the model in memory after a call.")


class CohereEmbedder(RemoteEmbedder):
    """Cohere."""

    provider: Literal["cohere"] = Field("cohere", description="Cohere's API.")
    model: str = Field("embed-english-v3.0", min_length=1, description="Model id, as the provider writes it.")
    api_key: str = Field("", repr=False, description="Key; left out: COHERE_API_KEY from the environment.")
    base_url: Address = Field(
        "https://api.cohere.com", description="Address, without version; /v2/embed is put behind it."
    )
    batch_size: int = Field(96, ge=1, le=96, description="Most texts of one call.")
    input_type: Literal["search_document", "search_query", "classification", "clustering"] = Field(
        "search_document",
        description="What vectors of documents are for; questions are search_query with the first two, else the same.",
    )
    truncate: Literal["NONE", "START", "END"] = Field(
        "END", description="What is left out of a text that is too long; NONE makes it an error."
    )


class GeminiEmbedder(RemoteEmbedder):
    """Google Gemini."""

    provider: Literal["gemini"] = Field("gemini", description="Google's Gemini API.")
    model: str = Field("gemini-embedding-001", min_length=1, description="Model id, as the provider writes it.")
    api_key: str = Field(
        "", repr=False, description="Key; left out: GEMINI_API_KEY, then GOOGLE_API_KEY from the environment."
    )
    base_url: Address = Field(
        "https://generativelanguage.googleapis.com", description="Address of the API, without version."
    )
    api_version: str = Field("v1beta", min_length=1, description="Version in the path of the API.")
    batch_size: int = Field(100, ge=1, le=100, description="Most texts of one call.")


CLASSES: Final[Mapping[str, Callable[[], type[EmbedderBase]]]] = {
    "builtin": lambda: BuiltinEmbedder,
    "openai": lambda: OpenAiEmbedder,
    "ollama": lambda: OllamaEmbedder,
    "cohere": lambda: CohereEmbedder,
    "gemini": lambda: GeminiEmbedder,
}
"""By `provider`."""

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "openai": ("OPENAI_API_KEY",),
    "cohere": ("COHERE_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}
"""Variables, the first that is set wins."""
_WANT_KEY: Final[Mapping[str, str]] = {
    "openai": "https://api.openai.com/v1",
    "cohere": "https://api.cohere.com",
    "gemini": "https://generativelanguage.googleapis.com",
}
"""Addresses at which there is nothing without a key; other addresses may be open servers."""
_SIGNS: Final = (
    ("ollama", r":11434", r"[^:/]+:[^:/]+$|nomic-embed"),
    ("openai", r"openai\.(com|azure\.com)", r"text-embedding-(3|ada)"),
    ("cohere", r"cohere\.", r"embed-(english|multilingual|v\d)"),
    ("gemini", r"generativelanguage\.googleapis\.com", r"(models/)?(gemini-embedding|text-embedding-00)"),
)
_BUILT_IN: Final = r"(sentence-transformers/)?all-minilm-l6-v2$"


def guess(embedder: Mapping[str, Any]) -> str:
    """The provider of an embedder that names none: by its address, then by its model; builtin where it says nothing.

    An unknown address is taken for a server that speaks OpenAI's format, an unknown model for one of Ollama.
    """
    if embedder.get("model_dir"):
        return "builtin"
    address, model = str(embedder.get("base_url") or ""), str(embedder.get("model") or "")
    for provider, hosts, models in _SIGNS:
        if re.search(hosts, address) or (not address and re.match(models, model)):
            return provider
    if address:
        return "openai"
    return "ollama" if model and not re.match(_BUILT_IN, model, re.IGNORECASE) else "builtin"


def complete(embedder: dict[str, Any], environment: Environment) -> None:
    """Put in what may be left out: provider, key and address."""
    from hector.config.providers import BY_NAME, address_of  # noqa: PLC0415 - for the first of its kind

    provider = embedder.get("provider") or guess(embedder)
    embedder["provider"] = provider.strip().lower() if isinstance(provider, str) else provider
    if isinstance(key := embedder.get("api_key"), str):
        embedder["api_key"] = key.strip()  # secrets that are mounted as files often end in a line break
    if not embedder.get("api_key") and (key := environment.first(_KEYS.get(str(embedder["provider"]), ()))):
        embedder["api_key"] = key
    known = BY_NAME.get(str(embedder["provider"]))
    if known and known.addresses and not embedder.get("base_url") and (address := address_of(known, environment)):
        embedder["base_url"] = address


def lacks_key(embedder: Mapping[str, Any]) -> tuple[str, ...]:
    """The variables that could hold the key, if the provider wants one at this address and there is none."""
    provider = str(embedder.get("provider"))
    if provider not in _WANT_KEY or embedder.get("api_key"):
        return ()
    address = str(embedder.get("base_url") or _WANT_KEY[provider]).rstrip("/")
    return _KEYS[provider] if address == _WANT_KEY[provider] else ()


if TYPE_CHECKING:
    Embedder: TypeAlias = BuiltinEmbedder | OpenAiEmbedder | OllamaEmbedder | CohereEmbedder | GeminiEmbedder
else:
    Embedder = Annotated[EmbedderBase, ByTag("provider", CLASSES, guess)]
