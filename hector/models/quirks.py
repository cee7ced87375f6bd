"""What a model's name and a server's host say about the parameters it takes.

Heuristics on prefixes and version numbers, never a list of models: an unknown name gets the plain treatment, and a 400
that names a parameter is answered by one more try without it (`Wire.droppable`). Sources: the providers' public
documentation as of November 2026.
"""

from typing import Final, Literal, Protocol, TypeAlias

from hector.core.pattern import pattern

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
TokenParameter: TypeAlias = Literal["max_tokens", "max_completion_tokens"]
Version: TypeAlias = tuple[int, int]

EFFORTS: Final[tuple[Effort, ...]] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_GPT: Final = pattern(r"^gpt-(\d+)(?:\.(\d+))?(?![\da-z])")
_O_SERIES: Final = pattern(r"^o\d")
_PLAIN: Final = pattern(r"^(gpt-[34]|chatgpt-|davinci|babbage|gpt-[5-9][\d.]*-chat)")


class ThinkingSetting(Protocol):
    """The `thinking` block of a configured model."""

    @property
    def enabled(self) -> bool:
        """Whether the model shall reason."""

    @property
    def budget_tokens(self) -> int:
        """How many tokens it may spend on that."""

    @property
    def effort(self) -> str | None:
        """The same in words; wins over the budget."""


def family(model: str) -> str:
    """The name without the parts that gateways put around it: `openai/gpt-5.4` and `ft:gpt-5.4:acme` are `gpt-5.4`."""
    return model.lower().rpartition("/")[2].removeprefix("ft:").partition(":")[0]


def gpt_version(model: str) -> Version | None:
    """`(5, 4)` for gpt-5.4-mini; None for what is not a GPT with a plain number (gpt-4o, gpt-oss, llama)."""
    found = _GPT.match(family(model))
    return (int(found[1]), int(found[2] or 0)) if found else None


def is_openai_host(host: str) -> bool:
    """OpenAI itself, its regional names, or Azure: the servers that enforce OpenAI's own rules."""
    return host == "api.openai.com" or host.endswith((".api.openai.com", ".openai.azure.com"))


def speaks_responses(host: str, path: str) -> bool:
    """Whether `api: auto` means Responses: OpenAI itself, or Azure by its version 1 path."""
    if host.endswith(".openai.azure.com"):
        return path.rstrip("/").endswith("/openai/v1")
    return is_openai_host(host)


def never_reasons(model: str) -> bool:
    """Models that are known to have no reasoning at all: GPT up to 4, and the `-chat` ones after it."""
    return bool(_PLAIN.match(family(model)))


def is_reasoning(model: str) -> bool:
    """OpenAI's reasoning models: the o series and GPT from 5 on, but for the `-chat` ones."""
    name = family(model)
    version = gpt_version(model)
    return not never_reasons(model) and (bool(_O_SERIES.match(name)) or (version is not None and version >= (5, 0)))


def token_parameter(host: str, model: str) -> TokenParameter:
    """The name of the output limit in chat/completions; compatible servers know only the old one for sure."""
    return "max_completion_tokens" if is_openai_host(host) and is_reasoning(model) else "max_tokens"


def takes_sampling(model: str, effort: Effort | None) -> bool:
    """Whether temperature may be sent: reasoning models refuse it unless their reasoning is off."""
    return not is_reasoning(model) or effort == "none"


def effort_of(model: str, thinking: ThinkingSetting | None) -> Effort | None:
    """The `reasoning_effort` to send, or None to leave it out.

    A named effort wins over the budget in tokens. Models that are known not to reason get none; what a model does not
    offer is lowered (or raised) to the nearest that it does.
    """
    if thinking is None or never_reasons(model):
        return None
    if not thinking.enabled:
        return _lowest(model) if is_reasoning(model) else "none"
    wished = next((effort for effort in EFFORTS if effort == thinking.effort), None)
    return _at_most(_highest(model), wished or budget_effort(thinking.budget_tokens))


def budget_effort(tokens: int) -> Effort:
    """Tokens for thinking in words."""
    if tokens <= 2048:
        return "low"
    if tokens <= 8192:
        return "medium"
    return "high" if tokens <= 24576 else "xhigh"


def _lowest(model: str) -> Effort:
    """Off, or as near to it as the model goes."""
    version = gpt_version(model)
    if version is None:
        return "low"
    return "none" if version >= (5, 1) else "minimal"


def _highest(model: str) -> Effort:
    version = gpt_version(model)
    if version is None or version < (5, 2):
        return "high"
    return "max" if version >= (5, 6) else "xhigh"


def _at_most(limit: Effort, wished: Effort) -> Effort:
    return min(limit, wished, key=EFFORTS.index)


def tools_exclude_reasoning(model: str) -> bool:
    """chat/completions at OpenAI takes function tools from gpt-5.4 on only together with `reasoning_effort: none`."""
    version = gpt_version(model)
    return version is not None and version >= (5, 4) and is_reasoning(model)
