"""From configuration to model."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from hector.config.llms import Llm
from hector.core.errors import ConfigError
from hector.models.registry import PROVIDERS, create


@pytest.mark.proves("standards.swap-provider")
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_every_provider_of_the_configuration_is_there(provider: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"provider": provider}
    if provider == "local":
        (tmp_path / "model.gguf").write_bytes(b"GGUF")
        settings |= {"path": str(tmp_path / "model.gguf"), "executable": sys.executable}
    if provider == "scripted":
        settings["rules"] = [{"text": "hi"}]
    model = create("main", TypeAdapter[Llm](Llm).validate_python(settings))
    await model.aclose()


def test_an_unknown_provider() -> None:
    class Odd:
        provider = "odd"

    with pytest.raises(ConfigError, match=r"llms\.main\.provider: 'odd' is unknown; allowed are anthropic, openai"):
        create("main", Odd())  # type: ignore[arg-type]


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "openai", "ollama"])
def test_a_provider_loads_only_itself(provider: str) -> None:
    """Start-up time is a feature: no other provider, no stock HTTP client."""
    code = (
        "import sys; from hector.config.llms import CLASSES; from hector.models.registry import create;"
        f"create('main', CLASSES[{provider!r}]()()); print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    loaded = set(done.stdout.split())
    assert not loaded & {"httpx", "h11", "anthropic", "openai", "google.genai"}
    others = {"anthropic", "gemini", "ollama"} - {provider}
    assert not loaded & {f"hector.models.{other}" for other in others}
    assert not loaded & {f"hector.config.llm_{other}" for other in others}
