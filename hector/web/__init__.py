"""The HTTP surface: routes that parse, call one service and encode. Plain ASGI, nothing between the server and us."""
