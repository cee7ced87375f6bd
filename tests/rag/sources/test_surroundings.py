"""What doctor looks at, and what apps may have for sources that somebody else has written."""

from collections.abc import Sequence

import pytest

from hector.cli.doctor_sources import origins
from hector.config.environment import Environment
from hector.config.findings import InvalidConfig
from hector.config.load import parse_config
from hector.config.tenancy import Policy, parse_app
from hector.config.tenants import Tenants

STORES = """
databases:
  shop: {driver: postgres, host: db.example.org, database: shop, username: reader, password: hush}
document_stores:
  a: {source: {api: {url: "https://api.example.org/items"}}}
  b: {source: {blob: {url: "s3://bucket/docs", region: eu-west-1, secret_access_key: hush}}}
  c: {source: {sql: {database: shop, query: SELECT 1 AS id}}}
  d: {source: {sql: {dsn: "sqlite://x.db", query: SELECT 1 AS id}}}
  e: {source: docs}
  f: {source: {git: {url: "https://git.example.org/x.git", token: hush}}}
  g: {source: {git: {url: "file:///srv/x.git"}}}
"""


def test_doctor_knows_where_documents_come_from() -> None:
    found = {one.name.rpartition(".")[2]: one.url for one in origins(parse_config(STORES, env={}).config)}

    assert found == {
        "a": "https://api.example.org/items", "b": "https://bucket.s3.eu-west-1.amazonaws.com",
        "c": "postgres://db.example.org:5432", "f": "https://git.example.org/x.git",
    }  # fmt: skip


def refused(source: str, hosts: Sequence[str] = ()) -> list[str]:
    """The paths that the policy refuses in the configuration of an app."""
    policy = Policy("theirs", Tenants(hosts=(*Tenants().hosts, *hosts)), Environment({}))
    text = f"llms: {{m: {{provider: openai, api_key: k}}}}\ndocument_stores: {{kb: {source}}}"
    try:
        parse_app(text, "yaml", policy)
    except InvalidConfig as error:
        return [".".join(map(str, one.where)) for one in error.findings if one.kind == "policy"]
    return []


@pytest.mark.proves("rag.sources.tenants")
@pytest.mark.parametrize(
    ("source", "hosts", "place"),
    [
        ("{}", (), "source.type"),
        ("{source: /etc}", (), "source.type"),
        ("{source: {path: /etc}}", (), "source.type"),
        ("{source: {directory: /etc}}", (), "source.type"),
        ("{source: 'file:///etc'}", (), "source.blob"),
        ("{source: {git: {url: /srv/x.git}}}", (), "source.git"),
        ("{source: {git: {url: 'file:///srv/x.git'}}}", (), "source.git"),
        ("{source: {git: {url: 'https://10.0.0.1/x.git'}}}", (), "source.git"),
        ("{source: {git: {url: 'https://git.example.org/x', token_env: HOME}}}", ("git.example.org",),
         "source.git.token_env"),
        ("{source: {git: {url: 'https://git.example.org/x.git', token: t}}}", ("git.example.org",), ""),
        ("{source: {blob: {prefix: x}}}", (), "source.blob"),
        ("{source: {dsn: 'sqlite://hector.db', query: q}}", (), "source.type"),
        ("{source: {api: {url: 'http://10.0.0.1/'}}}", (), "source.api.url"),
        ("{source: {url: 'http://10.0.0.1/'}}", (), "source.api.url"),
        ("{source: {type: s3, url: 's3://b'}}", (), "source.blob"),
        ("{source: {blob: {url: 's3://b', endpoint: 'http://10.0.0.1'}}}", ("*.amazonaws.com",), "source.blob"),
        ("{source: {blob: {url: 'gs://b', credentials_file: /x}}}", ("storage.googleapis.com",),
         "source.blob.credentials_file"),
        ("{source: {api: {url: 'https://docs.example.org/'}}}", ("docs.example.org",), ""),
        ("{source: {blob: {url: 's3://b', access_key_id: a, secret_access_key: b}}}", ("*.amazonaws.com",), ""),
    ],
)  # fmt: skip
def test_what_apps_may_have_for_sources(source: str, hosts: tuple[str, ...], place: str) -> None:
    found = refused(source, hosts)
    assert (f"document_stores.kb.{place}" in found) if place else found == []
