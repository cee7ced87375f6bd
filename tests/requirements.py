"""What the project promises, one row per promise, and which tests prove it.

A row is `built` once at least one collected test carries `@pytest.mark.proves("<id>")`, and `planned` before that;
tests/test_requirements.py holds both directions. `python -m tests.requirements` prints the coverage table.
Sections name the part of the product description (or of the first milestone) that the row comes from.
"""

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Status = Literal["built", "planned"]
TESTS: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Requirement:
    """One promise: `id` is what tests name, `section` where it comes from, `text` what it says."""

    id: str
    section: str
    text: str
    status: Status


# section -> rows of (id, status, text); b = built, p = planned
_TABLE: Final[Mapping[str, str]] = {
    "Why: single binary": """
        b binary.one-file            | one self-contained executable of about 30 MB that needs no interpreter
        b binary.linux               | works on any common Linux host
        p binary.macos               | works on macOS hosts
        p binary.windows             | works on Windows hosts
        p binary.studio-embedded     | the executable carries the web UI
        b binary.no-dependencies     | no runtime, virtual environment or package manager is needed to run it
    """,
    "Why: self-sovereign": """
        b sovereign.offline          | runs air-gapped: nothing at run time needs the internet
        b sovereign.no-telemetry     | sends no telemetry anywhere
        b sovereign.keys-stay        | provider keys stay on the machine: masked in output and logs
        b sovereign.mit              | MIT licensed
    """,
    "Why: open standards": """
        b standards.a2a              | agents speak the A2A protocol
        b standards.mcp              | tools connect over MCP
        b standards.swap-provider    | changing the LLM provider is a one-line change of the configuration
    """,
    "Why: config-driven": """
        b config.yaml                | agents are declared in one YAML (or JSON) file
        b openai.door                | agents are models of OpenAI's API: models, completions, responses
        b config.reviewable          | a configuration is checked in CI by one command with an exit code
        b api.programmatic           | a fluent programmatic API builds agents from code (Python here)
    """,
    "Why: durability": """
        b durability.sessions        | sessions persist to SQL and survive a restart
        b durability.tasks           | tasks persist to SQL and survive a restart
        b durability.checkpoints     | checkpoints persist to SQL
        b durability.fault-recovery  | work interrupted by a crash is recovered
        b durability.human-in-loop   | a run waits for a person, durably, and goes on with the answer
    """,
    "Why: security": """
        b security.jwks-oidc         | JWKS/OIDC authentication
        p security.injection         | prompt-injection detection
        p security.pii               | redaction of personal data
        b security.tool-sandbox      | tools run sandboxed
        b security.rate-limit        | rate limiting
        p security.visibility        | agents are public, internal or private
        b security.tenant-isolation  | tenants are isolated in full
    """,
    "Quick start": """
        p install.sh                 | one-line installer for macOS and Linux
        p install.powershell         | one-line installer for Windows
        p install.homebrew           | Homebrew formula
        p install.docker             | container image that serves on port 8080
        b serve.zero-config          | `hector serve` without a file writes one and serves an agent
        p serve.admin-secret-printed | an admin secret is printed at the first start and unlocks the web UI
        p quickstart.studio-setup    | providers, agents and chat can be set up in the web UI without a file
    """,
    "Studio": """
        p studio.served              | the web UI is served at /
        p studio.flow-builder        | a drag-and-drop canvas in two-way sync with the YAML
        p studio.chat                | chat with streaming and a trace of tool calls
        p studio.resources           | providers, tools and guardrails are managed without editing YAML
        p studio.build-release       | one make target builds the executable with the web UI inside
        p studio.dev-server          | a development server with hot reload for the web UI
    """,
    "Core: SQL foundation": """
        b state.event-log            | a session is an append-only event log
        b state.scopes               | state has the scopes app, user and temp besides the session's own
        b state.tasks-queue          | tasks are a durable queue with retry, exponential backoff and recovery
        b state.checkpoints          | incremental checkpoints for long-running work
        b state.app-configs          | app configurations are hot-reloadable and synchronised with the database
        b database.sqlite            | SQLite is the default store
        b database.postgres          | PostgreSQL is a store
        b cli.database               | `--database` chooses the store by URL
    """,
    "Multi-tenant": """
        b tenant.apps                | one deployment hosts several isolated apps
        b tenant.agents              | each app has its own agents
        b tenant.sessions            | each app has its own sessions and state
        b tenant.vectors             | each app has its own vector collections, which go with it, from servers as well
        b tenant.jwt                 | each app has its own JWT authentication
        b tenant.policy              | configurations of apps may use nothing dangerous unless the operator opens it
        b tenant.secrets-hidden      | configurations of apps are read back without the secrets in them
        b tenant.lazy                | apps are loaded when they are first used, and unloaded when they are not
        b tenant.swap                | a change of an app is taken in whole, by every process, and drops no work
        b tenant.broken-alone        | a configuration that does not hold breaks its own app only
        b tenant.jobs-wait            | jobs of an app that cannot work wait without using attempts, and hold nobody up
        b tenant.versions            | every change of an app's configuration is a version with its author
        b tenant.purge               | nothing of a deleted app is left, and its removal blocks nobody
    """,
    "Admin API": """
        b cli.auth-secret            | `--auth-secret` protects the admin API
        b admin.apps.list            | GET /admin/apps
        b admin.apps.create          | POST /admin/apps answers with the app and its bearer token
        b admin.apps.get             | GET /admin/apps/{id}
        b admin.apps.update          | PUT /admin/apps/{id}
        b admin.apps.delete          | DELETE /admin/apps/{id} removes the app and all it owns
        b admin.apps.token           | POST /admin/apps/{id}/token
        b admin.sessions.list        | GET /admin/sessions, in pages
        b admin.sessions.get         | GET /admin/sessions/{id} with its events
        b admin.sessions.delete      | DELETE /admin/sessions/{id}
        b admin.queue.stats          | GET /admin/queue/stats
        b admin.queue.dlq            | GET /admin/queue/dlq
        b admin.queue.requeue        | POST /admin/queue/dlq/{id}/requeue
        b admin.jwks                 | GET /admin/jwks publishes the verification keys
        b openapi.served             | /openapi.json describes every endpoint, made from the table that serves them
        b openapi.schemathesis       | schemathesis finds no answer that the description does not allow
        b admin.audited              | every change over the Admin API leaves one entry, refusals at most one an hour
        b admin.routes               | every route but the public ones refuses whoever brings no token
        b admin.swap                 | every endpoint refuses every object of another app or user with 404
        b admin.canaries             | twenty planted secrets appear in no table, log line, stream, answer or export
        b admin.input                | what is wrong with a request is said field by field: what it is, what is allowed
    """,
    "Agent types": """
        b agents.llm                 | type llm, the default
        b agents.sequential          | type sequential runs sub-agents in order
        b agents.parallel            | type parallel runs sub-agents at the same time
        b agents.loop                | type loop repeats until a condition is met
        b agents.conditional         | type conditional routes on an evaluation
        b agents.remote              | type remote stands for an A2A server elsewhere
        b agents.plans.kills         | killed at any step, a plan goes on at that step and repeats none that had ended
        b agents.runner              | type runner calls tools in a chain, without a model
        b agents.examples            | examples hold one configuration per type of agent, and run
        b config.agent-types         | which keys belong to which type, references and circles of plans are checked
    """,
    "Multi-agent patterns": """
        b agents.agent-tools         | agent_tools: agents are called like functions
        b agents.sub-agents          | sub_agents: control is handed over
        b agents.together.parallel   | agents that are called in one turn work side by side
        b agents.together.state      | state and artifacts of called agents are the task's, marked with their author
        b agents.together.errors     | an agent that fails is told to its caller; what may succeed later is tried again
        b agents.together.cancel     | cancelling a task ends what called agents do within a second
        b agents.together.limits     | depth, number of calls and changes of hands are bounded, and say so
        b agents.together.questions  | questions of called agents reach the user one at a time, the answer whoever asked
        b agents.together.kills      | killed at any step, agents that work together go on without repeating any
        b agents.together.config     | what agents say of each other is checked: references, circles, names
        b agents.together.shown      | clients, chat and examples show which agent does what
        b agents.condition-agent     | condition_agent and condition_field decide
        b agents.on-true-agent       | on_true_agent and on_false_agent are the branches
        b agents.on-false-response   | on_true_response and on_false_response answer without an agent
    """,
    "Instruction templating": """
        b instruction.variable       | {variable} is session state
        b instruction.app            | {app:variable} is app state
        b instruction.user           | {user:variable} is user state
        b instruction.temp           | {temp:variable} is temporary state
        b instruction.artifact       | {artifact.file} is the content of an artifact
        b instruction.optional       | {variable?} is empty when missing
    """,
    "Triggers": """
        p trigger.schedule           | type schedule runs an agent by cron expression
        p trigger.timezone           | schedules have a timezone
        p trigger.input-template     | the input is a template with the date
        b trigger.webhook            | type webhook runs an agent on an HTTP request at its path
        b trigger.webhook-methods    | a webhook limits the methods
        b trigger.webhook-signature  | a webhook verifies its signature header with the secret
        b trigger.webhook-template   | webhook_input.template makes the message from the payload
        b trigger.webhook-session    | webhook_input.session_id is a template
        b trigger.webhook-extract    | webhook_input.extract_fields picks fields by path
        b trigger.response-sync      | response mode sync
        b trigger.response-async     | response mode async
        b trigger.response-callback  | response mode callback
    """,
    "Notifications": """
        p notifications.push         | outbound notifications on agent events in the A2A push manner
        p notifications.events       | events choose what is sent: task_completed, task_failed and the others
        p notifications.headers      | extra headers
        p notifications.template     | the payload is a template
        p notifications.retry        | retry with max_attempts, initial_delay and max_delay
    """,
    "MCP": """
        b mcp.stdio                  | transport stdio starts a command with arguments
        b mcp.sse                    | transport sse
        b mcp.streamable-http        | transport streamable HTTP
        b mcp.filter                 | filter limits the tools that are offered
        b mcp.results                | images, structured results, resources and prompts arrive as they are
        b mcp.environment            | a server sees what its entry gives it, and nothing else of our environment
        b mcp.progress               | what a server says about its progress is shown while the call runs
        b mcp.cancel                 | a server is told that nobody waits for a call any more
        b mcp.list-changed           | a changed list of tools counts from the next step
        b mcp.restart                | a server that ends is connected to again, with growing pauses
        b mcp.stderr                 | what a server wrote before it ended stands in the error
        b mcp.away                   | a server that is away takes no run down
        b mcp.child-ends             | a server that we started does not outlive us, even when we are killed
        b mcp.headers                | headers with credentials
        b mcp.oauth                  | access tokens by client credentials
        b mcp.egress                 | the egress policy holds for connections to servers
        b mcp.approval               | approvals and rules hold for tools of servers
        b mcp.one-tool               | an agent may name one tool of a server
        b mcp.pins                   | a tool whose description has changed needs a person's word until that is accepted
        b mcp.names                  | tools have names that every provider takes, and no two the same
        b mcp.server                 | mcp_server offers agents as tools of an MCP server under /mcp
        b mcp.server-input           | questions and approvals of agents say how the client goes on
        b mcp.server-cancel          | a cancelled call cancels the task
        b mcp.server-guarded         | the MCP server takes the same credentials, rights and origins as the agents
        b mcp.server-stdio           | hector mcp offers the same on standard input and output
        b mcp.npm-servers            | works with the reference servers server-filesystem and server-everything
        b mcp.lazy                   | the official package is loaded by the first connection, its server side never
    """,
    "Built-in tools": """
        b tools.filetool             | file operations, sandboxed
        b tools.webtool              | HTTP requests and web scraping
        b tools.commandtool          | shell commands with allow lists
        b tools.memorytool           | memory across sessions
        b tools.searchtool           | search in documents
        b tools.todotool             | task and checklist management
        b tools.approvaltool         | approvals by a person
        b tools.agenttool            | an agent as a callable tool
    """,
    "Command tool": """
        b command.allowed            | allowed_commands
        b command.denied             | denied_commands
        b command.working-directory  | working_directory
        b command.max-time           | max_execution_time
        b command.require-approval   | require_approval
        b command.approval-prompt    | approval_prompt
        b web.ssrf                   | web tools reach no private place, by no spelling, name or redirect
        b web.bounded                | sizes, redirects, kinds of content
        b web.documents              | HTML in any charset and PDF become text, read in a process of their own
        b web.untrusted              | what strangers wrote stands between marks that they cannot know
        b web.search                 | Tavily, or a SearXNG of one's own
        b command.hostile            | hundreds of ways around the lists and out of the sandbox are tried, and fail
        b command.sandbox            | levels without containers: process, landlock, namespaces
        b command.cancel             | a running command is ended by an endpoint, and its run goes on
        b command.limits             | memory, processes, file size, open files, output
        b command.leftovers          | nothing that a command started outlives it, or the server
    """,
    "RAG: sources": """
        b rag.directory              | source directory with include and exclude patterns
        b rag.sql                    | source sql with incremental sync
        b rag.api                    | source api over REST
        b rag.blob.s3                | source blob: S3
        b rag.blob.gcs               | source blob: Google Cloud Storage
        b rag.blob.azure             | source blob: Azure
        b rag.git                    | source git: branches, tags, commits; over https, and from a folder
        b rag.git.hostile            | packs, folders and names of a repository are bounded, and lead nowhere else
        b rag.sources.tenants        | apps of tenants read no files, databases or buckets of the server
        b rag.pdf                    | PDF files are read, with pages and bookmarks
        b rag.extract.docx           | Word: headings, tables, lists, footnotes
        b rag.extract.xlsx           | Excel: sheets, rows with the names of their columns, dates
        b rag.extract.pptx           | PowerPoint: slides, tables, notes
        b rag.extract.markdown       | Markdown: headings, code, tables, front matter
        b rag.extract.html           | HTML: readable text with headings, code and tables
        b rag.extract.code           | programs: cut where functions and classes begin
        b rag.extract.csv            | CSV: rows with the names of their columns
        b rag.extract.json           | JSON, JSON lines and notebooks
        b rag.extract.encodings      | UTF-8, UTF-16, UTF-32, what HTML declares, and a fallback
        b rag.extract.formats        | what a document is goes before what it is called
        b rag.extract.hostile        | a hundred hostile documents cost themselves alone, and are reported
        b rag.extract.apart          | documents are read in processes that are bounded, know no secrets and end with us
        b rag.parsers.priority       | MCP tools read documents before or behind our own readers, by priority
        b rag.parsers.next           | what fails or finds nothing is noted, and the next one is asked
        b rag.parsers.docling        | Docling's two steps: convert, then export by the key
        b rag.parsers.wired          | a document store reads with the tools that its mcp_parsers name
        b rag.parsers.arguments      | the path goes into the right argument, as the server sees it
        b rag.extract.fair           | documents of one store or app do not wait for those of others
        b rag.extract.limits         | what is over a limit is left out and told of
        b rag.watch                  | watch: changed files are indexed at once
        b rag.incremental            | incremental_indexing indexes only what changed
    """,
    "RAG: retrieval": """
        b rag.chunking.semantic      | chunking strategy semantic: headings, paragraphs, sentences, code, tables
        b rag.chunking.size          | chunk size in characters; everything stands in a chunk, lines and pages are exact
        b rag.chunking.overlap       | overlap in whole sentences or words
        b rag.chunking.min-max       | min_size joins what is short, max_size is never exceeded
        b rag.chunking.words         | preserve_words; no character is ever torn
        b rag.chunking.speed         | chunking keeps up with reading
        b rag.chunking.config        | sizes that do not fit each other are refused with what is allowed
        b rag.top-k                  | search.top_k
        b rag.threshold              | search.threshold
        b rag.hyde                   | search.enable_hyde
        b rag.rerank                 | search.enable_rerank
        b rag.multi-query            | search.enable_multi_query
        b rag.legs                   | words and meaning are weighed; without the one, the other answers and says so
        b rag.once                   | what is found more than once is shown once
        b rag.untrusted              | no document closes the marks that it is shown between
        b rag.search-command         | hector search shows passages with scores, the words that were looked for set off
        b rag.eval                   | hector rag eval: hit rate, MRR, nDCG, recall and latency of stores
        b agent.include-context      | include_context: what is found is shown in a turn, noted once, and cited
        b rag.embedders              | embedders are configured and referred to by name
        b rag.embedders.remote       | OpenAI and compatible, Ollama, Cohere, Gemini: batched, tried again, judged
        b rag.embedders.pace         | several calls at once; what one is refused slows all of them down
        b rag.embedders.builtin      | the model within: a process of its own, questions first, restarted, resting
        b rag.embedders.exact        | word pieces as the reference cuts them, vectors as the float32 model has them
        b rag.embedders.folder       | model_dir: any BERT model of safetensors; damaged ones are refused by name
        b rag.embedders.executable   | the executables embed; the slim one says what it needs
    """,
    "Vector stores": """
        b vector.chromem             | embedded store, the default: exact, and right after any change
        b vector.filters             | metadata filters, by words and by vectors alike
        b vector.death               | killed at any moment: no chunk has another one's vector
        b vector.damage              | cut or damaged files cost vectors, which are made again
        b vector.readers             | one process writes, several read
        b vector.compress            | compress: true, 8 bits a number
        b rag.responsive             | who is served does not notice that documents are indexed
        b rag.words                  | found by words at once, in any script; a changed document leaves nothing behind
        b rag.index.readonly         | an index in a folder that may not be written is searched, also beside a writer
        b rag.index.tenants          | indexes of apps lie where the operator keeps them, begin and go with the app
        b rag.hybrid                 | words and meaning weighed: a language that no embedder knows loses nothing
        b vector.qdrant              | Qdrant
        b vector.pinecone            | Pinecone
        b vector.weaviate            | Weaviate
        b vector.milvus              | Milvus
    """,
    "Guardrails": """
        p guard.input.length         | input length with an action
        p guard.input.injection      | input injection patterns with action and severity
        p guard.input.sanitizer      | input sanitizer trims and strips HTML
        p guard.output.pii.email     | e-mail addresses
        p guard.output.pii.phone     | phone numbers
        p guard.output.pii.ssn       | social security numbers
        p guard.output.pii.card      | credit card numbers
        p guard.output.redact-mask   | redact_mode mask
        p guard.output.redact-remove | redact_mode remove
        p guard.output.redact-hash   | redact_mode hash
        p guard.output.keywords      | content.blocked_keywords
        p guard.output.patterns      | content.blocked_patterns
        p guard.moderation.openai    | moderation strategy openai with model, threshold and action
        p guard.moderation.lakera    | moderation strategy lakera
        p guard.moderation.prompt    | moderation strategy prompt
    """,
    "Authentication": """
        b cli.auth-jwks-url          | `--auth-jwks-url`
        b cli.auth-issuer            | `--auth-issuer`
        b cli.auth-audience          | `--auth-audience`
        b auth.secret                | a simple shared secret
        b auth.roles                 | admin, operator, app, user: one table, checked before any endpoint
        b auth.secret-rotate         | a new admin secret ends the old one, its sessions and its one-time links
        b auth.unlock                | a one-time link is exchanged for a session once, within a quarter of an hour
        b auth.unlock-page           | in a browser the link opens a page that exchanges it, and that runs nothing else
        b auth.keys                  | API keys are kept as hashes, have a role, an app and a user, and can be revoked
        b auth.required              | agents take a credential by require_auth, else by what is set up, or who connects
        b auth.constant-time         | secrets are compared by hash, in constant time, and in no other way
        b auth.weak-secret           | a secret that can be guessed is warned about
        b auth.attempts              | wrong secrets and keys are counted by address; who is wrong too often waits
        b auth.forged                | forged, broken, foreign and expired tokens of every kind are refused
        b auth.revoked               | a revoked token or key is refused within seconds, everywhere
        b auth.rotation              | keys are rotated, ours and the provider's; old ones check until their tokens end
        b auth.key-files             | signing keys are files that only their owner may read
        b auth.jwks-flood            | however many unknown keys come, the provider's are read at a bounded rate
        b auth.jwks-away             | while the provider is away, its last keys count; without any, tokens get 503
        b auth.claims                | role, app and user follow from configured claims and collide with nobody of ours
        b cli.auth-signing-seed      | `--auth-signing-seed`: several instances sign and check with the same keys
        b auth.routes                | every route says its right; all but a short public list take a credential
        b auth.excluded              | excluded paths of agents take no credential, and nothing else does
        b auth.cards                 | cards and the health page say how to authenticate, and nothing else
        b auth.sdk                   | the official client comes in with each kind of credential by the card's schemes
        b auth.real-provider         | a real provider: client credentials, and code with PKCE
        b auth.first-start           | the secret is printed once, at the first start; `hector secret`, `hector key`
        b auth.host                   | on loopback no name but that of this machine, or a configured one, is answered
        b auth.visibility            | public, internal, private: internal agents exist for authenticated callers only
    """,
    "Observability": """
        b cli.metrics                | `--metrics` serves /metrics for Prometheus
        b metrics.names              | every documented figure is served and counts what happened
        b metrics.documented         | the guide's table of figures is that of the code
        b metrics.access             | figures take a right of their own; an operator may open their path
        b metrics.tenancy            | an app sees its own series only
        b metrics.bounds             | labels are bounded by app, and never say what people or models say
        b metrics.reload             | a reload keeps what was counted
        p cli.tracing-endpoint       | `--tracing-endpoint` sends OpenTelemetry traces
        b logs.structured            | logs as text or JSON, levelled, without secrets
    """,
    "LLM providers": """
        b models.anthropic           | Anthropic: text in and out
        b models.anthropic.streaming | Anthropic: streaming
        b models.anthropic.thinking  | Anthropic: thinking blocks, replayed verbatim
        b models.anthropic.media     | Anthropic: images and documents in
        b models.openai              | OpenAI: text in and out
        b models.openai.responses    | OpenAI: the Responses API
        b models.openai.chat         | OpenAI-compatible servers by chat/completions
        b models.openai.structured   | OpenAI: structured output
        b models.openai.reasoning    | OpenAI: reasoning
        b models.gemini              | Gemini: text in and out
        b models.gemini.audio        | Gemini: audio in
        b models.gemini.image        | Gemini: images in
        b models.gemini.video        | Gemini: video in
        b models.ollama              | Ollama: any open model, local
        b config.llms.thinking       | thinking.enabled and thinking.budget_tokens
        b config.env-interpolation   | ${VAR} in the file is taken from the environment
        b models.base-url            | base_url points a provider to another server
    """,
    "Deployment": """
        b binary.build               | one command builds the executable
        b cli.config                 | `--config` names the file
        p docker.build               | a Dockerfile builds a small image in two stages
        p docker.entry               | the image exposes 8080 and serves by default
    """,
    "Configuration validation": """
        b cli.validate               | `hector validate --config FILE`
        b web.schema                 | GET /schema is the JSON Schema of the configuration
    """,
    "Documentation": """
        b docs.quick-start           | quick start in five minutes
        p docs.studio                | guide to the web UI
        b docs.configuration         | configuration reference, complete
        b docs.cli                   | CLI reference: all commands and flags
        p docs.api                   | API reference
        p docs.programmatic          | reference of the programmatic API
        b docs.architecture          | design and internals
    """,
    "Milestone 1: house": """
        b house.make-serve           | `make serve` sets up and serves with a local model, without a question
        b house.make-test            | `make test` passes on a fresh machine
        b house.locked               | dependencies are locked with hashes
        b house.layers               | the layering is enforced
        b house.requirements         | this table is held in both directions
        b house.pythons              | it runs from source on Python 3.11 and on every later one
        b house.lean-imports         | `version` and a plain `serve` load only what they need
    """,
    "Milestone 1: configuration": """
        b config.sections            | frozen sections for every block of this version
        b config.aliases             | the documented aliases are understood
        b config.env-forms           | ${VAR:-x}, ${VAR:x}, $VAR and $$ per string, after parsing
        b config.dotenv              | .env files are searched and reloaded
        b config.json                | JSON files are accepted as well as YAML
        b config.durations           | durations such as 30s and 1h30m
        b config.errors              | every error at once with file, line, path, what is allowed and the nearest key
        b config.retry-words           | tries are counted with or without the first one, everywhere
        b config.unbuilt-refused     | blocks that are not built yet are refused by name
        b config.references          | unknown references are errors
        b config.idle                | settings without effect are named in a warning
        b config.hot-reload          | --watch and SIGHUP reload; a wrong file keeps the old configuration and says so
        b config.zero-config         | detection order: flag, keys, Ollama, local model, demo
        b config.seed-yaml           | the product description's YAML for LLMs and plain agents validates
        b cli.validate.formats       | compact, verbose and json output, exit codes
        b cli.validate.print-config  | --print-config with secrets masked
        b cli.schema                 | `hector schema [--compact]`
        b cli.info                   | `hector info`
        b cli.init                   | `hector init`
        b cli.version                | `hector version`
        b cli.help                   | `hector --help` shows all commands by what they are for
        b config.skill               | a SKILL.md beside the project becomes the instruction of a generated agent
    """,
    "Milestone 1: models": """
        b models.tools               | tools, parallel calls and tool-name mangling
        b models.usage               | usage in one shape, cache and reasoning tokens included
        b models.finish              | finish reasons in one enumeration
        b models.retry               | retry with Retry-After and jitter
        b models.faults              | truncated streams, in-stream errors, stale connections, context overflow
        b models.strip-and-retry     | a rejected parameter is dropped once and remembered
        b models.cancel              | cancellation closes the upstream request
        b models.structured          | structured output at every provider
        b models.media               | media in where the provider takes it, a clear error where not
        b models.proxy               | proxy, custom CA bundle and extra headers per provider
        b models.scripted            | provider scripted: rules in YAML
        b models.local               | provider local: a GGUF file behind a supervised llama.cpp child
        b models.fallback            | several models in order: who fails rests, the next one answers; overrides
        b models.llmock              | an independent stand-in judges the retries
        b serve.demo                 | `hector serve --demo` streams, calls a tool and thinks, and says it has no model
    """,
    "Milestone 1: agents": """
        b agents.function-tools      | function tools registered from Python
        b agents.parallel-tools      | independent tool calls run in parallel
        b agents.max-iterations      | reasoning.max_iterations
        b agents.tool-errors         | tool errors go back to the model; malformed arguments are answered
        b agents.structured-output   | structured output is validated, with one repair round
        b agents.streaming           | streaming on and off
        b agents.cancel              | cancellation takes effect within a second
        b agents.prompt              | instruction and prompt blocks
    """,
    "Milestone 1: state": """
        b state.migrations           | numbered migrations with checksums
        b state.group-commit         | one writer thread with group commit, readers apart
        b state.restart              | a second message continues the conversation after a restart
        b state.artifacts            | artifacts are stored
        b state.app-rows             | rows of different apps never meet in the store
        b state.crash                | after a crash the database holds all that was confirmed and nothing half
        b state.one-process          | a second process on the same database is refused by name
        b state.newer-database       | an unreadable or newer database is one clear error
    """,
    "Milestone 6: vector servers": """
        b vector.chroma              | Chroma
        b vector.pgvector            | PostgreSQL with pgvector, and what is lacking is said
        b vector.servers             | servers that are away, refuse or do not fit are said clearly
    """,
    "Milestone 5: artifacts": """
        b artifacts.versions         | every version of a named artifact is kept, once, with the event that brings it
        b artifacts.scope            | artifacts belong to a session, or with user: to a user; nobody else reaches them
        b artifacts.bounds           | size, total and names of artifacts are bounded
        b artifacts.tools            | agents list and read what they have kept
        b artifacts.templates        | instructions name artifacts; what is missing or no text is said
        b admin.artifacts            | artifacts are listed, read and deleted over the Admin API
    """,
    "Milestone 5: memory": """
        b memory.found               | memories are found by their words, in scripts without blanks, too
        b memory.scope               | memories belong to one user of one app
        b memory.expiry              | memories expire
        b memory.bounds              | a user has so many memories at most; one that is given twice counts once
        b memory.session             | what was said goes with its session
        b memory.tools               | agents remember, look up and forget by tools
        b memory.turns               | what is said in a turn is remembered once, after the turn
        b memory.recall              | agents are reminded of what fits, in a block marked as untrusted
        b memory.off                 | without storage.memory nothing is remembered
        b memory.vector              | backend vector: memories are found by what they mean, beside their words
        b admin.memories             | what is known of a user is listed and forgotten over the Admin API
    """,
    "Milestone 5: context": """
        b context.whole              | no cut parts a tool call from its results
        b context.windows            | buffer_window and token_window show the last messages, and always the task
        b context.summary            | summary_buffer: one summary, beside a conversation that keeps everything
        b context.tokens             | token estimates learn from what the provider counts
        b context.overflow           | what a provider refuses as too long is made shorter once
    """,
    "Milestone 1: A2A": """
        b a2a.jsonrpc                | version 1.0 over JSON-RPC
        b a2a.rest                   | version 1.0 over HTTP+JSON
        b a2a.streaming              | message:stream
        b a2a.subscribe              | tasks:subscribe
        b a2a.tasks                  | get, list with filters and paging, cancel, history
        b a2a.errors                 | errors with details
        b a2a.version-header         | the version header is honoured
        b a2a.cards                  | one card per agent and a default card, with caching headers
        b a2a.v03                    | the 0.3 dialect by method name on the same URL
        b a2a.sdk                    | the official client works in both bindings and both versions
        b a2a.save-artifact          | tool save_artifact
        b a2a.ask-user               | tool ask_user makes the task input-required; the next message is its result
        b a2a.direct-message         | an agent option answers with a Message instead of a task
        b a2a.request-facts          | request facts are available to instructions
        b web.agents                 | GET /agents
        b web.health                 | /health, /livez and /readyz
        b web.limits                 | malformed and oversized requests get the protocol's error
    """,
    "Milestone 3: queue": """
        b queue.settings             | server.queue, its flags and its variables set up the queue
        b queue.backoff              | waits double up to a limit, are drawn at random, and heed the provider
        b queue.retry                | a failure that may pass is tried again by itself, and clients that watch are told
        b queue.dead-letters         | what is given up keeps its cause, and one requeue is one new round
        b queue.order                | messages of a session run one after the other, over processes, and block no other
        b queue.places               | a process works on so many jobs at once, the rest waits
        b queue.stop                 | a stop hands runs back at their next stored step; they go on after the restart
        b queue.takeover             | a silent process is replaced, and its late writes are refused
        b queue.bounded              | what a process remembers of work and readers elsewhere does not grow with time
        b queue.elsewhere            | waiting, following and cancelling work wherever the task runs
        b queue.outage               | runs wait for a database that is away; nothing is lost, nothing done twice
    """,
    "Milestone 3: push notifications": """
        b a2a.push                   | push notification configs: all four operations, and inline, in both versions
        b push.delivery              | each update is sent at least once, in order, with the same id on each retry
        b push.crowd                 | receivers that hang starve no other, and one that is away misses nothing
        b push.ssrf                  | notifications go to the internet, and beyond it only where the operator allows
    """,
    "Milestone 3: operations": """
        b ops.status                 | `hector status` shows processes, queue, what is stuck or waits, size and growth
        b ops.dlq                    | `hector dlq` lists, shows, requeues and drops dead letters
        b ops.backup                 | `hector backup` is of one moment, whole or not there, while servers work
        b ops.restore                | `hector restore` fills either engine, verifies, and destroys nothing before that
        b ops.migrate                | `hector migrate` applies migrations and says which are applied
        b ops.retention              | what is long over goes by itself; what runs or waits stays
        b ops.bad-database           | what is wrong with a database is said with its remedy, on both engines
        b ops.readiness              | while the database is away, readiness says why, and heals by itself
        b ops.progress               | what takes long shows how far it has come
    """,
    "Milestone 4: transport": """
        b ops.tls                    | TLS by the server itself; a renewed certificate counts without a restart
        b ops.request-heads          | request heads are bounded in size, number and time
        b ops.security-headers       | answers tell browsers that they are data and nothing to frame
        b egress.policy              | one policy for all connections: open, listed or none, also by purpose
        b secrets.repeated           | known secrets that anyone repeats are neither stored nor streamed
        b doctor.probes              | `hector doctor` tries what is contacted, with a remedy for each failure
        b doctor.offline             | `hector doctor --offline` contacts nothing, and fails where a network is needed
        b doctor.local               | it looks at files, rights, port, disk, clock, database and secrets
        b egress.recorded            | destinations counted across restarts, in the Admin API, refusals audited
        b egress.enforced            | no connection is opened that the policy has not judged, by whatever client
        b security.ssrf              | no spelling of a closed address, no name and no redirect leads inside
        b ops.cors                   | pages of listed origins may use the server, others may not
    """,
    "Milestone 1: chat": """
        b cli.chat                   | `hector chat` streams with a running or an in-process agent
        b cli.chat.commands          | /agents, /new and /quit
        b cli.chat.pipe              | chat works in a pipe
    """,
    "Milestone 1: executable": """
        b binary.one-folder          | the one-folder form of the same analysis
        b binary.size                | one file of at most 26 MB
        b binary.start-up            | `version` within 0.06 CPU seconds in the one-folder form
        b binary.chroot              | runs in a root that holds nothing but it and the C library
        b serve.stop                 | SIGTERM stops cleanly with exit code 0
        b serve.kill                 | after kill -9 a restart continues the conversation
        b serve.port-in-use          | a port in use is one message and exit code 2
        b serve.bad-input            | wrong configuration is one message and exit code 2, without a traceback
        b serve.model-down           | a model that is down or wrong never takes the server down or leaves a task open
        b bench.run                  | one command measures speed against two references
    """,
    "Milestone 3: streams across processes": """
        b streams.positions          | a reader that was cut off goes on behind what it saw last, on any server
        b streams.elsewhere          | whoever follows from another process sees the same updates in the same order
        b streams.takeover           | readers go on with whoever takes a run over
        b streams.unrelayed          | an end that nobody relays ends every stream, and a relay that fails harms no run
        b streams.cancel             | a cancel from any process ends every stream
        b streams.slow-readers       | a slow reader costs its own place and nothing else
        b streams.bounded            | who no longer follows is no longer served, and what was relayed goes away
    """,
    "Milestone 4: limits": """
        b limits.exact               | a limit serves exactly what it says, several rules at once, and never one more
        b limits.windows             | windows are those of the calendar in UTC
        b limits.scopes              | requests count for the session, user, agent, app or address that a rule names
        b limits.subjects            | no two subjects share a counter
        b limits.headers             | answers tell the tightest limit, what is left and when it begins anew
        b limits.refusal             | a refusal says in each protocol what is used up and when to try again
        b limits.address             | an address is that of the socket, unless a trusted proxy names another one
        b limits.memory-bounded      | counters in memory are bounded, and floods do not wash out those in use
        b limits.shared              | processes on one database share limits
        b limits.budget              | budgets hold what a call may cost and settle what it did cost
        b limits.no-overspend        | 200 clients overspend a budget by one call at most, on 1 and on 3 processes
        b limits.token-rate          | rate limits on tokens count what models really used
        b limits.repeated-calls      | an agent that repeats a call is told so, then ended
        b limits.runs-at-once        | no more runs at once than allowed, per app, agent and user
        b limits.switch              | what is switched off rests within 5 s everywhere, survives restarts, goes on
        b limits.operators           | operators see usage, and switch agents, apps and the server, by HTTP and command
        b limits.streams             | a user may have so many streams open, and places come back whatever ends a stream
        b limits.flags               | rate limits by flags and variables, above the file
        b limits.reload              | limits are changed by a reload, and what was counted stays
        b limits.free                | where nothing is limited, nothing is asked of the database
        b limits.reservations-released | what a process held that died is given back
        b limits.usage               | what was used is kept by day, app, agent, user and model, and reported by page
        b limits.retention           | counters and usage are forgotten when they are old
    """,
    "Milestone 4: the audit log": """
        b audit.chain                | entries become a chain of hashes, by one process at a time, without loss
        b audit.atomic               | an entry is written in the transaction of its change
        b audit.verify               | a row changed, missing, put in or moved is found, the first one and what is wrong
        b audit.anchors              | anchors kept elsewhere show a chain made anew and an end cut off
        b audit.retention            | old rows go, and the chain is verifiable behind the cut
        b audit.redacted             | entries hold no secret
        b audit.page                 | the log is filtered and paged
        b audit.logins               | first uses of credentials, refused ones and missing rights, once an hour each
        b audit.command              | hector audit verify, list and export, with anchors
        b audit.tools                | each tool call before it begins, its outcome, and each decision of a person
        b audit.plain                | a turn without tools writes nothing into it
        b audit.bounded              | what happens with every request is noted once an hour, an attack bounded
    """,
    "Milestone 3: runs that go on": """
        b resume.events              | a run goes on from any of its events; nothing that was finished happens again
        b resume.unknown             | a call that was cut off follows on_unknown: ask, retry or fail
        b resume.by-hand             | recovery.auto_resume and timeout make dead letters, which a requeue resumes
        b tools.policy               | functions carry marks (idempotent, needs approval); the file has the last word
        b approval.rules             | approval_rules ask, allow or deny by arguments, whatever the spelling; audited
        b security.files             | file tools: no link, race or spelling leads out; secrets are not shown
        b tools.current-time         | tool current_time, with time zones
        b tools.progress             | what a running tool says is shown to those who watch, and never stored
        b tools.entries              | an entry offers one tool, several, or such as are known at run time only
        b approval.asked             | the client is shown tool, arguments and their hash, and until when
        b approval.answered          | data parts or one word decide; anything else is refused and the task waits on
        b approval.elsewhere         | a decision may come from beside the server
        b approval.chat              | hector chat shows the call with all its arguments and takes the decision
        b approval.cli               | hector approve lists, approves and denies while the server runs
        b approval.logged            | the log and `hector approve --decided` say who decided what, and why
        b approval.admin             | /admin/approvals lists what waits and takes decisions
        b a2a.approval               | the official client approves and denies in both bindings and both versions
        b approval.durable           | an approval is written with the pause and survives restarts
        b approval.once              | a decision applies once, and only to the arguments that were shown
        b approval.expires           | an approval that nobody gives in time counts as denied
        b approval.parallel          | calls that need no approval run before the run pauses for the others
        b approval.agents            | agents that were called or handed over to ask for approval as the task's own does
        b approval.partial           | calls that nobody decided about are asked for again
        b approval.fitting           | people are asked only about calls that can be carried out, shown as they are
        b proof.oracle               | the rules of the proofs see each kind of damage
        b proof.report               | a proof reports runs, lost, doubled, stuck, repeated and times of recovery
        b proof.crash-matrix         | killed at every named point, nothing is lost, doubled, stuck or repeated
        b proof.kill                 | after a kill with many running tasks all of them go on within two leases
        b proof.hostile              | full disk, damaged row, jumping clock, restarting database: all work is intact
    """,
}


def parse(table: Mapping[str, str]) -> dict[str, Requirement]:
    """The rows by id; a repeated id or an unreadable row is an error."""
    found: dict[str, Requirement] = {}
    for section, block in table.items():
        for line in filter(None, map(str.strip, block.splitlines())):
            head, _, text = line.partition("|")
            flag, identifier = head.split()
            if identifier in found or flag not in {"b", "p"} or not text.strip():
                raise ValueError(f"{section}: cannot use the row {line!r}")
            status: Status = "built" if flag == "b" else "planned"
            found[identifier] = Requirement(identifier, section, text.strip(), status)
    return found


REQUIREMENTS: Final = parse(_TABLE)


def marks(tree: ast.AST) -> Iterator[str]:
    """The ids named by `pytest.mark.proves(...)` anywhere in a test module: decorators, pytestmark, pytest.param."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "proves":
            for argument in node.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    raise TypeError(f"line {node.lineno}: proves() takes literal ids, so that they can be counted")
                yield argument.value


def proofs(root: Path = TESTS) -> dict[str, set[str]]:
    """For each id, the test modules that prove it; read from the source, so it holds under -k and in parallel."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(root.rglob("test_*.py")):
        for identifier in marks(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            found[identifier].add(path.relative_to(root.parent).as_posix())
    return dict(found)


def report() -> str:
    """The coverage table as text: built rows with their tests, planned rows, a count per section."""
    proven = proofs()
    lines: list[str] = []
    for section in _TABLE:
        rows = [row for row in REQUIREMENTS.values() if row.section == section]
        built = sum(row.status == "built" for row in rows)
        lines.append(f"\n{section}: {built} of {len(rows)} built")
        for row in rows:
            where = ", ".join(sorted(proven.get(row.id, set()))) or "-"
            lines.append(f"  {row.status:<8} {row.id:<28} {row.text}  [{where}]")
    counts = Counter(row.status for row in REQUIREMENTS.values())
    lines.append(f"\n{counts['built']} built, {counts['planned']} planned, {len(REQUIREMENTS)} in all")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(report() + "\n")
