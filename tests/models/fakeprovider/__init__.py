"""A stand-in for the model providers: one real port, every dialect, strict checks, scripted faults.

    async with fake_provider() as fake:
        fake.script(Turn(status=429, headers={"retry-after": "0"}), Turn(text="hello"))
        ...                                   # point base_url at fake.url
        assert not fake.refusals              # what a client did wrong

As a process: `python -m tests.models.fakeprovider --port 0`.
"""

from tests.models.fakeprovider.anthropic import AnthropicDialect
from tests.models.fakeprovider.dialect import BAD_KEY, USAGE, Dialect, Refusal, Seen
from tests.models.fakeprovider.embeddings import EmbeddingsDialect
from tests.models.fakeprovider.gemini import GeminiDialect
from tests.models.fakeprovider.ollama import OllamaDialect
from tests.models.fakeprovider.openai_chat import OpenAiChatDialect
from tests.models.fakeprovider.openai_responses import OpenAiResponsesDialect
from tests.models.fakeprovider.server import FakeProvider
from tests.models.fakeprovider.turn import Call, Turn

DIALECTS: tuple[type[Dialect], ...] = (
    AnthropicDialect,
    GeminiDialect,
    OpenAiChatDialect,
    OpenAiResponsesDialect,
    OllamaDialect,
    EmbeddingsDialect,
)
"""Every dialect. A further one is a module with such a class, named here."""

__all__ = ["BAD_KEY", "USAGE", "Call", "FakeProvider", "Refusal", "Seen", "Turn", "fake_provider"]


def fake_provider(port: int = 0) -> FakeProvider:
    """A server with all dialects; an async context manager."""
    return FakeProvider([dialect() for dialect in DIALECTS], port)
