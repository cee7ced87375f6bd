"""Runs first in both forms: gives the programs that we start the environment that we were started with.

The launcher points LD_LIBRARY_PATH at the libraries it carries. Ours are found already; those of others, such as a
llama-server, must not find them.
"""

import os

given = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
if given is None:
    os.environ.pop("LD_LIBRARY_PATH", None)
else:
    os.environ["LD_LIBRARY_PATH"] = given
