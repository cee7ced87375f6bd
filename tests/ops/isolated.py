"""Serves, or runs a command, in a network namespace without a route; prints what the kernel has counted, as JSON.

A connection to where no route leads is counted by OutNoRoutes alone: ActiveOpens does not count it. A datagram to a
name server on a loopback address is counted by OutDatagrams.
"""

import fcntl
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

BEYOND = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
ASK = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {
    "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]}}}  # fmt: skip


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING


def counted() -> dict[str, int]:
    rows = [line.split() for line in Path("/proc/net/snmp").read_text(encoding="utf-8").splitlines()]
    table = {names[0]: dict(zip(names[1:], map(int, values[1:]), strict=True))
             for names, values in zip(rows[::2], rows[1::2], strict=True)}  # fmt: skip
    other = Path("/proc/net/snmp6")
    six = dict(line.split() for line in other.read_text(encoding="utf-8").splitlines()) if other.exists() else {}
    return {
        "no_route": table["Ip:"]["OutNoRoutes"] + int(six.get("Ip6OutNoRoutes", 0)),
        "datagrams": table["Udp:"]["OutDatagrams"] + int(six.get("Udp6OutDatagrams", 0)),
    }


def answered(url: str) -> str:
    headers = {"content-type": "application/json", "A2A-Version": "1.0"}
    request = urllib.request.Request(url, json.dumps(ASK).encode(), headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return str(json.load(answer)["result"]["task"]["status"]["state"])


def served(command: list[str]) -> str:
    """The state of the task that a server made of one message."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        url = next(found[1] for line in server.stdout or () if (found := re.search(r"ready url=(\S+)", line)))
        state = answered(url + "/")
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    return state


def ended(command: list[str]) -> str:
    """What a command printed, with its exit code in front."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    return f"{done.returncode} {done.stdout}{done.stderr}"


def main(command: list[str]) -> None:
    raise_loopback()
    before = counted()
    state = served(command) if "serve" in command else ended(command)
    after = counted()
    for family, host in BEYOND:  # the control: an attempt is counted
        with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as one:
            one.connect((host, 443))
    print(json.dumps({"state": state, "before": before, "after": after, "control": counted()}))


main(sys.argv[1:])
