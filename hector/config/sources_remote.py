"""Sources of documents that are reached over the network: web services, object stores, repositories."""

from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, model_validator

from hector.config.base import Address, Duration, Names, Section, Size, complaint, web_address
from hector.config.sourcebase import Files, SourceBase

_PAGE: Final = {"offset": "offset", "page": "page", "cursor": "cursor", "link": ""}
_PROXY: Final = "Proxy for its address. Left out: as the environment says."
_BUNDLE: Final = "File of certificate authorities to trust instead of the usual ones."


class ApiAuth(Section):
    """How a web service knows who asks."""

    type: Literal["bearer", "basic", "apikey"] = Field(
        description="bearer: a token in Authorization; basic: user and password; apikey: a key in a header or a "
        "parameter."
    )
    token: str = Field("", repr=False, description="bearer: the token.")
    username: str = Field("", description="basic: the user.")
    password: str = Field("", repr=False, description="basic: the password.")
    api_key: str = Field("", repr=False, description="apikey: the key.")
    header: str = Field("X-API-Key", description="apikey: the header that carries it.")
    param: str = Field("", description="apikey: the parameter of the address that carries it, in place of a header.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        needed = {"bearer": self.token, "basic": self.username, "apikey": self.api_key}
        if not needed[self.type]:
            key = {"bearer": "token", "basic": "username", "apikey": "api_key"}[self.type]
            raise complaint(f"auth of type {self.type} needs {key}", key)
        return self


class Pagination(Section):
    """How a web service hands out a long list in pieces."""

    type: Literal["offset", "page", "cursor", "link"] = Field(
        description="offset: counts entries; page: counts pages; cursor: each answer holds a mark for the next one; "
        "link: each answer names the address of the next one, in its body or its Link header."
    )
    page_param: str = Field(
        "", description="Parameter that says where to go on. Left out: offset, page or cursor, as the type is called."
    )
    size_param: str = Field("limit", description="Parameter with the size of a page; empty: it is not said.")
    page_size: int = Field(100, ge=1, le=10_000, description="Entries of a page.")
    first_page: int = Field(1, ge=0, description="page: the number of the first one.")
    max_pages: int = Field(1000, ge=1, description="Where it ends at the latest; that is an error, not a shorter list.")
    next_field: str = Field(
        "", description="cursor, link: where in the answer the mark or address stands, such as meta.next."
    )
    data_field: str = Field("", description="Where in the answer the entries stand; `response_path` says the same.")

    @property
    def parameter(self) -> str:
        """What says where to go on."""
        return self.page_param or _PAGE[self.type]

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if self.type == "cursor" and not self.next_field:
            raise complaint("a cursor stands nowhere", "next_field, such as meta.next_cursor")
        return self


class Api(Section):
    """A list of things at a web service, each of which is a document."""

    url: Address = Field(description="Address of the list.")
    method: Literal["GET", "POST"] = Field("GET", description="How it is asked for.")
    headers: dict[str, str] = Field({}, description="Headers of every request.")
    params: dict[str, str] = Field({}, description="Parameters of the address.")
    body: dict[str, Any] | None = Field(
        None, description="POST: what is sent, as JSON; the parameters of pages join it."
    )
    auth: ApiAuth | None = Field(None, description="How it knows who asks. Left out: not at all.")
    response_path: str = Field(
        "",
        description="Where in the answer the entries stand, such as data.items. Left out: the answer itself, or the "
        "only list in it.",
    )
    id_field: str = Field("id", min_length=1, description="Field that tells entries apart, such as meta.key.")
    content_field: str = Field("", description="Field with the text of an entry.")
    content_fields: Names = Field(
        (), description="Fields with its text, as `name: value` paragraphs. Left out: every field that holds text."
    )
    title_field: str = Field("", description="Field with its title.")
    url_field: str = Field("", description="Field with the address where a person finds it.")
    metadata_fields: Names = Field((), description="Fields that searches can filter by.")
    updated_field: str = Field(
        "", description="Field that changes with an entry. Left out: entries are compared by their content."
    )
    pagination: Pagination | None = Field(None, description="How long lists come in pieces. Left out: in one.")
    timeout: Duration = Field(30.0, gt=0, description="Longest wait for an answer.")
    max_response_size: Size = Field(8 * 2**20, gt=0, description="Larger answers are an error.")
    requests_per_second: float = Field(0.0, ge=0, description="How fast it is asked at most; 0 means no limit.")
    proxy: str | None = Field(None, description=_PROXY)
    ca_bundle: str | None = Field(None, description=_BUNDLE)


class ApiSource(SourceBase):
    """Entries of a web service."""

    type: Literal["api"] = Field("api", description="Kind of source.")
    api: Api = Field(description="Which ones.")


SCHEMES: Final = ("file", "s3", "gs", "azblob")


def _bucket(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in SCHEMES or "@" in parts.netloc or not (parts.scheme == "file" or parts.netloc):
        raise complaint(f"{value!r} names no store of objects", "s3://bucket, gs://bucket, azblob://container, file://")
    return value


class Blob(Section):
    """A bucket or container of an object store. What is left out comes from the environment, as its makers name it."""

    url: Annotated[str, AfterValidator(_bucket)] = Field(
        "file://./docs",
        description="s3://bucket, gs://bucket, azblob://container, each with a folder behind it if one likes; file:// "
        "and a folder of this machine.",
    )
    prefix: str = Field("", description="Only what begins with this.")
    endpoint: Address | None = Field(
        None, description="Address of the service, such as http://minio:9000. Left out: that of AWS, Google or Azure."
    )
    region: str = Field("", description="s3: its region. Left out: AWS_REGION, AWS_DEFAULT_REGION, us-east-1.")
    path_style: bool | None = Field(
        None, description="s3: bucket in the path, not in the host. Left out: with `endpoint` only."
    )
    anonymous: bool = Field(False, description="Ask without credentials, for what is open to everybody.")
    access_key_id: str = Field("", description="s3, gs (HMAC keys): AWS_ACCESS_KEY_ID.")
    secret_access_key: str = Field("", repr=False, description="s3, gs (HMAC keys): AWS_SECRET_ACCESS_KEY.")
    session_token: str = Field("", repr=False, description="s3: AWS_SESSION_TOKEN.")
    credentials_file: str = Field(
        "", description="gs: file with the key of a service account. Left out: GOOGLE_APPLICATION_CREDENTIALS."
    )
    account: str = Field("", description="azblob: the storage account. Left out: AZURE_STORAGE_ACCOUNT.")
    account_key: str = Field("", repr=False, description="azblob: its key. Left out: AZURE_STORAGE_KEY.")
    sas_token: str = Field("", repr=False, description="azblob: in place of a key: AZURE_STORAGE_SAS_TOKEN.")
    timeout: Duration = Field(60.0, gt=0, description="Longest silence while something is fetched.")
    proxy: str | None = Field(None, description=_PROXY)
    ca_bundle: str | None = Field(None, description=_BUNDLE)

    @property
    def scheme(self) -> str:
        """file, s3, gs or azblob."""
        return urlsplit(self.url).scheme


class BlobSource(Files):
    """Objects of a bucket."""

    type: Literal["blob"] = Field("blob", description="Kind of source.")
    blob: Blob = Field(default_factory=Blob, description="Which ones.")


def _repository(value: str) -> str:
    scheme = urlsplit(value).scheme.lower() if "://" in value else ""
    if scheme in {"ssh", "git", "git+ssh"} or (not scheme and value.partition(":")[0].rpartition("@")[1]):
        raise complaint(
            f"{value!r} is asked for by ssh, or without any protection, which is not done: give its https address, and "
            "a token where it needs one", "https://host/repository.git, or a folder of this machine",
        )  # fmt: skip
    if scheme in {"http", "https"}:
        if "@" in urlsplit(value).netloc:
            raise complaint("credentials stand in the address", "token, or username and password, beside url")
        return web_address(value)
    if scheme not in {"", "file"} or not value.strip() or "\0" in value:
        raise complaint(f"{value!r} names no repository", "https://host/repository.git, or a folder of this machine")
    return value


class Git(Section):
    """The files of one commit of a repository."""

    url: Annotated[str, AfterValidator(_repository)] = Field(
        description="https://host/repository.git, or a repository of this machine (a folder, bare or with a .git)."
    )
    ref: str = Field(
        "", max_length=250, pattern=r"^[^\x00-\x20\x7f~^:?*\[\\]*$",
        description="Branch, tag or id of a commit (all 40 digits). Left out: the default branch.",
    )  # fmt: skip
    token: str = Field("", repr=False, description="Token of the forge, sent as a password.")
    token_env: str = Field("", description="Or the variable of the environment that holds it.")
    username: str = Field("", description="User, where a token or password needs a certain one.")
    password: str = Field("", repr=False, description="Password, in place of a token.")
    headers: dict[str, str] = Field({}, repr=False, description="Headers of every request.")
    link: str = Field(
        "",
        description="Where a person finds a file, with {commit} and {path}, such as "
        "https://github.com/org/docs/blob/{commit}/{path}. Left out: the address of the repository, commit and path.",
    )
    max_download: Size = Field(
        2**30, gt=0, description="Bytes of one commit at most, where a server cannot give files one by one."
    )
    timeout: Duration = Field(60.0, gt=0, description="Longest silence while something is fetched.")
    proxy: str | None = Field(None, description=_PROXY)
    ca_bundle: str | None = Field(None, description=_BUNDLE)

    @property
    def folder(self) -> str:
        """The repository's folder, where it is on this machine; else empty."""
        if self.url.startswith(("https://", "http://")):
            return ""
        return unquote(self.url[7:]) if self.url.lower().startswith("file://") else self.url


class GitSource(Files):
    """Files of a repository."""

    type: Literal["git"] = Field("git", description="Kind of source.")
    git: Git = Field(description="Which ones.")
    ignore_files: bool = Field(True, description="Whether .ignore and .hectorignore in it leave out what they list.")
