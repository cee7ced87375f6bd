"""The whole file."""

from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from hector.config.agents import Agent
from hector.config.base import Section
from hector.config.choice import ModelNames
from hector.config.later import later
from hector.config.llms import Llm
from hector.config.server import Logger, Server, Storage
from hector.config.tenants import Tenants
from hector.config.tools import Tool
from hector.core.ids import CONFIG_ID

if TYPE_CHECKING:
    from hector.config.budgets import Budget, Price
    from hector.config.database import Database
    from hector.config.documents import DocumentStore
    from hector.config.embedders import Embedder
    from hector.config.limits import Limits, RateLimitingBlock
    from hector.config.mcpserver import McpServer
    from hector.config.observability import Observability
    from hector.config.vectorstores import VectorStore
else:
    Budget, Price = (later("hector.config.budgets", name) for name in ("Budget", "Price"))
    Database = later("hector.config.database", "Database")
    Limits, RateLimitingBlock = (later("hector.config.limits", name) for name in ("Limits", "RateLimitingBlock"))
    McpServer = later("hector.config.mcpserver", "McpServer")
    Observability = later("hector.config.observability", "Observability")
    DocumentStore = later("hector.config.documents", "DocumentStore")
    Embedder = later("hector.config.embedders", "Embedder")
    VectorStore = later("hector.config.vectorstores", "VectorStore")

Id: TypeAlias = Annotated[str, Field(pattern=CONFIG_ID.pattern)]


class Defaults(Section):
    """What is used where a block names nothing."""

    llm: ModelNames | None = Field(
        None, description="Model of agents that name none, an id under `llms`, or a list as agents have it."
    )


class HectorConfig(Section):
    """Everything that one file can say."""

    version: str = Field("2", description="Version of this configuration; shown in agent cards.")
    name: str = Field("hector", min_length=1, description="Name of the application.")
    description: str = Field("", description="What it is for.")
    defaults: Defaults = Field(
        default_factory=Defaults.model_construct, description="What is used where a block names nothing."
    )
    llms: dict[Id, Llm] = Field({}, description="Models by id. Empty: one named `default`, from the environment.")
    agents: dict[Id, Agent] = Field({}, description="Agents by id. Empty: one named `assistant`.")
    tools: dict[Id, Tool] = Field({}, description="Tools by id.")
    document_stores: dict[Id, DocumentStore] = Field({}, description="Documents that agents can search, by id.")
    embedders: dict[Id, Embedder] = Field({}, description="What makes vectors of documents and questions, by id.")
    vector_stores: dict[Id, VectorStore] = Field({}, description="Where vectors are kept, by id.")
    mcp_server: McpServer | None = Field(
        None, description="Agents as tools for MCP clients, under /mcp. Left out: none."
    )
    server: Server = Field(default_factory=Server.model_construct, description="The HTTP server.")
    rate_limiting: RateLimitingBlock | None = Field(
        None, description="Requests and tokens by time. Left out: no limit."
    )
    limits: Limits | None = Field(None, description="What may run at once, agents that run in circles. Left out: none.")
    budgets: tuple[Budget, ...] = Field((), description="What may be spent.")
    prices: tuple[Price, ...] = Field((), description="What models cost. Those without a row cost nothing.")
    tenants: Tenants = Field(
        default_factory=Tenants.model_construct, description="Apps that come through the admin API."
    )
    databases: dict[Id, Database] = Field({}, description="Databases by id.")
    storage: Storage = Field(default_factory=Storage.model_construct, description="Where state is kept.")
    observability: Observability | None = Field(
        None, description="What is told to those who watch over the server. Left out: nothing."
    )
    logger: Logger = Field(default_factory=Logger.model_construct, description="The log.")
