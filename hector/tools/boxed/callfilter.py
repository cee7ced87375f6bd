"""A seccomp filter: system calls that no ordinary command needs, and sockets where there is no network."""

import ctypes
import struct
from typing import Final

from hector.tools.boxed import kernel

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # the error is EPERM
_MODE_FILTER: Final = 2
_ARCHITECTURE: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SOCKET: Final = {"x86_64": 41, "aarch64": 198}
_PRLIMIT: Final = {"x86_64": 302, "aarch64": 261}
_FIRST_ARGUMENT: Final = 16
"""Where its lower half stands in what a filter sees."""
_SYSTEM: Final = {
    # ptrace, process_vm_*, mount and its kin, setns, keys, bpf, perf, modules, kexec, userfaultfd, io_uring, ...
    "x86_64": (101, 310, 311, 165, 166, 155, 161, 308, 248, 249, 250, 321, 298, 175, 313, 176, 246, 320, 323, 304, 167,
               169, 172, 173, 179, 425, 428, 429, 430, 431, 432, 433, 442),
    "aarch64": (117, 270, 271, 40, 39, 41, 51, 268, 217, 218, 219, 280, 241, 105, 273, 106, 104, 294, 282, 265, 224,
                142, 425, 428, 429, 430, 431, 432, 433, 442),
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def available() -> bool:
    """Whether the numbers of this kind of machine are known."""
    return kernel.LINUX and kernel.MACHINE in _ARCHITECTURE


def refuse_calls(*, network: bool) -> None:
    """For this process and all that it starts. Needs no_new_privs. Raises OSError.

    io_uring is among them: it carries out other calls past any filter.
    """
    code = _program(kernel.MACHINE, network=network)
    program = _Program(len(code) // 8, code)
    kernel.prctl(kernel.PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program))


def _program(machine: str, *, network: bool) -> bytes:
    """Classic BPF: another architecture or x32 is refused whole, then the calls of the list, else it is allowed.

    Limits of other processes, which only the user decides about, are refused as well: the server is of the same user.
    """
    refused = (*_SYSTEM[machine], *(() if network else (_SOCKET[machine],)))
    count = len(refused)
    lines = [
        (_LOAD, 0, 0, 4),
        (_JUMP_EQUAL, 0, count + 6, _ARCHITECTURE[machine]),
        (_LOAD, 0, 0, 0),
        (_JUMP_AT_LEAST, count + 4, 0, 0x40000000),
        *((_JUMP_EQUAL, count + 3 - n, 0, number) for n, number in enumerate(refused)),
        (_JUMP_EQUAL, 0, 2, _PRLIMIT[machine]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
