"""Who asks, and what that lets them do: secrets, tokens, keys. The packages for tokens are loaded by the first one."""
