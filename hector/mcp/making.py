"""From an entry of the configuration to a toolset."""

from hector.config.base import SECRET_KEYS
from hector.config.mcp import McpTool
from hector.mcp.settings import OAuth, ServerSettings
from hector.mcp.toolset import McpToolset
from hector.observe.redact import remember


def make_toolset(name: str, entry: McpTool, app: str) -> McpToolset:
    """The toolset of an entry. Connects to nothing."""
    remember(*_secrets(entry))
    return McpToolset(settings_of(name, entry), app)


def settings_of(name: str, entry: McpTool) -> ServerSettings:
    """What a connection is made from."""
    oauth: OAuth | None = None
    if (who := entry.oauth) is not None:
        places = (who.token_url or "", who.issuer or "")
        oauth = OAuth(who.client_id, who.client_secret, *places, who.scope, who.audience)
    return ServerSettings(
        name,
        entry.transport,
        entry.command,
        entry.args,
        entry.env,
        entry.cwd or None,
        entry.url or "",
        entry.headers,
        oauth,
        entry.proxy,
        entry.ca_bundle,
        entry.filter,
        entry.prefix,
        entry.resources,
        entry.prompts,
        entry.connect_timeout,
        entry.description,
    )


def _secrets(entry: McpTool) -> list[str]:
    """What must not be shown: credentials, and values whose names say so."""
    named = {**entry.env, **entry.headers}
    found = [value for key, value in named.items() if SECRET_KEYS.search(key)]
    found += [value.partition(" ")[2] for key, value in entry.headers.items() if key.lower() == "authorization"]
    return [*found, entry.oauth.client_secret] if entry.oauth else found
