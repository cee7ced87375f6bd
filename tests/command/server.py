"""Runs one command and says what it says: a server that can be killed."""

import asyncio
import json
import sys

from hector.tools.command_policy import Plan
from hector.tools.command_run import Job, Watch, run
from hector.tools.sandbox import Box


async def main(level: str, folder: str, words: str) -> None:
    """Until the command ends."""
    arguments = tuple(json.loads(words))
    box = Box(level, folder, read=(sys.base_prefix,))  # type: ignore[arg-type]
    job = Job(Plan(arguments[0], arguments), box, folder, ("/usr/bin", "/bin"), {}, 60.0, 10**6)
    await run(job, Watch(job.most_output, lambda _, text: print(text, end="", flush=True)))


asyncio.run(main(*sys.argv[1:]))
