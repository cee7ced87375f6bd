"""What a turn with a tool costs next to a plain one: two model calls and one tool, on the same server.

python3 -m bench.tools [--seconds 3] [--repeats 5] [--python PATH]

The mock of `bench.mock` answers, asking for the tool first where it is offered one. The goal: 2.5 plain turns at most.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.__main__ import Bench, Plan
from bench.cells import Cell, Figures
from bench.client import a2a
from bench.contestants import HECTOR, ROOT
from bench.mock import Mock
from bench.process import Process, free_port

GOAL: Final = 2.5
KINDS: Final = ("plain", "tool")
CLIENTS: Final = (1, 16)
_ASK: Final = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "mock",
    "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "current_time", "arguments": "{}"}}]}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}  # fmt: skip


class ToolMock(Mock):
    """Asks for the tool that it is offered, unless its result is there."""

    def _answer(self, head: bytes, body: bytes) -> None:
        if b'"tools"' not in body or b'"tool_call_id"' in body or self._transport is None:
            super()._answer(head, body)
            return
        answer = json.dumps(_ASK).encode()
        length = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
        self._transport.write(length.encode() + answer)


def write_config(path: Path, model_url: str) -> None:
    """Two agents on one model, of which one has a tool."""
    agents = {
        "plain": {"instruction": "You are a test.", "tools": []},
        "tool": {"instruction": "You are a test.", "tools": ["current_time"]},
    }
    llms = {"default": {"provider": "openai", "api": "chat", "model": "mock", "api_key": "none", "base_url": model_url}}
    common = {"streaming": False, "disable_safety_protocols": True}
    config = {"llms": llms, "agents": {name: one | common for name, one in agents.items()}}
    path.write_text(json.dumps(config), encoding="utf-8")


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(ToolMock, "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


def measure(bench: Bench, model_url: str) -> dict[str, list[Figures]]:
    """Both kinds take turns, at each number of clients."""
    found: dict[str, list[Figures]] = {}
    config, port = bench.folder / "tools.yaml", free_port()
    write_config(config, model_url)
    command = HECTOR.argv(
        python=bench.python, port=port, model=model_url, database=bench.folder / "tools.db", config=config,
        core=bench.server_core,
    )  # fmt: skip
    with Process(command, port, bench.server_core, bench.folder / "hector.log", ROOT) as server:
        server.wait_ready(HECTOR.ready)
        for turn in range(bench.plan.repeats + 1):  # the first one warms up
            for clients in CLIENTS:
                for kind in KINDS:
                    target = a2a(port, f"/agents/{kind}", stream=False)
                    figures = bench.measure(Cell("plain", clients), target, server)
                    if turn:
                        found.setdefault(f"{kind}@{clients}", []).append(figures)
    return found


def report(found: dict[str, list[Figures]]) -> int:
    """One line a cell, and the ratios; 1 where the goal is missed."""
    for name, rows in found.items():
        rate, p50, cpu = (statistics.median(getattr(row, one) for row in rows) for one in ("rate", "p50", "cpu"))
        print(f"{name:10} {rate:8.0f} turns/s   p50 {p50:7.2f} ms   CPU {cpu:6.3f} ms a turn")
    missed = False
    for clients in CLIENTS:
        pairs = list(zip(found[f"tool@{clients}"], found[f"plain@{clients}"], strict=True))
        cpu = statistics.median(tool.cpu / plain.cpu for tool, plain in pairs)
        latency = statistics.median(tool.p50 / plain.p50 for tool, plain in pairs)
        missed = missed or cpu > GOAL
        print(
            f"@{clients}: a turn with a tool costs {cpu:.2f} plain ones in CPU, {latency:.2f} in latency; goal {GOAL}"
        )
    return int(missed)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="bench.tools")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--mock", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.mock:
        asyncio.run(_serve(given.mock))
        return 0
    with tempfile.TemporaryDirectory(prefix="hector-bench-") as folder, ExitStack() as stack:
        bench = Bench(given.python, Path(folder), Plan(given.seconds, given.repeats, 0, ()))
        port = free_port()
        command = [str(given.python), "-m", "bench.tools", "--mock", str(port)]
        mock = stack.enter_context(Process(command, port, bench.client_core, Path(folder) / "mock.log", ROOT))
        mock.wait_ready("/")
        return report(measure(bench, f"http://127.0.0.1:{port}/v1"))


if __name__ == "__main__":
    raise SystemExit(main())
