"""Sources of documents, in all the ways in which people write them."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from hector.config.document import Document
from hector.config.sourcebase import EXCLUDED
from hector.config.sourceforms import address_of_bucket, unfold
from hector.config.sources import Source

SOURCE: TypeAdapter[Any] = TypeAdapter(Source)


def unfolded(source: object) -> Any:
    document = Document("", "", {"document_stores": {"kb": {} if source is None else {"source": source}}})
    unfold(document)
    return document.value["document_stores"]["kb"]["source"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, {"type": "directory"}),
        ({}, {"type": "directory"}),
        ("docs", {"type": "directory", "path": "docs"}),
        ("s3://bucket/docs", {"type": "blob", "blob": {"url": "s3://bucket/docs"}}),
        ("https://example.org/docs.git", {"type": "git", "git": {"url": "https://example.org/docs.git"}}),
        ("https://example.org/items", {"type": "api", "api": {"url": "https://example.org/items"}}),
        ({"type": "Folder", "path": "x"}, {"type": "directory", "path": "x"}),
        ({"directory": "x", "include": ["*.md"]}, {"type": "directory", "path": "x", "include": ["*.md"]}),
        ({"directory": {"path": "x"}}, {"type": "directory", "path": "x"}),
        ({"blob": {"url": "gs://b"}}, {"type": "blob", "blob": {"url": "gs://b"}}),
        ({"type": "blob", "url": "gs://b", "include": ["*.md"]},
         {"type": "blob", "blob": {"url": "gs://b"}, "include": ["*.md"]}),
        ({"type": "s3", "url": "s3://b"}, {"type": "blob", "blob": {"url": "s3://b"}}),
        ({"dsn": "sqlite://x.db", "query": "SELECT 1"},
         {"type": "sql", "sql": {"dsn": "sqlite://x.db", "query": "SELECT 1"}}),
        ({"type": "sql", "tables": [], "sql": {"database": "main"}},
         {"type": "sql", "sql": {"database": "main", "tables": []}}),
        ({"url": "http://x/y"}, {"type": "api", "api": {"url": "http://x/y"}}),
        ({"type": "collection", "collection": {"name": "old"}}, {"type": "collection", "collection": "old"}),
        ({"collection": "old"}, {"type": "collection", "collection": "old"}),
        ({"urls": ["git@host:x"]}, {"type": "git", "git": {"url": "git@host:x"}}),
        ({"urls": ["a", "b"]}, {"type": "git", "git": {"urls": ["a", "b"]}}),
        ({"type": "git", "url": "u", "branch": "b", "depth": 1, "sparse_paths": ["docs/"], "auth_token_env": "T",
          "refresh_mode": "startup"},
         {"type": "git", "git": {"url": "u", "ref": "b", "token_env": "T"}, "include": ["/docs"]}),
    ],
)  # fmt: skip
def test_other_ways_of_writing_a_source(written: object, meant: object) -> None:
    assert unfolded(written) == meant


def test_what_is_left_out_has_a_default() -> None:
    made = SOURCE.validate_python({})

    assert (made.type, made.path, made.include, made.exclude) == ("directory", ".", (), EXCLUDED)
    assert made.max_file_size == 10_485_760
    assert SOURCE.validate_python({"exclude": ["a"]}).exclude == ("a",)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"include": ["!x.md"]}, "no pattern"),
        ({"include": ["../x.md"]}, "no pattern"),
        ({"max_file_size": 0}, "greater than 0"),
        ({"sql": {"tables": [{"table": "t", "columns": ["a"]}]}}, "no database is named"),
        ({"sql": {"database": "m", "dsn": "sqlite://x", "query": "q"}}, "both given"),
        ({"sql": {"database": "m"}}, "neither tables nor a query"),
        ({"sql": {"database": "m", "tables": [{"table": "t", "columns": []}]}}, "at least 1"),
        ({"api": {"url": "file:///etc/passwd"}}, "no web address"),
        ({"api": {"url": "http://x", "auth": {"type": "bearer"}}}, "needs token"),
        ({"api": {"url": "http://x", "pagination": {"type": "cursor"}}}, "a cursor stands nowhere"),
        ({"blob": {"url": "ftp://x"}}, "names no store"),
        ({"blob": {"url": "s3://user:secret@bucket"}}, "names no store"),
        ({"type": "git"}, "Field required"),
        ({"git": {"url": "git@host:x/y.git"}}, "by ssh"),
        ({"git": {"url": "ssh://host/y.git"}}, "by ssh"),
        ({"git": {"url": "git://host/y.git"}}, "without any protection"),
        ({"git": {"url": "https://me:secret@host/y.git"}}, "credentials stand in the address"),
        ({"git": {"url": "ftp://x/y"}}, "names no repository"),
        ({"git": {"url": "https://host/y.git", "ref": "a b"}}, "pattern"),
        ({"type": "collection"}, "Field required"),
    ],
)
def test_what_cannot_be_is_refused(source: object, complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SOURCE.validate_python(source)
    assert complaint in str(caught.value)


def test_a_repository_is_looked_at_again_as_others_say_it() -> None:
    source = {"url": "https://host/y.git", "refresh_mode": "interval", "refresh_interval": "2h"}
    document = Document("", "", {"document_stores": {"kb": {"source": source}}})
    unfold(document)

    assert document.value["document_stores"]["kb"]["indexing"] == {"interval": "2h"}


def test_secrets_are_not_shown() -> None:
    blob = SOURCE.validate_python({"blob": {"url": "s3://b", "secret_access_key": "hush", "session_token": "hush"}})
    sql = SOURCE.validate_python({"sql": {"dsn": "postgres://u:hush@h/d", "query": "q"}})

    assert "hush" not in repr(blob) + repr(sql)


@pytest.mark.parametrize(
    ("blob", "address"),
    [
        ({}, ""),
        ({"url": "file:///etc"}, ""),
        ({"url": "FILE:///etc"}, ""),
        ({"url": "s3://b/x"}, "https://b.s3.us-east-1.amazonaws.com"),
        ({"url": "s3://b", "region": "eu-west-1"}, "https://b.s3.eu-west-1.amazonaws.com"),
        ({"url": "s3://b", "endpoint": "http://minio:9000"}, "http://minio:9000"),
        ({"url": "gs://b"}, "https://storage.googleapis.com"),
        ({"url": "azblob://c", "account": "acc"}, "https://acc.blob.core.windows.net"),
        ({"url": "azblob://c"}, ""),
    ],
)
def test_where_an_object_store_is_reached(blob: dict[str, str], address: str) -> None:
    assert address_of_bucket(blob) == address
