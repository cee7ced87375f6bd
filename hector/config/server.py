"""Operations: where the server listens, where state is kept, what is logged. Flags and HECTOR_* variables win."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hector.config.auth import Auth
from hector.config.base import Address, Duration, Names, Section, Size
from hector.config.checkpoint import Checkpoint
from hector.config.keeping import Artifacts
from hector.config.later import later
from hector.config.push import PushNotifications
from hector.config.retention import Retention
from hector.config.transport import Heads

if TYPE_CHECKING:
    from hector.config.backend import Backend
    from hector.config.cors import Cors
    from hector.config.egress import Egress
    from hector.config.limits import TrustedProxies
    from hector.config.memory import Memory
    from hector.config.tls import Tls
else:
    Backend, Memory = later("hector.config.backend", "Backend"), later("hector.config.memory", "Memory")
    Cors, Tls = later("hector.config.cors", "Cors"), later("hector.config.tls", "Tls")
    Egress = later("hector.config.egress", "Egress")
    TrustedProxies = later("hector.config.limits", "TrustedProxies")


class Queue(Section):
    """How work is taken up, tried again and taken over."""

    workers: int = Field(256, ge=1, le=100_000, description="Jobs that this process works on at once; more wait.")
    max_retries: int = Field(
        3, ge=0, le=1000, description="How often work that failed for a passing reason is retried."
    )
    initial_delay: Duration = Field(1.0, description="Longest wait before the first retry; it doubles with each one.")
    max_delay: Duration = Field(300.0, description="Longest wait before any retry.")
    stale_threshold: Duration = Field(
        15.0, ge=1.0, description="Silence of a process after which others take over its work."
    )


class Server(Section):
    """The HTTP server."""

    host: str = Field("127.0.0.1", min_length=1, description="Interface to listen on; 0.0.0.0 means all.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 means any free one.")
    public_url: Address | None = Field(
        None, description="Address under which clients reach this server, for agent cards. Left out: from the request."
    )
    allowed_hosts: Names = Field(
        (),
        description="Names under which clients may reach this server, beside that of `public_url`. "
        "Left out: on loopback the names of this machine, else any.",
    )
    auth: Auth = Field(default_factory=Auth.model_construct, description="Who may call this server.")
    max_body_bytes: Size = Field(10 * 2**20, ge=1024, description='Largest request body, for example "10 MiB".')
    request_headers: Heads = Field(
        default_factory=Heads.model_construct, description="Bounds on the headers of a request."
    )
    tls: Tls | None = Field(None, description="Certificate and key, to be reached by https. Left out: plain http.")
    cors: Cors | None = Field(None, description="Pages of other sites that may use this server. Left out: none.")
    trusted_proxies: TrustedProxies | None = Field(
        None, description="Proxies whose word about the client's address is taken. Left out: none."
    )
    openai_api: bool = Field(True, description="Serve the agents as models under /v1, as OpenAI's API has it.")
    legacy_card: bool = Field(False, description="Add the keys of A2A 0.3 to agent cards, for old clients.")
    shutdown_grace: Duration = Field(
        30.0, description="How long running tasks may go on to their next stored step after a signal to stop."
    )
    queue: Queue = Field(
        default_factory=Queue.model_construct, description="How work is taken up, tried again and taken over."
    )
    push_notifications: PushNotifications = Field(
        default_factory=PushNotifications.model_construct,
        description="Updates that the server sends to addresses of its clients.",
    )
    readers: int = Field(
        0, ge=0, le=256,
        description="Processes that read documents, for the document stores of all apps together. 0: as many as there "
        "are processors, 8 at most. Two more are started where a store would otherwise wait for others.",
    )  # fmt: skip
    egress: Egress | None = Field(
        None, description="To which destinations connections may be opened. Left out: to all that are configured."
    )


class Storage(Section):
    """Where state is kept. Tasks and sessions live in the same place."""

    tasks: Backend | None = Field(None, description="Tasks. Left out: where the sessions are.")
    sessions: Backend | None = Field(None, description="Sessions. Left out: where the tasks are.")
    retention: Retention = Field(
        default_factory=Retention.model_construct, description="How long what is over is kept."
    )
    checkpoint: Checkpoint = Field(
        default_factory=Checkpoint.model_construct, description="When the steps of a run are written down."
    )
    artifacts: Artifacts = Field(
        default_factory=Artifacts.model_construct, description="Bounds on the artifacts that agents keep."
    )
    memory: Memory | None = Field(
        None, description="What is remembered of users across their sessions. Left out: nothing."
    )


class Logger(Section):
    """The log."""

    level: Literal["debug", "info", "warn", "error"] = Field("info", description="Least important line to write.")
    format: Literal["text", "json"] = Field("text", description="text: for people; json: one object per line.")
    file: str | None = Field(None, description="File to append to. Left out: standard error.")
