"""The program of the child process that runs llama.cpp from the package xllamacpp. Never imported by the server.

llama.cpp aborts its whole process on some bad files, so it gets one of its own. Usage, the API key in LLAMA_API_KEY:
`python -P llama_child.py '{"model": PATH, "name": NAME, "host": HOST, "port": N, "context": N, "threads": N}'`.
It serves until it is killed or its standard input ends, which is how it notices that its parent is gone for whatever
reason.
"""

import importlib
import json
import os
import sys
import threading
from typing import Any


def leave_with_parent() -> None:
    """Wait for the end of standard input, then end the process without ceremony: llama.cpp may be computing."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def serve(settings: dict[str, Any]) -> Any:
    """A running server; it stays up as long as the returned object lives. Raises RuntimeError when it cannot start."""
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {settings["name"]}
    params.hostnames = [settings["host"]]
    params.port = settings["port"]
    params.n_ctx = settings["context"]
    params.n_parallel = 1
    params.use_jinja = True
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.api_keys = [os.environ["LLAMA_API_KEY"]]
    params.ui = False
    return xllamacpp.Server(params)


def main() -> None:
    """Serve until the parent is gone."""
    watch = threading.Thread(target=leave_with_parent, daemon=True)
    watch.start()
    try:
        server = serve(json.loads(sys.argv[1]))
    except RuntimeError:  # llama.cpp has written the reason
        os._exit(1)
    watch.join()
    del server


if __name__ == "__main__":
    main()
