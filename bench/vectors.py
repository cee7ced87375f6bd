"""An embedding service that speaks OpenAI's format, in a process of its own: `python3 -m bench.vectors PORT`.

Every text has the same vector, as long as those of the usual model: a hundred of them are two megabytes of JSON.
"""

import json
import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

DIMENSION: Final = 1536
DELAY: Final = 0.1
"""Seconds that an answer takes."""
_chance: Final = random.Random(7)
_VECTOR: Final = json.dumps([round(_chance.gauss(0, DIMENSION**-0.5), 10) for _ in range(DIMENSION)])


def answer(count: int) -> bytes:
    """For so many texts."""
    rows = ",".join(f'{{"object":"embedding","index":{at},"embedding":{_VECTOR}}}' for at in range(count))
    return f'{{"object":"list","data":[{rows}],"model":"m","usage":{{"prompt_tokens":1,"total_tokens":1}}}}'.encode()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """For whoever waits until it is there."""
        self._send(b"{}")

    def do_POST(self) -> None:
        """Vectors."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
        time.sleep(DELAY)
        self._send(answer(1 if isinstance(asked, str) else len(asked)))

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def main() -> None:
    """Serve until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
