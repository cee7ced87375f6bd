"""Objects of a bucket as documents."""

import os
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from hector.config.sources import DirectorySource
from hector.config.sources_remote import Blob, BlobSource
from hector.core.errors import ConfigError
from hector.core.retrieval import Content, Item, Omitted
from hector.observe.redact import remember
from hector.rag.errors import Gone, SourceError, Unreadable
from hector.rag.sources import azure, gcs, s3, sensitive
from hector.rag.sources.buckets import Bucket, Entry
from hector.rag.sources.choice import NOT_MEANT, Choice
from hector.rag.sources.web import Reach, opened


class BlobFiles:
    """The source. Ids are keys; patterns look at what stands behind the folder of `url` and `prefix`."""

    def __init__(self, section: BlobSource, bucket: Bucket, root: str) -> None:
        self._bucket = bucket
        self._url = f"{section.blob.scheme}://{urlsplit(section.blob.url).netloc}"
        self._root = root
        self._folder = root[: root.rfind("/") + 1]
        self._choice = Choice(section.include, section.exclude, section.max_file_size)
        self._largest = section.max_file_size
        self._omitted = Omitted()

    @property
    def omitted(self) -> Omitted:
        """Of the last listing that came to its end."""
        return self._omitted

    async def items(self, ids: Sequence[str] = ()) -> AsyncGenerator[Item]:
        """Every object, or those of `ids`. Raises SourceError."""
        if ids:
            for key in ids:
                entry = await self._bucket.look(key) if key.startswith(self._root) else None
                if entry is not None and not self._left_out(entry):
                    yield self._item(entry)
            return
        counts: Counter[str] = Counter()
        mark, marks = "", set[int]()
        while True:
            page = await self._bucket.page(self._root, mark)
            for entry in page.entries:
                reason = self._left_out(entry)
                if reason:
                    counts[reason] += 1
                else:
                    yield self._item(entry)
            mark = page.mark
            if not mark:
                break
            if hash(mark) in marks:
                raise SourceError(f"the list of {self._url} goes in circles")
            marks.add(hash(mark))
        self._omitted = Omitted({reason: count for reason, count in counts.items() if reason != NOT_MEANT})

    async def read(self, item: Item) -> Content:
        """The bytes of an object. Raises Unreadable, Gone, SourceError."""
        found = await self._bucket.read(item.id, self._largest)
        if found is None:
            raise Gone(f"there is no {item.name} any more")
        entry, data = found
        path = self._path(entry.key)
        if not self._choice.names(path) and sensitive.holds_key(data[:200]):
            raise Unreadable("it holds a private key; name the file in `include` to have it read all the same")
        if not self._choice.is_certain(item.name) and sensitive.looks_binary(data[:4096]):
            raise Unreadable("it is no text")
        # Where an answer names no version, the listed one stands: if it was another already, the next listing says so.
        return Content(self._item(entry) if entry.tag else item, data)

    def watch(self) -> None:
        """Object stores tell of nothing."""
        return

    async def aclose(self) -> None:
        """Close every connection."""
        await self._bucket.aclose()

    def _path(self, key: str) -> str:
        return key.removeprefix(self._folder)

    def _left_out(self, entry: Entry) -> str:
        path = self._path(entry.key)
        if path.endswith("/") or not path:
            return NOT_MEANT
        return self._choice.whole(path, entry.size)

    def _item(self, entry: Entry) -> Item:
        path = self._path(entry.key)
        folder, _, name = path.rpartition("/")
        metadata: dict[str, Any] = {
            "path": path, "folder": folder, "name": name, "extension": sensitive.ending(name), "size": entry.size,
        }  # fmt: skip
        return Item(
            entry.key, name, f"{entry.size}-{entry.tag}", f"{self._url}/{entry.key}", entry.size, metadata=metadata
        )


def folder_of(section: BlobSource) -> DirectorySource:
    """A folder of this machine that is written as a URL."""
    blob, keys = section.blob, section.model_dump(include={"include", "exclude", "max_file_size"})
    path = unquote(blob.url.removeprefix("file://")) or "."
    return DirectorySource.model_validate({**keys, "path": os.path.join(path, blob.prefix) if blob.prefix else path})


def open_bucket(section: BlobSource, environment: Mapping[str, str]) -> BlobFiles:
    """A bucket elsewhere. Raises ConfigError for credentials that are missing or of no use."""
    blob, parts = section.blob, urlsplit(section.blob.url)
    remember(blob.secret_access_key, blob.session_token, blob.account_key, blob.sas_token)
    folder = unquote(parts.path).lstrip("/")
    folder = f"{folder.rstrip('/')}/" if folder else ""
    bucket = _OPENERS[blob.scheme](blob, parts.netloc, environment)
    return BlobFiles(section, bucket, folder + blob.prefix.lstrip("/"))


def _s3(blob: Blob, bucket: str, environment: Mapping[str, str]) -> Bucket:
    endpoint = blob.endpoint or environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    region = blob.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    in_path = blob.path_style if blob.path_style is not None else bool(endpoint)
    origin, where = s3.place(bucket, endpoint, region, path_style=in_path)
    return s3.S3Bucket(opened(_reach(blob, origin)), where, _aws_keys(blob, environment))


def _aws_keys(blob: Blob, environment: Mapping[str, str]) -> s3.Keys:
    if blob.anonymous:
        return s3.Keys()
    if blob.access_key_id:
        return s3.Keys(blob.access_key_id, blob.secret_access_key, blob.session_token)
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    keys = s3.Keys(*(environment.get(name, "") for name in names))
    if not keys.access or not keys.secret:
        raise ConfigError(
            f"{blob.url} needs credentials: set access_key_id and secret_access_key, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in the environment, or anonymous: true for what is open to everybody"
        )
    remember(keys.secret, keys.session)
    return keys


def _gs(blob: Blob, bucket: str, environment: Mapping[str, str]) -> Bucket:
    origin = (blob.endpoint or environment.get("STORAGE_EMULATOR_HOST") or gcs.ORIGIN).rstrip("/")
    origin = origin if "://" in origin else f"http://{origin}"
    if blob.access_key_id:  # HMAC keys are for the interface that speaks like S3
        _, where = s3.place(bucket, origin, blob.region or "auto", path_style=True)
        return s3.S3Bucket(opened(_reach(blob, origin)), where, _aws_keys(blob, environment))
    file = blob.credentials_file or environment.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if blob.anonymous:
        return gcs.GcsBucket(opened(_reach(blob, origin)), bucket, None)
    if not file:
        raise ConfigError(
            f"{blob.url} needs credentials: set credentials_file or GOOGLE_APPLICATION_CREDENTIALS to the key of a "
            "service account, or access_key_id and secret_access_key (HMAC keys), or anonymous: true"
        )
    from hector.auth.service_account import key_of  # noqa: PLC0415 - only with such a bucket

    key = key_of(file)
    remember(key["private_key"])
    parts = urlsplit(key["token_uri"])
    token = gcs.Token(key, _reach(blob, f"{parts.scheme}://{parts.netloc}"))
    return gcs.GcsBucket(opened(_reach(blob, origin)), bucket, token)


def _azblob(blob: Blob, container: str, environment: Mapping[str, str]) -> Bucket:
    account = blob.account or environment.get("AZURE_STORAGE_ACCOUNT", "")
    if not account:
        raise ConfigError(f"{blob.url} needs the name of its storage account: set account, or AZURE_STORAGE_ACCOUNT")
    origin, where = azure.place(container, blob.endpoint or "", account)
    return azure.AzureContainer(opened(_reach(blob, origin)), where, _azure_keys(blob, environment))


def _azure_keys(blob: Blob, environment: Mapping[str, str]) -> azure.AzureKeys:
    if blob.anonymous:
        return azure.AzureKeys()
    key = blob.account_key or ("" if blob.sas_token else environment.get("AZURE_STORAGE_KEY", ""))
    sas = blob.sas_token or environment.get("AZURE_STORAGE_SAS_TOKEN", "")
    remember(key, sas)
    if key:
        return azure.AzureKeys(azure.key_of(key))
    if sas:
        return azure.AzureKeys(sas=azure.sas_of(sas))
    raise ConfigError(
        f"{blob.url} needs credentials: set account_key or sas_token, or AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN "
        "in the environment, or anonymous: true for what is open to everybody"
    )


def _reach(blob: Blob, origin: str) -> Reach:
    return Reach(origin, blob.timeout, blob.proxy, blob.ca_bundle)


_OPENERS: Final = {"s3": _s3, "gs": _gs, "azblob": _azblob}
