"""numpy with one thread of BLAS: `from hector.rag.numeric import np`, in modules that are loaded where vectors are.

A process that serves has its threads already, one search each, and indexing has processes of its own: threads of BLAS
beside them would only get in each other's way. BLAS looks at its settings once, when it is loaded; the import takes
0.1 s and more, and does not belong on the event loop. It holds the interpreter's lock while the system fetches the
libraries from the disk, 50 ms and more after a start of the machine, so they are read before.
"""

import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

THREADS: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Settings of the libraries that numpy may be built with."""


def _fetch() -> None:
    """Have the system fetch numpy's libraries, where they are files; other threads go on meanwhile."""
    found = find_spec("numpy")
    if found is None or found.origin is None:
        return
    folder = Path(found.origin).parent
    buffer = bytearray(1 << 20)
    for path in (*folder.glob("_core/_multiarray_umath*.so"), *(folder.parent / "numpy.libs").glob("*.so*")):
        with suppress(OSError), path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


_before: Final = {name: os.environ.get(name) for name in THREADS}
os.environ.update(dict.fromkeys(THREADS, "1"))
try:
    _fetch()
    import numpy as np
finally:
    for _name, _value in _before.items():  # processes that are started later choose for themselves
        if _value is None:
            os.environ.pop(_name, None)
        else:
            os.environ[_name] = _value

__all__ = ["THREADS", "np"]
