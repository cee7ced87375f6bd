"""Models: one class per provider, told apart by `provider`."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from hector.config.base import Address, Duration, Section

Finish: TypeAlias = Literal["stop", "tool_calls", "length", "content_filter", "error"]


class Thinking(Section):
    """Reasoning before the answer. The presence of the block turns it on."""

    enabled: bool = Field(True, description="Ask the model to reason before it answers.")
    budget_tokens: int = Field(
        1024, ge=0, description="Most tokens to spend on reasoning, for models that take a number."
    )
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="How hard to reason, for models that take a level. Left out: derived from budget_tokens."
    )


class Retry(Section):
    """When a call fails for a reason that may pass (overload, rate limit, broken connection)."""

    max_attempts: int = Field(4, ge=1, le=20, description="Tries in all; 1 means no second try.")
    initial_delay: Duration = Field(0.5, description="Wait before the second try; doubled for each further one.")
    max_delay: Duration = Field(30.0, description="Longest wait between two tries, also when the provider names one.")


class LlmBase(Section):
    """What every provider understands."""

    temperature: float | None = Field(
        None, ge=0, le=2, description="Randomness of the answer. Left out: the provider's default."
    )
    max_tokens: int = Field(0, ge=0, description="Longest answer in tokens; 0 means the provider's default.")
    max_tool_output_length: int = Field(
        0, ge=0, description="Cut tool results to this many characters before the model sees them; 0 means no limit."
    )
    thinking: Thinking | None = Field(None, description="Reasoning before the answer. Left out: the model decides.")
    timeout: Duration = Field(
        120.0, description="Longest silence of the provider: time to the first and between bytes."
    )
    connect_timeout: Duration = Field(10.0, description="Longest wait for a connection.")
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
    parallel_tool_calls: bool | None = Field(
        None, description="Let the model ask for several tools at once. Left out: the provider's default."
    )


class AnthropicLlm(LlmBase):
    """Anthropic Messages."""

    provider: Literal["anthropic"] = Field("anthropic", description="Anthropic's Messages API.")
    model: str = Field("claude-sonnet-5-5", min_length=1, description="Model id, as the provider writes it.")
    api_key: str = Field("", repr=False, description="Key; left out: ANTHROPIC_API_KEY from the environment.")
    base_url: Address = Field(
        "https://api.anthropic.com",
        description="Address of the API; left out: ANTHROPIC_BASE_URL, then Anthropic's own.",
    )
    api_version: str = Field("2023-06-01", description="Value of the anthropic-version header.")
    cache: bool = Field(True, description="Mark the stable part of the prompt for the provider's prompt cache.")


class OpenAiLlm(LlmBase):
    """OpenAI and everything that speaks its wire formats, Azure included."""

    provider: Literal["openai"] = Field("openai", description="OpenAI or a server that speaks the same wire format.")
    model: str = Field("gpt-6.2-sol", min_length=1, description="Model id, as the provider writes it.")
    api_key: str = Field("", repr=False, description="Key; left out: OPENAI_API_KEY from the environment.")
    base_url: Address = Field(
        "https://api.openai.com/v1", description="Address of the API; left out: OPENAI_BASE_URL, then OpenAI's own."
    )
    api: Literal["auto", "responses", "chat"] = Field(
        "auto", description="Wire format. auto: responses at OpenAI itself, chat/completions anywhere else."
    )
    api_version: str | None = Field(
        None, description="Azure only: sent as the api-version parameter, and the key goes into an api-key header."
    )
    organization: str | None = Field(None, description="OpenAI organization id.")
    project: str | None = Field(None, description="OpenAI project id.")


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


class OllamaLlm(LlmBase):
    """A model served by Ollama."""

    provider: Literal["ollama"] = Field("ollama", description="A local or remote Ollama server.")
    model: str = Field(
        "", description="Model id, as `ollama list` shows it. Left out: the first one that the server has."
    )
    api_key: str = Field("", repr=False, description="Sent as a bearer token, for Ollama behind a gateway.")
    base_url: Address = Field(
        "http://localhost:11434",
        description="Address of Ollama; left out: OLLAMA_BASE_URL, then OLLAMA_HOST, then localhost.",
    )
    timeout: Duration = Field(300.0, description="Longest silence of the server; loading a model counts.")
    keep_alive: str = Field("5m", description="How long Ollama keeps the model in memory after a call.")
    context_size: int = Field(8192, ge=1, description="Context window in tokens that Ollama is asked for.")


class ScriptCall(Section):
    """A tool call in a script."""

    name: str = Field(min_length=1, description="Tool to call.")
    args: dict[str, Any] = Field({}, description="Its arguments; texts may use groups of the match.")


class ScriptError(Section):
    """A failure in a script."""

    status: int = Field(500, ge=400, le=599, description="HTTP status to fail with.")
    message: str = Field("scripted failure", description="Text of the failure.")
    retry_after: Duration | None = Field(None, description="What the failing provider says about the next try.")
    times: int | None = Field(
        None, ge=1, description="Fail this many times, then let the rule answer. Left out: fail always."
    )


class ScriptRule(Section):
    """If everything that is named matches, answer like this. A rule that names nothing always matches."""

    user: str | None = Field(None, description="Regular expression, searched in the last user text.")
    system: str | None = Field(None, description="Regular expression, searched in the system text.")
    tool_result: str | None = Field(None, description="Name of the tool whose result is the last message.")
    tool_result_matches: str | None = Field(None, description="Regular expression, searched in that tool's result.")
    turn: int | None = Field(None, ge=0, description="Which model call since the last user text, counted from 0.")
    text: str = Field("", description="Answer; \\1 or \\g<name> stand for groups of the match.")
    thinking: str = Field("", description="Reasoning that is shown before the answer.")
    tool_calls: tuple[ScriptCall, ...] = Field((), description="Tools to call.")
    delay: Duration = Field(0.0, description="Wait before the answer begins.")
    pace: Duration = Field(0.0, description="Wait between two words of the answer.")
    error: ScriptError | None = Field(None, description="Fail instead of answering.")
    finish: Finish | None = Field(None, description="Reason for the end. Left out: stop, or tool_calls.")


class ScriptedLlm(LlmBase):
    """Answers from rules, without any language model: for demonstrations and for tests of configurations."""

    provider: Literal["scripted"] = Field("scripted", description="Rules instead of a language model.")
    model: str = Field("scripted", min_length=1, description="Name to report.")
    rules: tuple[ScriptRule, ...] = Field((), description="Tried in order; the first that matches answers.")


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


_EveryLlm: TypeAlias = Annotated[
    AnthropicLlm | OpenAiLlm | GeminiLlm | OllamaLlm | ScriptedLlm | LocalLlm, Field(discriminator="provider")
]
CLASSES: Final[Mapping[str, type[LlmBase]]] = {
    "anthropic": AnthropicLlm,
    "openai": OpenAiLlm,
    "gemini": GeminiLlm,
    "ollama": OllamaLlm,
    "scripted": ScriptedLlm,
    "local": LocalLlm,
}
"""By `provider`."""


class _ByProvider:
    """Checks a block by the class that its provider names.

    The union alone would have pydantic build the checks of all providers before the first one: 2 ms each, most of what
    a small file takes to check.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(TypeAdapter(_EveryLlm).core_schema)

    @staticmethod
    def _check(value: Any) -> Any:
        chosen = CLASSES.get(str(value.get("provider"))) if isinstance(value, dict) else None
        return chosen.model_validate(value) if chosen else TypeAdapter(_EveryLlm).validate_python(value)


Llm: TypeAlias = Annotated[_EveryLlm, _ByProvider()]
