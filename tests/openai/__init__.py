"""OpenAI's API, as the official client finds it."""
