"""A model server that costs next to nothing: raw asyncio, pre-rendered answers, OpenAI and Anthropic formats.

It answers with 50 tokens. The first one repeats the word of the form `nonce-...` in the request, so that a client can
tell that it got the answer to its own question. A model whose name begins with "paced" gets a token each 10 ms, each
holding the time at which it was sent (CLOCK_MONOTONIC, ns); every other stream is one burst, an HTTP chunk per event.
"""

import argparse
import asyncio
import contextlib
import json
import re
import socket
import time
from typing import ClassVar, Final, cast

TOKENS: Final = 50
PACE: Final = 0.010
WORDS: Final = [f" word{number:02}" for number in range(1, TOKENS)]

_NONCE: Final = re.compile(rb"nonce-[0-9a-z]+")
_LENGTH: Final = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_STREAM: Final = re.compile(rb'"stream": ?true')
_PACED: Final = re.compile(rb'"model": ?"paced')
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%s\r\n\r\n"
_SSE_HEAD: Final = _HEAD % (b"text/event-stream", b"transfer-encoding: chunked")
_MARK: Final = b"@@nonce@@"


def answer_text(nonce: str) -> str:
    """The whole answer to the question that holds `nonce`."""
    return nonce + "".join(WORDS)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _event(data: object, name: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return f"{f'event: {name}' + chr(10) if name else ''}data: {text}\n\n".encode()


class Format:
    """One provider's wire format, rendered once."""

    def __init__(self, plain: object, opening: list[bytes], closing: list[bytes]) -> None:
        self._plain = json.dumps(plain, separators=(",", ":")).encode()
        self._opening = opening
        self._closing = closing

    def delta(self, text: str) -> bytes:
        """The event for one token."""
        raise NotImplementedError

    def plain(self, nonce: bytes) -> bytes:
        """A complete non-streaming response."""
        body = self._plain.replace(_MARK, nonce)
        return _HEAD % (b"application/json", b"content-length: %d" % len(body)) + body

    def burst(self, nonce: bytes) -> bytes:
        """A complete streaming response."""
        events = [*self._opening, self.delta(nonce.decode()), *self._middle(), *self._closing]
        return _SSE_HEAD + b"".join(map(_chunk, events)) + b"0\r\n\r\n"

    def opening(self) -> bytes:
        """Head and first events of a paced stream."""
        return _SSE_HEAD + b"".join(map(_chunk, self._opening))

    def closing(self) -> bytes:
        """Last events of a paced stream."""
        return b"".join(map(_chunk, self._closing)) + b"0\r\n\r\n"

    def _middle(self) -> list[bytes]:
        cached: list[bytes] | None = self.__dict__.get("_words")
        if cached is None:
            cached = self.__dict__["_words"] = [self.delta(word) for word in WORDS]
        return cached


class OpenAiChat(Format):
    """POST /v1/chat/completions."""

    def __init__(self) -> None:
        usage = {"prompt_tokens": 20, "completion_tokens": TOKENS, "total_tokens": 20 + TOKENS}
        message = {"role": "assistant", "content": answer_text(_MARK.decode())}
        base = {"id": "chatcmpl-1", "created": 1, "model": "mock"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        plain = {**base, "object": "chat.completion", "choices": [choice], "usage": usage}
        self._base = {**base, "object": "chat.completion.chunk"}
        opening = [self._chunk({"role": "assistant", "content": ""})]
        last = _event({**self._base, "choices": [], "usage": usage})
        super().__init__(plain, opening, [self._chunk({}, "stop"), last, _event("[DONE]")])

    def _chunk(self, delta: dict[str, str], finish: str | None = None) -> bytes:
        return _event({**self._base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def delta(self, text: str) -> bytes:
        return self._chunk({"content": text})


class AnthropicMessages(Format):
    """POST /v1/messages."""

    def __init__(self) -> None:
        base = {"id": "msg_1", "type": "message", "role": "assistant", "model": "mock", "stop_sequence": None}
        content = [{"type": "text", "text": answer_text(_MARK.decode())}]
        usage = {"input_tokens": 20, "output_tokens": TOKENS}
        plain = {**base, "content": content, "stop_reason": "end_turn", "usage": usage}
        start: dict[str, object] = {
            **base,
            "content": [],
            "stop_reason": None,
            "usage": {"input_tokens": 20, "output_tokens": 1},
        }
        block = {"type": "text", "text": ""}
        opening = [
            _event({"type": "message_start", "message": start}, "message_start"),
            _event({"type": "content_block_start", "index": 0, "content_block": block}, "content_block_start"),
        ]
        ending = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": TOKENS}}
        closing = [
            _event({"type": "content_block_stop", "index": 0}, "content_block_stop"),
            _event(ending, "message_delta"),
            _event({"type": "message_stop"}, "message_stop"),
        ]
        super().__init__(plain, opening, closing)

    def delta(self, text: str) -> bytes:
        delta = {"type": "text_delta", "text": text}
        return _event({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")


OPENAI: Final = OpenAiChat()
ANTHROPIC: Final = AnthropicMessages()


class Mock(asyncio.Protocol):
    """One connection; requests one after the other."""

    live: ClassVar[set["Mock"]] = set()
    """Open connections."""

    def __init__(self) -> None:
        self._held = b""
        self._transport: asyncio.Transport | None = None
        self._pacing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.live.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._pacing is not None:
            self._pacing.cancel()
        self._transport = None
        self.live.discard(self)

    def data_received(self, data: bytes) -> None:
        data = self._held + data
        while True:
            end = data.find(b"\r\n\r\n")
            length = _LENGTH.search(data, 0, end) if end >= 0 else None
            stop = end + 4 + (int(length[1]) if length else 0)
            if end < 0 or len(data) < stop:
                break
            self._answer(data[: end + 2], data[end + 4 : stop])
            data = data[stop:]
        self._held = data

    def _answer(self, head: bytes, body: bytes) -> None:
        if self._transport is None:
            return
        wire = ANTHROPIC if b"/v1/messages " in head[:40] else OPENAI
        nonces = _NONCE.findall(body)
        nonce = nonces[-1] if nonces else b"nonce-0"
        if not _STREAM.search(body):
            self._transport.write(wire.plain(nonce))
        elif _PACED.search(body):
            self._transport.write(wire.opening())
            loop = asyncio.get_running_loop()
            self._pace(wire, nonce.decode(), TOKENS, loop.time())
        else:
            self._transport.write(wire.burst(nonce))

    def _pace(self, wire: Format, word: str, left: int, due: float) -> None:
        """Send a token and come back for the next one."""
        if self._transport is None:
            return
        if not left:
            self._transport.write(wire.closing())
            return
        self._transport.write(_chunk(wire.delta(f"{word}@{time.monotonic_ns()}")))
        due += PACE
        self._pacing = asyncio.get_running_loop().call_at(due, self._pace, wire, "", left - 1, due)


async def serve(port: int = 0) -> asyncio.Server:
    """Listen on 127.0.0.1."""
    return await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", port, backlog=512)


def port_of(server: asyncio.Server) -> int:
    """The port that `server` listens on."""
    sock: socket.socket = server.sockets[0]
    return int(sock.getsockname()[1])


async def _main(port: int) -> None:
    server = await serve(port)
    print(port_of(server), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.mock", description="A fast mock of a model server.")
    parser.add_argument("--port", type=int, default=0)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(parser.parse_args().port))
