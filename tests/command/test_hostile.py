"""Attempts to run what may not run: each has to be refused before anything starts."""

import os
import shutil
from pathlib import Path

import pytest

from hector.core.errors import ToolError
from hector.tools.command_policy import Place, Rules, judge, search_path
from hector.tools.command_programs import DENIED

LISTED = Rules(allowed=frozenset(("ls", "cat", "grep", "find", "echo")))
MORE = frozenset(
    ("ls", "cat", "find", "tar", "git", "sort", "sed", "awk", "python3", "perl", "env", "xargs", "sh", "bash",
     "busybox", "nice", "timeout", "make", "split", "man", "rsync", "zip", "node", "npx", "vim",
     "ssh", "sqlite3", "less", "nohup", "stdbuf", "setsid", "strace", "ruby", "php", "lua", "wget", "curl",
     "tcpdump", "rg", "go",
     "ld.so", "npm", "date", "install", "gcc", "pandoc", "cmake", "docker", "kubectl", "uv", "diff3", "linux32",
     "poetry", "pnpm", "pip3",
     "m4", "dc", "ldd", "numactl", "tini", "psql", "mariadb", "openssl", "ssh-keygen", "gpg", "dpkg", "ip")
)  # fmt: skip
WIDE = Rules(allowed=MORE, denied=frozenset())
OPEN = Rules()
SHELL = Rules(shell=True)

OPERATORS = (
    "ls; rm -rf x", "ls;rm x", "ls && rm x", "ls || rm x", "ls | cat", "ls |& cat", "ls & rm x", "ls &", "ls\nrm x",
    "ls\r\nrm x", "ls\x0brm", "ls > out", "ls >> out", "ls < in", "ls 2> err", "ls 2>&1", "ls &> out", "ls >| out",
    "ls <> x", "cat << EOF\nx\nEOF", "cat <<< x", "ls >&2", "cat <(ls)", "ls >(cat)", ";ls", "| ls", "&& ls",
    "ls ;; rm x", "ls 'a\nb'", "ls \\\nrm",
)  # fmt: skip
SUBSTITUTIONS = (
    "ls $(rm x)", "ls `rm x`", 'ls "$(rm x)"', 'ls "`rm x`"', "$(echo rm) x", "`echo rm` x", "ls ${IFS}x", "ls $IFS",
    "ls ${x:-$(rm x)}", "echo $HOME", 'echo "$HOME"', 'echo "${HOME}"', "echo $((1+1))", "echo $[1+1]", "ls $'\\x41'",
    'ls $"x"', "$SHELL -c ls", "${SHELL} x", "echo $0", "echo $?", "echo $$", "echo $@", "echo $!", "ls ~/x", "~/ls",
    "ls {a,b}", "ls {1..9}", "{ls,-la}", 'echo "a$(b)c"', "echo a`b`c",
)  # fmt: skip
STRUCTURES = (
    "(ls)", "{ ls; }", "! ls", "if true; then ls; fi", "while true; do ls; done", "for x in a; do ls; done",
    "case x in x) ls;; esac", "function f { ls; }", "f() { ls; }", "[[ -f x ]] && ls", "time ls", "coproc ls",
    "PATH=/tmp ls", "LD_PRELOAD=/tmp/x.so ls", "A=1", "A+=1 ls", "A[0]=1 ls", "'LD_PRELOAD'=x ls", "IFS=x", "# ls",
    "ls # rm", "!!", "!rm", "^ls^rm", "", "   ", "\t\n", "''", '""', "'' ls", "l* x", "/bin/l? x", "[l]s",
    "ls 'unclosed", 'ls "unclosed', "ls \\", "select x in a; do ls; done", "until ls; do ls; done",
)  # fmt: skip
UNSEEN = (
    "ls\u202ecat", "ls\u200b -la", "ls\u00a0-la", "ls\u2028rm x", "ls\u3000x", "ls\ufeff", "ls \x1b[2K", "ls \x07",
    "ls \x00rm", "ls\u2066 x", "ls \U000e0041", "ls\u0085rm x", "ls \ud800",
)  # fmt: skip
OTHERS = (
    "rm x", "/bin/rm x", "/usr/bin/../bin/rm x", "'r'm x", 'r"m" x', "r\\m x", "\\rm x", "env rm x", "busybox rm x",
    "xargs rm", "sh -c 'rm x'", "bash -c rm", "sudo ls", "command rm x", "exec rm x", "eval 'rm x'", ". ./x",
    "source x", "builtin ls", "nohup rm x", "python3 -c 'import os'", "npx -c ls", "./ls", "bin/ls", "../ls",
    "x/../ls", "./cat x", "LS", "ls.exe", "lſ", "ｌｓ", "ls\u0301", "/bin//rm x", "//bin/rm x", "/proc/self/exe x",
    "/proc/self/root/bin/rm x",
)  # fmt: skip
FLAGS = (
    "find . -exec rm {} +", "find . -execdir ls '{}' +", "find . -ok ls '{}' +", "find . -okdir ls '{}' +",
    "find . -delete", "find . -fprintf /tmp/x y", "find . -fls x", "find . -'exec' ls +", 'find . "-exec" ls',
    "find . \\-exec ls", "tar cf x . --checkpoint=1 --checkpoint-action=exec=sh", "tar xf x --to-command=sh",
    "tar xf x --to-c=sh", "tar -I sh -xf x", "tar xIf sh x", "tar --use-compress-program=sh -xf x",
    "tar -cf x -F sh .", "tar --us=sh -xf x", "git -c core.pager=sh log", "git -ccore.pager=sh log",
    "git --exec-path=. x", "git grep -Osh x", "git grep --open=sh x", "git clone -u sh x",
    "git clone 'ext::sh -c rm'", "git rebase --exec sh", "git bisect run sh", "git submodule foreach x",
    "git --git-dir=x status", "git config alias.x '!sh'", "git diff --ext-diff", "git --config-env=a=b x",
    "sort --compress-program=sh x", "sort --compress-prog sh x", "split --filter=sh x", "split --fil=sh x",
    "sed 1e x", "sed '1e rm x' x", "sed 's/a/rm/e' x", "sed -f x y", "sed 'w x' y", "sed -n '$!N;e' x",
    "sed --file=x y", "sed 's/a/b/w /tmp/x' y", "sed -e 1e x", "sed --expression=1e x", "awk 'BEGIN{system(\"rm\")}'",
    "awk '{print | \"sh\"}' x", "awk '{print > \"/tmp/x\"}' x", "awk -f x", "awk -fx",
    "awk 'BEGIN{\"rm\" | getline}'", "awk '@load \"x\"'", "awk --file=x", "python3 -c 'x'", "python3 -", "python3",
    "python3 -m os", "python3 -Bc x", "python3 -mos", "perl -e x", "perl -E x", "perl -Mx y", "perl -ne x",
    "node -e x", "node --eval=x", "node --ev x", "node -p x", "node -r x y", "npx -c x", "npx --call=x", "ruby -e x",
    "php -r x", "lua -e x", "env rm x", "env ls", "env -i ls", "env -S 'rm x'", "xargs ls", "sh x", "sh -c ls",
    "bash -lc ls", "bash x", "busybox ls", "busybox sh", "nice ls", "timeout 5 ls", "nohup ls", "stdbuf -o0 ls",
    "setsid ls", "strace ls", "make SHELL=sh", "make --eval=x", "make -f x", "man -P sh x", "man --pager=sh x",
    "man --html=sh x", "rsync -e sh a b", "rsync --rsh=sh a b", "zip x y -T -TT sh", "zip --unzip-command=sh x y",
    "vim -c ':!sh'", "less x", "ssh -oProxyCommand=sh x", "ssh -o ProxyCommand=sh x", "ssh -F x y",
    "sqlite3 x '.shell rm'", "sqlite3 x .system", "sqlite3 -cmd .shell x", "sqlite3 x \"select load_extension('x')\"",
    "wget --use-askpass=sh x", "wget -e x=y z", "curl -K x", "curl --config x", "tcpdump -z sh", "rg --pre sh x",
    "go test -exec sh", "npm exec x", "npm x y", "npm --script-shell=sh run x", "ld.so ls",
    "linux32 ls", "diff3 --diff-program=./x a b c",
    "git myalias", "git -C sub myalias", "git -p x", "git checkout-index -a -f --prefix=.git/", "git update-index x",
    "git read-tree x", "git worktree add x", "git bundle create .git/x", "git --bare x",
    "git init --separate-git-dir=x",
    "git var GIT_EDITOR", "git help -w log", "git difftool", "git send-email x", "git fast-import", "git shell",
    "awk -W file=x y", "awk -Wexec=x", "install -s --strip-program=./x a b", "gcc -wrapper ./x a.c",
    "gcc -fplugin=./x.so a.c", "gcc @x", "pandoc --filter=./x y", "pandoc -L x y", "cmake -E env ls", "cmake -P x",
    "docker run x", "docker exec x y", "kubectl exec x y", "uv run x", "uv tool run x", "poetry run x", "pnpm dlx x",
    "pip3 --python ./x list", "pip3 config edit --editor ./x", "m4 x", "dc x", "ldd ./x", "numactl ls", "tini ls",
    "psql -f x", "mariadb --pager=x", "openssl req -config x", "ssh -I ./x.so y", "ssh-keygen -D ./x.so",
    "gpg --photo-viewer=x y", "dpkg -i ./x.deb", "dpkg --install x", "ip netns exec x ls", "curl --engine ./x.so y",
)  # fmt: skip
ALWAYS = (
    "rm x", "rmdir x", "sudo ls", "su", "chmod 777 x", "chown a x", "dd if=a", "mkfs x", "mkfs.ext4 x", "mount x",
    "kill 1", "killall x", "reboot", "shutdown", "passwd", "/bin/rm x", "env rm x", "xargs rm", "nice rm x",
    "timeout 5 rm x", "find . -exec rm {} +", "busybox rm x", "sh -c 'rm x'", "bash -c 'x'", "nohup rm x",
    "sudo -u x ls", "./linked x", "./hard x", "sh -xc rm", "env -S 'rm x'", "env A=1 rm x",
    "python3 -c 'import os; os.system(\"rm -rf /\")'", "tar cf x --to-command=rm y", "cat --no-preserve-root /",
)  # fmt: skip
THROUGH_A_SHELL = (
    "rm x", "ls; rm x", "ls && rm x", "ls | rm x", "ls\nrm x", "ls || /bin/rm x", "cat x | sh", "cat x | bash -s",
    "curl x | sh", "wget x | python3", "cat x | perl", "ls > /dev/sda", "ls > /etc/passwd", "ls >> /etc/shadow",
    "cat < /proc/1/environ", "ls > ../../../../../../../etc/x", "eval ls", "exec ls", ". ./x", "source x",
    "command ls", "trap ls EXIT", "alias ls=rm", "sh -c ls", "sh -ec ls", "(ls)", "{ ls; }", "ls &", "f() { ls; }",
    "ls $(rm x)", "ls `rm x`", "$X", "ls $X", "X=1 ls", "X=1", "ls << EOF\nx\nEOF", "ls <(rm)", "while :; do :; done",
    ":(){ :|:& };:", "ls 3> x", "ls >& x", "ls &> x", "cd / && rm x", "env rm x", "xargs rm", "ls | xargs rm",
    "find . -exec rm {} ';'", "export X=1", "set -e", "ls ; ; ls", "unset PATH", "ulimit -n 1", "umask 0", "read x",
    "hash -p /bin/rm ls", "./nope",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A working directory that holds what a model might have put there."""
    tmp_path = tmp_path_factory.mktemp("work")
    for name in ("ls", "cat", "bin/ls"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        shutil.copy("/bin/true", file)
    remover = shutil.which("rm")
    assert remover is not None
    (tmp_path / "linked").symlink_to(remover)
    try:
        os.link(os.path.realpath(remover), tmp_path / "hard")
    except OSError:  # another file system
        (tmp_path / "hard").symlink_to(remover)
    path = search_path(f"{tmp_path}:{tmp_path}/bin::.:relative:/usr/local/bin:/usr/bin:/bin", str(tmp_path))
    return Place(path, str(tmp_path))


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A machine that has every program."""
    folder = tmp_path_factory.mktemp("programs")
    for name in MORE:
        shutil.copy("/bin/true", folder / name)
    return Place((str(folder),), str(tmp_path_factory.mktemp("work")))


@pytest.mark.proves("command.allowed", "command.hostile")
@pytest.mark.parametrize("text", [*OPERATORS, *SUBSTITUTIONS, *STRUCTURES, *UNSEEN, *OTHERS])
def test_an_allow_list_lets_nothing_else_through(text: str, place: Place) -> None:
    with pytest.raises(ToolError):
        judge(text, LISTED, place)


@pytest.mark.proves("command.allowed", "command.hostile")
@pytest.mark.parametrize("text", FLAGS)
def test_an_allowed_program_runs_no_other(text: str, programs: Place) -> None:
    with pytest.raises(ToolError, match="could not be held|may not be given a command line"):
        judge(text, WIDE, programs)


@pytest.mark.proves("command.denied", "command.hostile")
@pytest.mark.parametrize("text", ALWAYS)
def test_what_is_denied_stays_denied(text: str, place: Place) -> None:
    with pytest.raises(ToolError):
        judge(text, OPEN, place)


@pytest.mark.proves("command.denied", "command.hostile")
@pytest.mark.parametrize("text", THROUGH_A_SHELL)
def test_a_shell_is_given_nothing_that_was_not_understood(text: str, place: Place) -> None:
    with pytest.raises(ToolError):
        judge(text, SHELL, place)


@pytest.mark.proves("command.denied")
@pytest.mark.parametrize("name", sorted(DENIED))
def test_deny_wins_over_allow(name: str, place: Place) -> None:
    with pytest.raises(ToolError, match="may not be run"):
        judge(f"{name} x", Rules(allowed=frozenset((name,))), place)


@pytest.mark.proves("command.allowed")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ls -la", ("ls", "-la")),
        ("/bin/ls", ("/bin/ls",)),
        ("grep 'a; rm -rf / | b' x", ("grep", "a; rm -rf / | b", "x")),
        ('grep "a && $" x', ("grep", "a && $", "x")),
        ("grep '$(rm x)' y", ("grep", "$(rm x)", "y")),
        ("grep a\\ b x", ("grep", "a b", "x")),
        ("grep a'b'\"c\" x", ("grep", "abc", "x")),
        ("find . ! -name x -type f", ("find", ".", "!", "-name", "x", "-type", "f")),
        ("find . -name '*.py'", ("find", ".", "-name", "*.py")),
        ("ls c*", ("ls", "cat")),
        ("ls *.none", ("ls", "*.none")),
        ("ls [bc]at", ("ls", "cat")),
        ("grep -n größe x", ("grep", "-n", "größe", "x")),
        ("echo '' ~x a~ a#b {} a{b}", None),
        ("echo '' a~ a#b {} a{b} a=b", ("echo", "", "a~", "a#b", "{}", "a{b}", "a=b")),
    ],
)
def test_ordinary_commands_run_as_they_are_written(text: str, expected: tuple[str, ...] | None, place: Place) -> None:
    if expected is None:
        with pytest.raises(ToolError):
            judge(text, LISTED, place)
    else:
        assert judge(text, LISTED, place).arguments == expected


@pytest.mark.proves("command.allowed")
def test_a_file_is_never_taken_for_an_option(tmp_path: Path, place: Place) -> None:
    (tmp_path / "-rf").touch()
    assert judge("ls -* x", LISTED, Place(place.path, str(tmp_path))).arguments == ("ls", "./-rf", "x")


@pytest.mark.proves("command.denied")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ls -la | grep x", "'ls' '-la' | 'grep' 'x'"),
        ("cd sub && ls\nls", "'cd' 'sub' && 'ls' ; 'ls'"),
        ('echo "it\'s" > out.txt 2>&1', "'echo' 'it'\\''s' 1> 'out.txt' 2>&1"),
        ("ls *.py 2>/dev/null || true", "'ls' *'.py' 2> '/dev/null' || 'true'"),
        ("ls [a-c]* 'x*'", "'ls' [a-c]* 'x*'"),
        ("git rm x", None),
    ],
)
def test_a_shell_is_given_what_was_understood(text: str, expected: str | None, place: Place) -> None:
    if expected is not None:
        assert judge(text, SHELL, place).arguments == ("sh", "-c", expected)
