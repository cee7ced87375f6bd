"""A stand-in for llama-server: a real process with its arguments and its paths. Also run as the package xllamacpp.

Behaviour comes from FAKE_LLAMA, a JSON object: `load` (seconds of 503 before it is healthy), `crash` (a file: each
start takes a line from it and fails with that, until none is left), `deaf` (ignore SIGTERM), `frozen` (a file: stop
answering /health while it exists). The question "die" ends the process in the middle of its answer.
"""

import argparse
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BEHAVIOUR: dict[str, Any] = json.loads(os.environ.get("FAKE_LLAMA", "{}"))
BEGAN = time.monotonic()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if Path(BEHAVIOUR.get("frozen", "/nonexistent")).exists():
            time.sleep(60)
        loaded = time.monotonic() - BEGAN >= BEHAVIOUR.get("load", 0)
        self.reply(200 if loaded else 503, {"status": "ok"} if loaded else {"error": {"message": "Loading model"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers["authorization"] != f"Bearer {os.environ['LLAMA_API_KEY']}":
            self.reply(401, {"error": {"message": "Invalid API Key", "type": "authentication_error"}})
            return
        question = body["messages"][-1]["content"]
        answer = json.dumps({"argv": sys.argv[1:], "max_tokens": body.get("max_tokens"), "pid": os.getpid()})
        if body.get("stream"):
            self.stream(question, answer)
        else:
            message = {"role": "assistant", "content": answer}
            self.reply(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    def stream(self, question: str, answer: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]})
        self.event({"choices": [{"index": 0, "delta": {"content": answer}}]})
        if question == "die":
            sys.stderr.write("out of luck\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def event(self, value: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()

    def reply(self, status: int, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


class FakeServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def maybe_crash() -> None:
    """Fail if the crash file has lines left."""
    file = Path(BEHAVIOUR.get("crash", "/nonexistent"))
    if file.exists() and (lines := file.read_text(encoding="utf-8").splitlines()):
        file.write_text("\n".join(lines[1:]), encoding="utf-8")
        sys.stderr.write(f"error: {lines[0]}\n")
        sys.exit(3)


def serve(host: str, port: int) -> FakeServer:
    """Listen; the caller runs it."""
    if BEHAVIOUR.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    maybe_crash()
    return FakeServer((host, port), Handler)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    known, _ = parser.parse_known_args()
    serve(known.host, known.port).serve_forever()
