"""The configuration of an app that somebody else has written: checked like a file, under the operator's policy.

Everything is refused that is not allowed: blocks by a list of those that say what an app does, variables, hosts, files
and functions by the block `tenants` of the server's own file, and what would start a program always.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from hector.config import planned, plans
from hector.config.check import blocks
from hector.config.document import Document, at, matches
from hector.config.environment import Environment
from hector.config.findings import Finding, Where
from hector.config.handlers import LOCAL_TOOLS
from hector.config.hosts import host_of, is_listed
from hector.config.interpolate import interpolate, of_template
from hector.config.llms import CLASSES
from hector.config.load import Loaded, parse_config
from hector.config.readback import Written, only
from hector.config.root import HectorConfig
from hector.config.shape import keys_of, peek
from hector.config.sourceforms import address_of_bucket, address_of_repository
from hector.config.tenancy_web import closed_hosts, opened_hosts
from hector.config.tenants import Tenants
from hector.core.record import dataclass

LARGEST: Final = 2**20
"""Characters of a configuration."""
OWN: Final = frozenset(
    ("version", "name", "description", "defaults", "llms", "agents", "tools", "guardrails", "vector_stores",
     "embedders", "document_stores", "mcp_server")
)  # fmt: skip
"""Blocks that say what an app does. All others are about the server."""

Kind = Literal["never", "host", "file", "pattern"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is judged at a path. With `values`, only these are. `what` names it in the refusal."""

    pattern: str
    kind: Kind
    what: str
    values: frozenset[str] = frozenset()


_LOCAL: Final = "starting a program on the server"
_SOURCE: Final = "reading the server's own files, databases or storage"
RULES: Final = (
    Rule("llms.*.provider", "never", _LOCAL, frozenset(("local",))),
    Rule("llms.*.path", "never", _LOCAL),
    Rule("llms.*.executable", "never", _LOCAL),
    Rule("llms.*.base_url", "host", "a model"),
    Rule("llms.*.proxy", "host", "a proxy"),
    Rule("llms.*.ca_bundle", "file", "certificates"),
    *(Rule(f"llms.*.rules.*.{key}", "pattern", "a rule") for key in ("user", "system", "tool_result_matches")),
    Rule("agents.*.trigger.response.callback_url", "host", "a callback"),
    Rule("agents.*.instruction_file", "file", "an instruction"),
    Rule("agents.*.agent_card_file", "file", "an agent card"),
    Rule("agents.*.url", "host", "another agent"),
    Rule("agents.*.agent_card_url", "host", "another agent"),
    Rule("agents.*.proxy", "host", "a proxy"),
    Rule("agents.*.ca_bundle", "file", "certificates"),
    Rule("agents.*.notifications.*.url", "host", "a receiver"),
    Rule("tools.*.type", "never", _LOCAL, frozenset(("command",))),
    Rule("tools.*.transport", "never", _LOCAL, frozenset(("stdio",))),
    Rule("tools.*.command", "never", _LOCAL),
    Rule("tools.*.args", "never", _LOCAL),
    Rule("tools.*.env", "never", _LOCAL),
    *(
        Rule(f"tools.*.{key}", "never", _LOCAL)
        for key in ("working_directory", "allowed_commands", "denied_commands", "shell", "sandbox")
    ),
    Rule("tools.*.cwd", "never", _LOCAL),
    Rule("tools.*.private_hosts", "never", "reaching the operator's own network"),
    Rule("tools.*.search.base_url", "host", "a search service"),
    Rule("tools.*.url", "host", "a tool server"),
    Rule("tools.*.oauth.token_url", "host", "an authorization server"),
    Rule("tools.*.oauth.issuer", "host", "an authorization server"),
    Rule("tools.*.proxy", "host", "a proxy"),
    Rule("tools.*.ca_bundle", "file", "certificates"),
    Rule("guardrails.*.*.*.base_url", "host", "a guard"),
    Rule("embedders.*.base_url", "host", "an embedder"),
    Rule("embedders.*.model_dir", "never", _SOURCE),
    Rule("embedders.*.workers", "never", "processes of its own on the server"),
    Rule("vector_stores.*.host", "host", "a vector store"),
    Rule("vector_stores.*.control_url", "host", "a vector store"),
    *(Rule(f"{block}.*.proxy", "host", "a proxy") for block in ("embedders", "vector_stores")),
    *(Rule(f"{block}.*.ca_bundle", "file", "certificates") for block in ("embedders", "vector_stores")),
    Rule("vector_stores.*.persist_path", "never", _SOURCE),
    Rule("document_stores.*.source.type", "never", _SOURCE, frozenset(("directory", "sql"))),
    Rule("document_stores.*.source.path", "never", _SOURCE),
    Rule("document_stores.*.source.sql", "never", _SOURCE),
    Rule("document_stores.*.source.git.token_env", "never", _SOURCE),
    Rule("document_stores.*.source.blob.credentials_file", "never", _SOURCE),
    Rule("document_stores.*.source.api.url", "host", "a source of documents"),
    Rule("document_stores.*.search.reranker.base_url", "host", "a reranker"),
    *(Rule(f"document_stores.*.source.{kind}.proxy", "host", "a proxy") for kind in ("api", "blob", "git")),
    *(Rule(f"document_stores.*.source.{kind}.ca_bundle", "file", "certificates") for kind in ("api", "blob", "git")),
)
"""Also for what this version lacks, so that nothing becomes open to apps merely by being built."""


class Visible(Environment):
    """The variables that an app may see. No `.env` file is read for it."""

    def read(self, folder: Path) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration of one app may use. `handlers` are all functions that the server knows."""

    app: str
    tenants: Tenants
    environment: Environment
    handlers: Collection[str] = ()

    @property
    def folder(self) -> Path | None:
        """Where its files are."""
        return Path(self.tenants.files) / self.app if self.tenants.files else None

    def visible(self) -> Environment:
        """What it sees of the environment."""
        found = {name: self.environment.get(name) for name in self.tenants.variables}
        return Visible({name: value for name, value in found.items() if value is not None})

    def before(self, document: Document) -> None:
        """Refuse blocks that are the operator's, and variables that are hidden, before any is filled in."""
        self._blocks(document)
        for where, text in _texts(document.value):
            self._variables(document, where, text)

    def _blocks(self, document: Document) -> None:
        for key in sorted(operators() & document.value.keys()):
            document.report(
                "policy", (key,), f"{key!r} is set by the operator of the server, not by an app", key=True,
                allowed=", ".join(key for key in keys_of(HectorConfig) if key in OWN), hint="remove the block",
            )  # fmt: skip
            del document.value[key]

    def _variables(self, document: Document, where: Where, text: str) -> None:
        asked: list[str] = []

        def note(name: str) -> None:
            asked.append(name)  # without a value, so that the defaults are looked at, too

        interpolate(text, note)
        hidden = [name for name in dict.fromkeys(asked) if name not in self.tenants.variables]
        if hidden:
            document.report(
                "policy", where, f"the variable {hidden[0]} is not open to apps",
                allowed=", ".join(self.tenants.variables) or "no variables",
                hint="write the value itself; $$ stands for a dollar sign",
            )  # fmt: skip
            holder = at(document.value, where[:-1])
            holder[where[-1]] = _without(text)

    def after(self, document: Document) -> None:
        """Refuse hosts, files and programs, once what was left out is known, and before any file is read."""
        self._blocks(document)
        document.findings = [_own_key(finding) for finding in document.findings]
        self._tools(document)
        self._buckets(document)
        self._unnamed(document)
        for name, llm in blocks(document, "llms").items():
            if not llm.get("base_url") and (address := _address_of(llm)):
                named = ("llms", name) in document.keys
                what = "a model" if named else "no model is named under llms, and the default one"
                self._host(document, ("llms", name), address, what)
        for rule in RULES:
            for where in list(matches(document.value, rule.pattern)):
                self._judge(document, rule, where)
        for name, agent in blocks(document, "agents").items():
            if agent.get("agent_card_file") and not agent.get("url"):
                message = "a card from a file says by itself where the agent is, which is not open to apps"
                document.report("policy", ("agents", name, "agent_card_file"), message, hint="add its url")
        for where in list(matches(document.value, "agents.*.structured_output.schema")):
            for inner in _patterns(peek(document.value, where), where):
                self._pattern(document, inner, "a schema")

    def _tools(self, document: Document) -> None:
        """Refuse the tools that reach files of the server."""
        for one in plans.references(blocks(document, "agents"), "tools"):
            if one.to in LOCAL_TOOLS and one.to not in blocks(document, "tools"):
                document.report("policy", one.where, f"{one.to} means {_SOURCE}, which is not open to apps")
        for name, tool in blocks(document, "tools").items():
            if (tool.get("handler") or name) in LOCAL_TOOLS:
                document.report("policy", ("tools", name), f"this means {_SOURCE}, which is not open to apps")
            elif tool.get("type") == "web":
                self._web(document, name, tool)

    def _web(self, document: Document, name: str, tool: dict[str, Any]) -> None:
        """What the model may make of a web tool, since it is the model that chooses the addresses."""
        hosts = self.tenants.hosts
        for where, host in closed_hosts(tool, hosts):
            document.report(
                "policy", ("tools", name, *where), f"web pages at {host} are not open to apps",
                allowed=", ".join(hosts) or "no hosts", hint="the operator can add it to tenants.hosts",
            )  # fmt: skip
        tool["allowed_hosts"] = opened_hosts(tool, hosts)

    def _buckets(self, document: Document) -> None:
        """Object stores and repositories: folders of the server never, others where their hosts are open to apps."""
        for kind, address_of in (("blob", address_of_bucket), ("git", address_of_repository)):
            for where in list(matches(document.value, f"document_stores.*.source.{kind}")):
                block = peek(document.value, where)
                address = address_of(block) if isinstance(block, dict) else ""
                if address:
                    self._host(document, where, address, "a source of documents")
                else:
                    document.report("policy", where, f"this means {_SOURCE}, which is not open to apps")

    def _unnamed(self, document: Document) -> None:
        """Services of document stores that have an address of their own where none is written."""
        if document.value.keys() & {"embedders", "vector_stores", "document_stores"}:
            from hector.config import tenancy_documents as named  # noqa: PLC0415 - only where documents are searched

            for where, address, what in named.unnamed(document):
                self._host(document, where, address, what)
            for where, address, other in named.databases(document):
                self._host(document, where, address, "a vector store")
                if other:
                    document.report("policy", where, f"this address is not open to apps: {other}")

    def _judge(self, document: Document, rule: Rule, where: Where) -> None:
        value = peek(document.value, where)
        if value in (None, "") or (rule.values and str(value).strip().lower() not in rule.values):
            return
        if rule.kind == "host":
            self._host(document, where, str(value), rule.what)
        elif rule.kind == "pattern":
            self._pattern(document, where, rule.what)
        elif rule.kind == "file":
            self._file(document, where, str(value), rule.what)
        else:
            document.report("policy", where, f"this means {rule.what}, which is not open to apps", hint="remove it")
            out = where[:-1] if rule.values else where  # a type that cannot be takes its block along
            del at(document.value, out[:-1])[out[-1]]
            document.set_aside.add(out)

    def _pattern(self, document: Document, where: Where, what: str) -> None:
        if not self.tenants.patterns:
            document.report(
                "policy", where, f"a regular expression in {what} is not open to apps",
                hint="leave it out; the operator can open them with tenants.patterns",
            )  # fmt: skip

    def _host(self, document: Document, where: Where, url: str, what: str) -> None:
        host = host_of(url if "://" in url else f"http://{url}")
        if host is None or not is_listed(host, self.tenants.hosts):
            document.report(
                "policy", where, f"{what} at {host or 'this address'} is not open to apps",
                allowed=", ".join(self.tenants.hosts) or "no hosts", hint="the operator can add it to tenants.hosts",
            )  # fmt: skip

    def _file(self, document: Document, where: Where, written: str, what: str) -> None:
        problem = _outside(self.folder, written)
        if problem:
            document.report(
                "policy", where, f"{what} from this file is not open to apps: {problem}",
                hint="name a file in the folder of the app" if self.folder else "write the text itself",
            )  # fmt: skip
            del at(document.value, where[:-1])[where[-1]]


def parse_app(text: str, form: str, policy: Policy, name: str = "") -> Loaded:
    """Check the configuration of an app. Raises InvalidConfig with every finding; places name the app."""
    allowed = frozenset(policy.handlers) & frozenset(policy.tenants.functions)
    place = name or f"app {policy.app}"
    return parse_config(text, place, policy.visible(), handlers=allowed, is_json=form == "json", restriction=policy)


def own_part(loaded: Loaded) -> str:
    """What the file of a server says of its app, without what it says of the server: that is not read over the API."""
    return only(Written(loaded.text, loaded.is_json), OWN)


def operators() -> frozenset[str]:
    """Keys of the top level that belong to the operator."""
    rows = (row.pattern for row in planned.KEYS)
    return (frozenset(keys_of(HectorConfig)) | {pattern for pattern in rows if "." not in pattern}) - OWN


def _texts(value: Any, where: Where = ()) -> list[tuple[Where, str]]:
    if isinstance(value, str):
        return [(where, of_template(value, where))] if "$" in value else []
    items: Callable[[], Any] = value.items if isinstance(value, dict) else lambda: enumerate(value)
    if not isinstance(value, dict | list):
        return []
    return [found for step, inner in items() for found in _texts(inner, (*where, step))]


def _without(text: str) -> str:
    """The text without its variables, so that nothing else complains about them."""
    return interpolate(text, lambda _: "x").text.replace("$", "$$")


def _patterns(schema: Any, where: Where) -> Iterator[Where]:
    """Where a JSON Schema holds regular expressions: a property of that name has a schema as its value, and no text."""
    if isinstance(schema, dict):
        for key, inner in schema.items():
            if (key == "pattern" and isinstance(inner, str)) or key == "patternProperties":
                yield (*where, key)
            yield from _patterns(inner, (*where, key))
    elif isinstance(schema, list):
        for index, inner in enumerate(schema):
            yield from _patterns(inner, (*where, index))


def _own_key(finding: Finding) -> Finding:
    """An app cannot set variables for itself: what it lacks it has to write."""
    if finding.where[-1:] != ("api_key",) or finding.kind not in {"missing", "variable"}:
        return finding
    return replace(finding, allowed="a key, as text", hint="write it; it is never shown again")


def _address_of(llm: Mapping[str, Any]) -> str:
    """Where a model is reached that names no address."""
    load = CLASSES.get(str(llm.get("provider")))
    field = load().model_fields.get("base_url") if load else None
    return str(field.default) if field is not None and field.default else ""


def _outside(folder: Path | None, written: str) -> str:
    """Why a file is none of an app's own, or the empty text."""
    if folder is None:
        return "the server has no folder for the files of apps (tenants.files)"
    path = Path(written)
    if path.is_absolute() or written.startswith("~") or ".." in path.parts:
        return "it lies outside of the app's folder"
    if not (folder / path).resolve().is_relative_to(folder.resolve()):
        return "it leads out of the app's folder"
    return ""
