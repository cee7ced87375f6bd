"""Run the fake provider until interrupted; prints `listening on <url>`."""

import argparse
import asyncio
import contextlib

from tests.models.fakeprovider import fake_provider


async def run(port: int) -> None:
    """Serve until cancelled."""
    async with fake_provider(port) as fake:
        print(f"listening on {fake.url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args().port))
