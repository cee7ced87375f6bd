"""What is no document, by its name: secrets, which nobody wants to find by searching, and files without text.

Both hold regardless of case, and only until a pattern of the configuration names the file, its kind or its ending.
"""

import re
from collections.abc import Iterable
from typing import Final

from hector.rag.sources.globs import expression, forms

_DATA: Final = "{json,yaml,yml,toml,ini,xml,conf,cfg,properties,csv,txt}"
_SECRET_NAMES: Final = (
    *(".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".pgpass", "pgpass.conf", ".npmrc", ".pypirc"),
    *(".htpasswd", ".htdigest", ".my.cnf", ".dockercfg", ".dockerconfigjson", ".git-credentials", ".vault-token"),
    *("*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.ppk", "*.jks", "*.jceks", "*.keystore", "*.bks", "*.keytab"),
    *("*.kdb", "*.kdbx", "*.agekey", "*.gpg", "*.pgp", "*.ovpn", "*.wallet", "*.tfstate", "*.tfstate.*", "*.tfvars"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "authorized_keys", "kubeconfig", "*.kubeconfig", "shadow"),
    *("credentials", "*credentials*.json", "client_secret*.json", "service{-,_}account*.json", "*.secret", "*.secrets"),
    *(f"credentials.{_DATA}", f"{{secret,secrets}}.{_DATA}", f"*{{-,_}}{{secret,secrets}}.{_DATA}"),
)
SECRET_FOLDERS: Final = frozenset((".ssh", ".gnupg", ".aws", ".azure", ".gcloud", ".kube", ".docker", ".hector"))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NO_TEXT: Final = _words("""
    7z a aac aiff apk ar arrow avi avif bin blend bmp bz2 cab cache class cr2 cur dat db db-journal db-shm db-wal deb
    dex dll dmg dng ds_store dwg dylib eot exe fbx feather flac flv fla gguf ggml gif glb gz h5 hdf5 heic heif icns ico
    idx img ipa iso jar jp2 jpeg jpg jxl lib lz lz4 lzma lzo m4a m4v mat mdb mid midi mkv mo mov mp3 mp4 mpeg mpg msi
    nef npy npz o obj ogg ogv onnx opus orc otf pack parquet pch pcap pdb pickle pkl png ppm psd pt pth pyc pyd pyo
    qcow2 rar raw rdb rlib rpm safetensors so sqlite sqlite-shm sqlite-wal sqlite3 squashfs stl swf swp tar tbz2 tgz
    tif tiff ttf txz vdi vhd vmdk war wasm wav weba webm webp whl wma wmv woff woff2 xcf xz z zip zst
""")
"""Endings of images, sound, films, archives, programs, fonts, data and databases."""
_TEXT: Final = _words("""
    md markdown mdx rst adoc asciidoc txt text log csv tsv json jsonl ndjson json5 yaml yml toml ini cfg conf xml xsd
    xsl svg html htm xhtml css scss less js mjs cjs jsx ts tsx vue svelte py pyi rb php pl pm sh bash zsh fish ps1 bat
    cmd c h cc cpp cxx hpp hh cs java kt kts scala groovy gradle go rs swift m mm r jl lua dart ex exs erl hs clj sql
    proto graphql tf hcl tex bib org srt vtt po properties pdf docx xlsx pptx odt ods odp epub rtf ipynb eml
""")
"""Endings of what is read; others are looked into."""

_PRIVATE_KEY: Final = re.compile(rb"\A\s*-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----")
_WITH_NULS: Final = (b"\xff\xfe", b"\xfe\xff", b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"{\\rtf")
"""How texts in UTF-16, and documents, begin."""


def _one(glob: str) -> str:
    return f"(?:{expression(glob, exact=True)})"


_SECRETS: Final = {form: re.compile(_one(form), re.I | re.S) for glob in _SECRET_NAMES for form in forms(glob)}
_SECRET: Final = re.compile("|".join(map(_one, _SECRETS)), re.I | re.S)


class Spoken:
    """What the patterns of `include` say of names, in small letters: `.env`, `*.pem`, `*.png`."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.lower() for name in names)

    def secret(self, name: str) -> bool:
        """Whether one says the name of this secret, or the kind of secret that it is, in the words used here."""
        kinds = (kind for kind in self._names if kind in _SECRETS)
        return name.lower() in self._names or any(_SECRETS[kind].fullmatch(name) for kind in kinds)

    def ending(self, name: str) -> bool:
        """Whether one says this name, or its ending."""
        return name.lower() in self._names or f"*.{ending(name)}" in self._names


def is_secret(name: str) -> bool:
    """Whether a name is one of those that files with keys and passwords have."""
    return _SECRET.fullmatch(name) is not None


def has_no_text(name: str) -> bool:
    """Whether a name's ending says that there is no text in it."""
    return ending(name) in _NO_TEXT


def says_text(name: str) -> bool:
    """Whether a name's ending says that there is."""
    return ending(name) in _TEXT


def looks_binary(start: bytes) -> bool:
    """Whether the first bytes of a file are those of something else than a text or a document."""
    return b"\0" in start and not start.startswith(_WITH_NULS)


def holds_key(start: bytes) -> bool:
    """Whether a file begins like a private key, whatever it is called."""
    return _PRIVATE_KEY.match(start) is not None


def ending(name: str) -> str:
    """In small letters, without its dot; empty if there is none."""
    head, dot, tail = name.rpartition(".")
    return tail.lower() if dot and head else ""
