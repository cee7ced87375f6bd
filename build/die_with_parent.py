"""Runs first in the one-file form, whose program is the child of the process that unpacked it.

A `kill -9` hits only that parent; without this the program would go on unseen, holding the port and the database.
"""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
