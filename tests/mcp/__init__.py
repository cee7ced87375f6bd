"""MCP: our client against real servers, and our server against the official client."""
