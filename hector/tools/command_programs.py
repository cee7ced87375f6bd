"""What is known of programs that run other programs, so that an allow list means what it says.

Rows are by the name of a program, without version numbers: `python3.11` is looked up as `python`.
"""

import re
from typing import Final

from hector.core.record import dataclass

DENIED: Final = frozenset(
    ("rm", "rmdir", "sudo", "su", "doas", "chmod", "chown", "dd", "mkfs", "fdisk", "mount", "umount", "kill",
     "killall", "pkill", "reboot", "shutdown", "halt", "poweroff", "passwd", "useradd", "userdel", "groupadd")
)  # fmt: skip
"""Refused wherever commands are allowed, whatever the configuration says."""

SHELLS: Final = frozenset(
    ("sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "rbash", "pwsh", "busybox",
     "toybox", "eval", "source", ".", "exec", "command", "builtin", "trap", "alias", "enable")
)  # fmt: skip
"""They run whatever text they are given."""

WRAPPERS: Final = frozenset(
    ("env", "xargs", "nice", "ionice", "nohup", "timeout", "stdbuf", "setsid", "time", "chrt", "taskset",
     "unshare", "nsenter", "chroot", "setpriv", "runuser", "watch", "script", "screen", "tmux", "expect",
     "parallel", "strace", "ltrace", "gdb", "lldb", "valgrind", "perf", "flock", "entr", "at", "batch", "crontab",
     "systemd-run", "dbus-run-session", "start-stop-daemon", "run-parts", "faketime", "fakeroot", "prlimit",
     "capsh", "linux32", "linux64", "setarch", "vi", "vim", "vimdiff", "view", "nvim", "nano", "emacs", "ed",
     "ex", "less", "more", "most", "ssh-agent", "sshpass", "socat", "nc", "ncat", "netcat", "telnet", "ld.so",
     "cpulimit", "unbuffer", "uvx", "pipx", "bunx", "doas", "pkexec", "sg", "newgrp", "run0", "gosu", "su-exec", "tini",
     "dumb-init", "numactl", "choom", "firejail", "bwrap", "proot", "catchsegv", "eatmydata", "logsave", "hyperfine",
     "cgexec", "aa-exec", "torsocks", "proxychains", "systemd-inhibit", "rlwrap", "dtach", "sem", "nix-shell", "ldd",
     "m4", "dc", "gnuplot")
)  # fmt: skip
"""They run programs that are named in their arguments, or from within."""

_NUMBERS: Final = re.compile(r"(?<=[a-z+])-?[\d.]+$")


@dataclass(frozen=True, slots=True)
class Hatches:
    """Arguments by which a program runs another one.

    `long` are options with two dashes (GNU takes their beginnings, too), `short` letters that may be bundled, `words`
    whole arguments, `within` texts that may stand anywhere, `plain` whether the first argument needs no dash.
    """

    long: tuple[str, ...] = ()
    short: str = ""
    words: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    plain: bool = False

    def found(self, arguments: tuple[str, ...]) -> str:
        """The first of the arguments that is one, or the empty text."""
        return next((text for n, text in enumerate(arguments) if self._is_one(text, first=n == 0)), "")

    def _is_one(self, text: str, *, first: bool) -> bool:
        if text in self.words or any(piece in text.lower() for piece in self.within):
            return True
        if text.startswith("--"):
            name = text[2:].partition("=")[0]
            return len(name) > 1 and any(option.startswith(name) for option in self.long)
        if text.startswith("-") or (self.plain and first):
            return any(letter in text.partition("=")[0] for letter in self.short)
        return False


HATCHES: Final = {
    "find": Hatches(
        words=("-exec", "-execdir", "-ok", "-okdir", "-delete", "-fprint", "-fprint0", "-fprintf", "-fls",
               "-files0-from"),
    ),
    "fd": Hatches(("exec", "exec-batch"), "xX"),
    "fdfind": Hatches(("exec", "exec-batch"), "xX"),
    "tar": Hatches(
        ("checkpoint-action", "to-command", "use-compress-program", "rsh-command", "rmt-command", "info-script",
         "new-volume-script"), "IF", plain=True,
    ),
    "bsdtar": Hatches(("use-compress-program",), plain=True),
    "install": Hatches(("strip-program",)),
    "cmake": Hatches(words=("-E", "-P")),
    "ctags": Hatches(("options",)),
    "gcc": Hatches(words=("-wrapper",), within=("-fplugin", "-specs", "@")),
    "gpg": Hatches(("photo-viewer", "exec-path", "agent-program", "dirmngr-program", "options")),
    "gs": Hatches(within=("nosafer", "pipe")),
    "pandoc": Hatches(("filter", "lua-filter", "pdf-engine", "defaults"), "FLd"),
    "pdflatex": Hatches(within=("shell-escape", "write18")),
    "sox": Hatches(within=("|",)),
    "ip": Hatches(words=("netns", "vrf")),
    "docker": Hatches(words=("run", "exec", "create", "build", "buildx", "compose", "start", "cp", "plugin")),
    "kubectl": Hatches(words=("run", "exec", "debug", "attach", "cp", "edit", "plugin")),
    "uv": Hatches(words=("run", "tool", "x")),
    "poetry": Hatches(words=("run", "exec", "shell", "x")),
    "yarn": Hatches(words=("exec", "dlx", "node", "create", "x")),
    "pip": Hatches(("python", "editor"), words=("config",)),
    "rclone": Hatches(("password-command", "config")),
    "cpio": Hatches(("rsh-command",), "H"),
    "git": Hatches(
        ("exec-path", "config-env", "upload-pack", "receive-pack", "exec", "open-files-in-pager", "ext-diff",
         "textconv", "extcmd", "tool", "template", "git-dir", "work-tree", "output", "config",
         "separate-git-dir"), "cOux",
        ("bisect", "submodule", "config"), ("ext::",),
    ),
    "sort": Hatches(("compress-program",)),
    "split": Hatches(("filter",)),
    "rsync": Hatches(("rsh", "rsync-path", "config"), "e"),
    "ssh": Hatches(short="oFSWI", words=("-J",)),
    "ssh-keygen": Hatches(short="D"),
    "ssh-add": Hatches(short="sS"),
    "scp": Hatches(short="oFS"),
    "sftp": Hatches(short="oFSbD"),
    "zip": Hatches(("unzip-command", "test"), "T"),
    "man": Hatches(("pager", "html", "preprocessor", "browser", "config-file"), "PHC"),
    "make": Hatches(("eval", "makefile", "file", "include-dir"), "fEI", within=("=",)),
    "npm": Hatches(
        ("script-shell", "node-options", "shell", "call", "prefix"), "c",
        ("exec", "x", "explore", "config", "c", "edit", "init", "create"),
    ),
    "npx": Hatches(("call", "node-options", "shell", "script-shell"), "c"),
    "go": Hatches(words=("generate", "tool"), within=("-exec", "-toolexec", "-vettool")),
    "cargo": Hatches(("config",)),
    "curl": Hatches(("config", "engine"), "K"),
    "wget": Hatches(("use-askpass", "execute", "config"), "e"),
    "nmap": Hatches(("script", "interactive", "datadir"), words=("-sC", "-A")),
    "tcpdump": Hatches(short="zw"),
    "rg": Hatches(("pre", "hostname-bin")),
    "ag": Hatches(("pager",)),
    "ack": Hatches(("pager", "ackrc")),
    "bat": Hatches(("pager",)),
    "diff3": Hatches(("diff-program",)),
    "sdiff": Hatches(("diff-program",)),
    "dpkg": Hatches(
        ("pre-invoke", "post-invoke", "status-logger", "root", "admindir", "instdir", "install", "unpack", "configure"),
        "i",
    ),
    "apt": Hatches(("option", "config-file"), "oc"),
    "apt-get": Hatches(("option", "config-file"), "oc"),
    "rpm": Hatches(("eval", "pipe", "rcfile", "macros", "define"), "ED"),
    "sqlite": Hatches(
        words=("-cmd", "-init"),
        within=(".shell", ".system", ".load", ".output", ".once", ".open", "load_extension", "edit("),
    ),
    "psql": Hatches(("set", "variable", "file"), "vf", within=("\\", "program")),
    "mysql": Hatches(("pager", "tee"), within=("\\!", "system")),
    "openssl": Hatches(words=("-engine", "-provider-path", "-config"), within=("-engine",)),
    "awk": Hatches(
        ("file", "exec", "load", "include", "source", "debug", "profile"), "fElieDdW",
        within=("system", "|", ">", "getline", "@"),
    ),
    "date": Hatches(("set",), "s"),
    "python": Hatches(words=("-", "-m"), short="cm"),
    "pypy": Hatches(words=("-", "-m"), short="cm"),
    "perl": Hatches(words=("-",), short="eEMmxdi"),
    "ruby": Hatches(words=("-",), short="erxS"),
    "node": Hatches(("eval", "print", "require", "import", "loader", "experimental-loader"), "epr", ("-",)),
    "nodejs": Hatches(("eval", "print", "require", "import", "loader", "experimental-loader"), "epr", ("-",)),
    "bun": Hatches(("eval", "print", "preload"), "epr", ("-", "x")),
    "deno": Hatches(words=("eval", "repl", "task", "-")),
    "php": Hatches(("run", "process-begin", "process-code", "process-end", "define"), "rBREd", ("-",)),
    "lua": Hatches(words=("-",), short="el"),
    "tclsh": Hatches(words=("-",)),
    "r": Hatches(short="ef"),
    "rscript": Hatches(short="e"),
    "java": Hatches(within=("-javaagent", "-agentpath", "-agentlib", "-xx:onerror", "-xx:onoutofmemoryerror")),
}  # fmt: skip
for _same, _as in (
    ("gawk", "awk"),
    ("mawk", "awk"),
    ("nawk", "awk"),
    ("gmake", "make"),
    ("gtar", "tar"),
    ("gfind", "find"),
    *((name, "gcc") for name in ("cc", "c++", "g++", "clang", "clang++")),
    *((name, "pdflatex") for name in ("tex", "latex", "pdftex", "xelatex", "lualatex", "luatex")),
    *((name, "docker") for name in ("podman", "nerdctl")),
    *(
        (name, "poetry")
        for name in (
            "pipenv",
            "pdm",
            "hatch",
            "rye",
            "pixi",
            "conda",
            "mamba",
            "mise",
            "asdf",
            "direnv",
            "rbenv",
            "pyenv",
            "rustup",
            "nix",
            "tox",
            "nox",
        )
    ),
    ("pnpm", "yarn"),
    ("mariadb", "mysql"),
    ("duckdb", "sqlite"),
    ("play", "sox"),
):
    HATCHES[_same] = HATCHES[_as]
INTERPRETERS: Final = frozenset(
    ("python", "pypy", "perl", "ruby", "node", "nodejs", "bun", "deno", "php", "lua", "tclsh", "r", "rscript", "npx")
)
"""They run programs from files. Without a file they would read one from their input."""

_GIT: Final = frozenset(
    ("add", "am", "annotate", "apply", "blame", "branch", "cat-file", "check-attr", "check-ignore", "checkout",
     "cherry", "cherry-pick", "clean", "clone", "commit", "count-objects", "describe", "diff", "diff-files",
     "diff-index", "diff-tree", "fetch", "for-each-ref", "format-patch", "fsck", "gc", "grep", "hash-object", "init",
     "log", "ls-files", "ls-remote", "ls-tree", "merge", "merge-base", "merge-tree", "mv", "name-rev", "notes",
     "pull", "push", "range-diff", "rebase", "reflog", "remote", "reset", "restore", "rev-list", "rev-parse",
     "revert", "rm", "shortlog", "show", "show-branch", "show-ref", "sparse-checkout", "stash", "status", "switch",
     "symbolic-ref", "tag", "version", "whatchanged")
)  # fmt: skip
"""Of git's commands those that neither run programs by themselves nor write into .git what they are given. Whatever is
no command of git may be an alias, which is any program that the settings of a repository name."""
_GIT_OPTIONS: Final = frozenset(
    ("-p", "-P", "--paginate", "--no-pager", "--no-optional-locks", "--literal-pathspecs", "--version", "-v")
)
_SED_SAFE: Final = re.compile(
    r"(\d+|\$)?(,(\d+|\$))?[pdqG=]|(\d+|\$)?s([/|#,:])((?!\4)[^\\\n]|\\[^\n])*\4((?!\4)[^\\\n]|\\[^\n])*\4[gpiI\d]*"
)
"""Scripts of sed that neither run a program nor write a file: printing, deleting, substituting."""


def known_as(name: str) -> str:
    """Under which name a program is looked up here."""
    name = name.lower().removesuffix(".exe")
    if name.startswith(("ld-linux", "ld-musl", "ld.so")):
        return "ld.so"
    if name.startswith("mkfs"):
        return "mkfs"
    if name in WRAPPERS or name in HATCHES:
        return name
    return _NUMBERS.sub("", name) or name


def runs_another(name: str, arguments: tuple[str, ...]) -> str:
    """Why this call could run a program that the allow list does not see; empty: it could not, as far as is known."""
    known = known_as(name)
    if known in SHELLS:
        return f"{name} runs whatever text it is given"
    if known in WRAPPERS:
        return f"{name} runs other programs; call the program itself"
    if known == "sed":
        return _sed(arguments)
    if known == "git" and (reason := _git(arguments)):
        return reason
    hatches = HATCHES.get(known)
    if hatches is not None and (argument := hatches.found(arguments)):
        return f"the argument {argument!r} of {name} can run other programs, or read its instructions from elsewhere"
    if known in INTERPRETERS and not any(text and not text.startswith("-") for text in arguments):
        return (
            "" if arguments and set(arguments) <= {"--version", "-V", "-v", "--help"} else f"{name} needs a file to run"
        )
    return ""


def _git(arguments: tuple[str, ...]) -> str:
    """git's commands are known; what is not may be an alias of a repository's."""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "-C":
            del rest[:1]
        elif option not in _GIT_OPTIONS:
            return f"the argument {option!r} of git can run other programs, or read its instructions from elsewhere"
    if rest and rest[0] not in _GIT:
        return f"git {rest[0]} can run other programs, or write what others believe"
    return ""


def _sed(arguments: tuple[str, ...]) -> str:
    """sed's scripts may run programs and write files: only simple ones pass."""
    options = [text for text in arguments if text.startswith("-") and text != "-"]
    others = [text for text in arguments if not text.startswith("-")]
    if any(text not in {"-n", "-E", "-r", "-i", "-s", "-z", "-u"} for text in options):
        return "of sed's options only -n, -E, -r, -s, -u, -z and -i are available"
    if not others or not _SED_SAFE.fullmatch(others[0]):
        return "of sed's scripts only p, d, q, = and s/// with the flags g, p and i are available, one at a time"
    return ""
