"""The HTTP surface on starlette: routes that parse, call one service and encode."""
