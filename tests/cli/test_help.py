"""`hector --help`: every command once, by what it is for."""

import re
import subprocess
import sys

import pytest

from hector.cli.main import COMMANDS, GROUPS


@pytest.mark.proves("cli.help")
def test_all_commands_stand_in_a_group_with_what_they_do() -> None:
    done = subprocess.run([sys.executable, "-m", "hector", "--help"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for purpose, names in GROUPS:
        (shown,) = re.findall(rf"^{purpose}:\n((?:  .+\n)+)", done.stdout, re.MULTILINE)
        assert [line.split()[0] for line in shown.splitlines()] == list(names)
        assert all(len(line.split()) > 2 for line in shown.splitlines()), "each says what it does"
    assert len(set(COMMANDS)) == len(COMMANDS)
