"""Vector stores that are servers: most over an HTTP interface, pgvector as PostgreSQL speaks."""

from typing import Literal, Self

from pydantic import Field, model_validator

from hector.config.base import Address, Duration, complaint
from hector.config.llmbase import Retry
from hector.config.postgres import is_postgres, parse
from hector.config.vectorstores import VectorStoreBase


class VectorServer(VectorStoreBase):
    """What all of them have in common."""

    api_key: str = Field("", repr=False, description="Key or token of the server.")
    enable_tls: bool = Field(False, description="Call it over HTTPS.")
    timeout: Duration = Field(30.0, gt=0, description="Longest silence of the server.")
    connect_timeout: Duration = Field(10.0, gt=0, description="Longest wait for a connection.")
    headers: dict[str, str] = Field({}, description="Extra HTTP headers for every call.")
    proxy: Address | None = Field(
        None,
        description="HTTP proxy, as http://user:password@host:port. Left out: HTTPS_PROXY, HTTP_PROXY, NO_PROXY count.",
    )
    ca_bundle: str | None = Field(
        None,
        description="File with the certificates to trust, relative to the configuration file. Left out: the usual.",
    )
    retry: Retry = Field(
        default_factory=Retry.model_construct, description="What to do when a call fails for a reason that may pass."
    )

    def base_url(self) -> str:
        """Where calls go."""
        host = str(getattr(self, "host", ""))
        if "://" in host:
            return host.rstrip("/")
        scheme = "https" if self.enable_tls else "http"
        return (
            f"{scheme}://{f'[{host}]' if host.count(':') > 1 and host[:1] != '[' else host}:{getattr(self, 'port', 0)}"
        )


_HOST = "Name or address of the server, or its whole URL."


class QdrantStore(VectorServer):
    """Qdrant."""

    type: Literal["qdrant"] = Field("qdrant", description="A Qdrant server, 1.10 or newer.")
    host: str = Field(min_length=1, description=_HOST)
    port: int = Field(6333, ge=1, le=65535, description="Port of its HTTP interface.")
    api_key: str = Field("", repr=False, description="Key; left out: QDRANT_API_KEY from the environment.")


class WeaviateStore(VectorServer):
    """Weaviate."""

    type: Literal["weaviate"] = Field("weaviate", description="A Weaviate server, 1.25 or newer.")
    host: str = Field(min_length=1, description=_HOST)
    port: int = Field(8080, ge=1, le=65535, description="Port of its HTTP interface.")
    api_key: str = Field("", repr=False, description="Key; left out: WEAVIATE_API_KEY from the environment.")


class MilvusStore(VectorServer):
    """Milvus, or Zilliz Cloud."""

    type: Literal["milvus"] = Field("milvus", description="A Milvus server, 2.4 or newer.")
    host: str = Field(min_length=1, description=_HOST)
    port: int = Field(19530, ge=1, le=65535, description="Port of its HTTP interface.")
    api_key: str = Field(
        "", repr=False, description="Token, or user:password; left out: MILVUS_TOKEN from the environment."
    )
    database: str = Field("", description="Database there. Left out: its default.")


class ChromaStore(VectorServer):
    """Chroma."""

    type: Literal["chroma"] = Field("chroma", description="A Chroma server, 1.0 or newer.")
    host: str = Field(min_length=1, description=_HOST)
    port: int = Field(8000, ge=1, le=65535, description="Port of its HTTP interface.")
    api_key: str = Field("", repr=False, description="Token; left out: CHROMA_API_KEY from the environment.")
    tenant: str = Field("default_tenant", min_length=1, description="Tenant there.")
    database: str = Field("default_database", min_length=1, description="Database there.")


class PineconeStore(VectorServer):
    """Pinecone."""

    type: Literal["pinecone"] = Field("pinecone", description="Pinecone.")
    api_key: str = Field("", repr=False, description="Key; left out: PINECONE_API_KEY from the environment.")
    enable_tls: bool = Field(True, description="Call it over HTTPS; false is for an emulator.")
    index_name: str = Field("hector", min_length=1, description="Index; made, serverless, where there is none.")
    environment: str = Field(
        "us-east-1", min_length=1, description="Region of an index that is made, as in us-east-1, or aws:us-east-1."
    )
    host: str = Field(
        "", description="Host of the index, as the console shows it. Left out: asked for by the index's name."
    )
    control_url: Address = Field("https://api.pinecone.io", description="Where indexes are asked for and made.")


class PgvectorStore(VectorStoreBase):
    """PostgreSQL with pgvector."""

    type: Literal["pgvector"] = Field(
        "pgvector", description="PostgreSQL with the extension pgvector, for which postgres is another name."
    )
    url: str = Field(
        "",
        repr=False,
        description="Address: postgres://user:password@host/name?sslmode=verify-full. `dsn` and `connection_string` "
        "are other names.",
    )
    database: str = Field("", description="Or which database: an id under `databases`, with driver postgres.")
    db_schema: str = Field(
        "", alias="schema", max_length=63, description="Schema of the tables. Left out: the first of the search path."
    )
    index: Literal["hnsw", "none"] = Field(
        "hnsw",
        description="hnsw: large collections are searched by an approximate index, as pgvector 0.5 and newer have it. "
        "none: every search looks at all vectors, and is exact.",
    )
    timeout: Duration = Field(30.0, gt=0, description="Longest run of one statement.")

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if bool(self.database) == bool(self.url):
            what = "database and url are both given" if self.url else "no database is named"
            raise complaint(what, "database (an id under databases), or url, one of them")
        if not self.url:
            return self
        if not is_postgres(self.url):
            raise complaint("url is no address of PostgreSQL", "postgres://user:password@host:5432/database")
        try:
            parse(self.url)
        except ValueError as error:
            raise complaint(f"url: {error}", "postgres://user:password@host:5432/database") from None
        return self
