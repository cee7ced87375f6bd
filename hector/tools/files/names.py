"""Paths as models write them: which are understood, and which lead to nothing that a model should see. Pure.

A path is split here, once, into the names that are then opened one after the other (rooted.py), so that what was judged
is what is opened. Names are compared in their plainest form: compatibility signs folded, case ignored.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Final

from hector.core.errors import ToolError

LONGEST_NAME: Final = 255
LONGEST_PATH: Final = 4096
DEEPEST: Final = 64
"""Bytes of a name, bytes of a path, names of a path."""

SECRETS: Final = (
    ".env", ".env.*", "*.env", ".envrc", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_*_sk", ".netrc", "_netrc", ".pgpass", ".my.cnf",
    ".npmrc", ".pypirc", ".git-credentials", ".htpasswd", "credentials", "credentials.json", "credentials.toml",
    "secrets", *(f"secret{s}.{end}" for s in ("", "s") for end in ("env", "ini", "json", "toml", "txt", "yaml", "yml")),
    "service-account*.json", "*.tfstate", "*.tfvars", ".vault-token", ".dockercfg", "shadow", "gshadow", "hector.db",
    "hector.db-*",
)  # fmt: skip
"""Names of files that hold keys, passwords or our own data."""
SECRET_FOLDERS: Final = (
    ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".hector", ".gcloud", ".password-store",
)  # fmt: skip
"""Folders of which nothing is shown."""
PLAIN: Final = (".env.example", ".env.sample", ".env.template", ".env.dist")
"""Names that look like secrets and hold none."""
FIXED: Final = (".git", ".hg", ".svn", ".bzr")
"""Folders in which nothing is changed: what lies there is run by other programs."""
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def plain(name: str) -> str:
    """A name as it is compared."""
    return unicodedata.normalize("NFKC", name).casefold().rstrip(". ")


def steps(path: str, roots: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Which of the roots a path lies in, and the names that lead to it from there; none for the root itself.

    Relative paths begin at the first root, absolute ones have to name a place in one of them. Raises ToolError.
    """
    if not path.strip():
        raise ToolError("the path is empty; '.' is the folder that you work in")
    _check_text(path)
    at, rest = _root_of(path, roots) if path.startswith("/") else (0, path)
    names = tuple(name for name in rest.split("/") if name not in {"", "."})
    if len(names) > DEEPEST:
        raise ToolError(f"the path has more than {DEEPEST} steps")
    for name in names:
        _check_name(name, path)
    return at, names


def _check_text(path: str) -> None:
    try:
        size = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        raise ToolError("the path holds signs that are no text") from None
    if size > LONGEST_PATH:
        raise ToolError(f"the path is longer than {LONGEST_PATH} bytes")
    if any(sign < " " or sign == "\x7f" for sign in path):
        raise ToolError("the path holds control signs")
    if "\\" in path:
        raise ToolError("the path holds a backslash; write / between folders")
    if path.startswith("~"):
        raise ToolError("the path begins with ~: home folders are not known here; write it from the folder you work in")


def _root_of(path: str, roots: Sequence[str]) -> tuple[int, str]:
    inside = [at for at, root in enumerate(roots) if path == root or path.startswith(root.rstrip("/") + "/")]
    if not inside:
        allowed = ", ".join(roots)
        raise ToolError(f"{path} is outside of the folders that you may use ({allowed}); write paths from the first")
    best = max(inside, key=lambda at: len(roots[at]))
    return best, path[len(roots[best].rstrip("/")) :]


def _check_name(name: str, path: str) -> None:
    if name == "..":
        raise ToolError(f"{path} holds '..'; write the path without it")
    if len(name.encode("utf-8")) > LONGEST_NAME:
        raise ToolError(f"a name in {path[:80]} is longer than {LONGEST_NAME} bytes")


@lru_cache(maxsize=64)
def _matcher(patterns: tuple[str, ...]) -> "re.Pattern[str]":
    return re.compile("|".join(translate(plain(pattern)) for pattern in patterns) or r"(?!)")


def is_secret(names: Sequence[str], allow: tuple[str, ...] = (), deny: tuple[str, ...] = ()) -> bool:
    """Whether a path is one that no model is shown. `allow` and `deny` are further patterns of names or paths."""
    plains = [plain(name) for name in names]
    whole = ["/".join(plains[: at + 1]) for at in range(len(plains))]
    if _fits(deny, plains, whole):
        return True
    if _fits((*PLAIN, *allow), plains[-1:], whole[-1:]):
        return False
    return any(_matcher(SECRETS).match(name) for name in plains) or any(
        _matcher(SECRET_FOLDERS).match(name) for name in plains
    )


def _fits(patterns: tuple[str, ...], names: Iterable[str], paths: Iterable[str]) -> bool:
    if not patterns:
        return False
    found = _matcher(patterns)
    return any(found.match(one) for one in (*names, *paths))


def check_change(names: Sequence[str]) -> None:
    """Raises ToolError for places in which nothing is changed, and for names that no file should have."""
    for name in names:
        if plain(name) in FIXED:
            raise ToolError(f"nothing is changed in {name}: what lies there is run by other programs")
        if _DEVICES.fullmatch(plain(name)) or _DEVICES.fullmatch(name.split(":")[0]):
            raise ToolError(f"{name} is the name of a device on some systems; choose another")
        if name != name.rstrip(". ") or name != name.lstrip(" "):
            raise ToolError(f"the name {name!r} begins or ends with signs that some systems drop; choose another")
        if any(unicodedata.category(sign) in {"Cf", "Cc", "Co", "Cs", "Zl", "Zp"} for sign in name):
            raise ToolError(f"the name {name!r} holds signs that cannot be seen; choose another")
