"""The configuration of an app that was made without one."""

import json
from typing import Final

from hector.config.generate import DEFAULT_INSTRUCTION, DEFAULT_MODELS, DEMO
from hector.config.hosts import host_of, is_listed
from hector.config.llms import CLASSES
from hector.config.providers import PROVIDERS
from hector.config.tenancy import Policy

_TEXT: Final = """\
name: {name}
llms:
  default:
    provider: {provider}
    model: {model}
    api_key: ${{{variable}}}
agents:
  assistant:
    instruction: {instruction}
    tools: []
"""


def default_text(name: str, policy: Policy) -> str:
    """With a model whose key the operator has opened to apps, else with scripted answers that say how to go on."""
    environment = policy.visible()
    for provider in PROVIDERS:
        variable = next((key for key in provider.keys if environment.get(key)), None)
        if variable is not None and provider.name in DEFAULT_MODELS and _is_open(provider.name, policy):
            return _TEXT.format(
                name=json.dumps(name, ensure_ascii=False),
                provider=provider.name,
                model=DEFAULT_MODELS[provider.name],
                variable=variable,
                instruction=json.dumps(DEFAULT_INSTRUCTION),
            )
    return DEMO.read_text(encoding="utf-8")


def _is_open(provider: str, policy: Policy) -> bool:
    host = host_of(str(CLASSES[provider].model_fields["base_url"].default))
    return host is not None and is_listed(host, policy.tenants.hosts)
