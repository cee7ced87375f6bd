"""Runs early in the one-file form: unpacks the compiled parts of numpy when it is first imported, not at each start.

They go where everything else is unpacked, which the launcher removes at the end.
"""

import sys
from pathlib import Path


class Numpy:
    """Is asked for every import until it is the one of numpy; finds nothing itself."""

    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            sys.meta_path.remove(self)
            from hector.core.attached import attached  # noqa: PLC0415 - for the few that need it

            if found := attached():
                found.unpack(("numpy", "lib"), Path(sys._MEIPASS))


sys.meta_path.insert(0, Numpy())
