"""The configuration of an app that was made without one."""

import json
from typing import Final

from hector.config.generate import DEFAULT_INSTRUCTION, DEFAULT_MODELS
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
_SCRIPTED: Final = """\
# No model whose key is open to apps was at hand: the answer below is scripted. Put a model in its place.
name: {name}
llms:
  default:
    provider: scripted
    rules:
      - text: This app has no language model yet. Whoever looks after it can give it one in its configuration.
agents:
  assistant:
    instruction: {instruction}
    tools: []
"""


def default_text(name: str, policy: Policy) -> str:
    """With a model whose key the operator has opened to apps, else with scripted answers that say how to go on."""
    environment = policy.visible()
    known = {"name": json.dumps(name, ensure_ascii=False), "instruction": json.dumps(DEFAULT_INSTRUCTION)}
    for provider in PROVIDERS:
        variable = next((key for key in provider.keys if environment.get(key)), None)
        if variable is not None and provider.name in DEFAULT_MODELS and _is_open(provider.name, policy):
            model = DEFAULT_MODELS[provider.name]
            return _TEXT.format(**known, provider=provider.name, model=model, variable=variable)
    return _SCRIPTED.format(**known)


def _is_open(provider: str, policy: Policy) -> bool:
    host = host_of(str(CLASSES[provider]().model_fields["base_url"].default))
    return host is not None and is_listed(host, policy.tenants.hosts)
