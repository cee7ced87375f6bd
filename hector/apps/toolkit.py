"""The tools of an app: from entries of the configuration to what each agent is given.

An entry offers one tool or several, known now (`Offer`) or only once somebody was asked (`Toolset`). What all entries
have in common (approval, rules, time, length) is put around their tools here, so that no kind of tool knows of it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from hector.config.handlers import LOCAL_TOOLS
from hector.config.root import HectorConfig
from hector.config.tools import BUILT_IN, FAMILIES, GENERIC_TOOLS, SEARCH
from hector.core.errors import ConfigError
from hector.core.identity import DEFAULT_APP
from hector.core.ports import Offer, Tool, ToolPolicy, Toolset
from hector.core.record import dataclass
from hector.tools.catalog import Catalog

if TYPE_CHECKING:
    from hector.agents.sources import Sources
    from hector.config.command import CommandTool
    from hector.config.functiontool import FunctionTool
    from hector.config.mcp import McpTool
    from hector.config.toolbase import ToolBase
    from hector.config.webtools import WebTool
    from hector.core.hooks import Hooks
    from hector.tools.search import Lookup


@dataclass(frozen=True, slots=True)
class Around:
    """What kinds of tools are made from, besides their entries."""

    app: str
    config: HectorConfig
    catalog: Catalog


Entry: TypeAlias = Offer | Toolset


def _function(name: str, entry: "ToolBase", around: Around) -> Entry:
    section, catalog = cast("FunctionTool", entry), around.catalog
    if section.handler in LOCAL_TOOLS:
        from hector.tools.files.making import file_tools  # noqa: PLC0415 - loaded for the first of them

        return file_tools(name, section, catalog.own)
    if section.handler in FAMILIES:
        names = FAMILIES[section.handler]
        made = {one: catalog.create(one, fixed=section.parameters) for one in names}
        return Offer(made, {one: catalog.policy(one) for one in names})
    tool = catalog.create(section.handler, name=name, description=section.description or None, fixed=section.parameters)
    return Offer({name: tool}, {name: catalog.policy(section.handler)})


def _mcp(name: str, entry: "ToolBase", around: Around) -> Entry:
    from hector.mcp.making import make_toolset  # noqa: PLC0415 - loaded for the first entry of its kind

    return make_toolset(name, cast("McpTool", entry), around.app)


def _command(name: str, entry: "ToolBase", around: Around) -> Entry:
    from hector.tools.command import command_tool  # noqa: PLC0415 - loaded for the first entry of its kind

    tool, policy = command_tool(name, cast("CommandTool", entry))
    return Offer({name: tool}, {name: policy}, timed=False)


def _web(name: str, entry: "ToolBase", around: Around) -> Entry:
    from hector.tools.web import web_tools  # noqa: PLC0415 - loaded for the first entry of its kind

    return Offer(*web_tools(name, cast("WebTool", entry), own_key=around.app == DEFAULT_APP))


KINDS: Final[Mapping[str, "Callable[[str, ToolBase, Around], Entry]"]] = {
    "function": _function,
    "mcp": _mcp,
    "command": _command,
    "web": _web,
}
"""How the tools of an entry are made, by its `type`. Modules of other kinds are imported in their functions."""


@dataclass(frozen=True, slots=True)
class Given:
    """What an agent has: every tool has its row in `policies`; `sources` bring others at run time."""

    tools: Mapping[str, Tool]
    policies: Mapping[str, ToolPolicy]
    sources: "Sources | None" = None


class Toolkit:
    """All entries that are switched on. Raises ConfigError for what only the tool itself can judge."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._sections = {name: entry for name, entry in around.config.tools.items() if entry.enabled}
        made = {name: entry for name, entry in self._sections.items() if not _searches(entry)}
        self._entries = {name: KINDS[entry.type](name, entry, around) for name, entry in made.items()}
        self._implied: dict[str, tuple[ToolBase, Offer]] = {}

    @property
    def app(self) -> str:
        """Whose they are."""
        return self._around.app

    def hooks_of(self, agent: str) -> "Hooks | None":
        """What a program has put around an agent of its own configuration; other apps have nothing of the kind."""
        return self._around.catalog.hooks.get(agent) if self._around.app == DEFAULT_APP else None

    @property
    def toolsets(self) -> tuple[Toolset, ...]:
        """Those that hold connections or processes, to be closed with the app."""
        return tuple(entry for entry in self._entries.values() if not isinstance(entry, Offer))

    def give(
        self, names: Iterable[str] | None, cut: int, extra: Iterable[str] = (), lookup: "Lookup | None" = None
    ) -> Given:
        """The tools of an agent that names these, None for every entry; and the generic ones in `extra`.

        Their output is cut to `cut` characters, 0 for not at all. An agent with a `lookup` can search documents.
        """
        wanted = list(self._sections) if names is None else list(names)
        if lookup is not None and SEARCH not in self._around.config.tools and not any(map(self._looks_up, wanted)):
            extra = (*extra, SEARCH)
        tools: dict[str, Tool] = {}
        policies: dict[str, ToolPolicy] = {}
        owners: dict[str, str] = {}
        for name in [*wanted, *extra]:
            owner = owners.get(name) or self._owner(name)
            for one, tool, policy in self._static(name, owner, cut, lookup):
                if owners.setdefault(one, owner) != owner:
                    raise ConfigError(
                        f"tools.{owners[one]} and tools.{owner} both offer {one} to the same agent; "
                        "let its list of tools name one of them, or declare single tools under other names"
                    )
                tools[one], policies[one] = tool, policy
        if not self.toolsets:
            return Given(tools, policies)
        return Given(tools, policies, self._sources(wanted, cut, tools))

    def _owner(self, name: str) -> str:
        """The entry that a name in an agent's list stands for: its own, or one that offers a tool of that name."""
        if name in self._around.config.tools:
            return name
        offers = (owner for owner, one in self._entries.items() if isinstance(one, Offer) and name in one.tools)
        return next(offers, name)

    def _looks_up(self, name: str) -> bool:
        """Whether what stands in an agent's list searches documents."""
        entry = self._sections.get(name)
        return _searches(entry) if entry is not None else name == SEARCH and name not in self._around.config.tools

    def _static(
        self, name: str, owner: str, cut: int, lookup: "Lookup | None"
    ) -> Iterable[tuple[str, Tool, ToolPolicy]]:
        """What a name in an agent's list stands for: an entry, one tool of an entry, or a tool of our own."""
        if self._looks_up(owner):
            return _lookup(name, self._sections.get(owner), cut, lookup)
        entry = self._entries.get(owner)
        if isinstance(entry, Offer):
            chosen = entry.tools if owner == name else (name,)
            return [(one, *_fit(self._sections[owner], entry, one, cut)) for one in chosen]
        if entry is not None or name in self._around.config.tools:
            return []  # known at run time only, or switched off
        if name in GENERIC_TOOLS:
            catalog = self._around.catalog
            return [(name, _cut(catalog.create(name), cut), catalog.policy(name))]
        if name in BUILT_IN:
            section, offer = self._imply(name)
            return [(one, *_fit(section, offer, one, cut)) for one in offer.tools]
        return []

    def _imply(self, name: str) -> "tuple[ToolBase, Offer]":
        """What is meant by a handler of our own that an agent names without an entry: an entry without any key."""
        if name not in self._implied:
            from hector.config.functiontool import FunctionTool  # noqa: PLC0415 - loaded for the first tool

            section = FunctionTool(type="function", handler=name)
            self._implied[name] = section, cast("Offer", _function(name, section, self._around))
        return self._implied[name]

    def _sources(self, wanted: list[str], cut: int, taken: Mapping[str, Tool]) -> "Sources | None":
        from hector.agents.sources import Source, Sources  # noqa: PLC0415 - loaded on first use

        single = {name for name in wanted if name not in self._entries and name not in taken}
        found: list[Source] = []
        for name, entry in self._entries.items():
            if isinstance(entry, Offer) or not (name in wanted or single):
                continue
            section = self._sections[name]

            def fit(tool: Tool, own: ToolPolicy, timed: bool, section: "ToolBase" = section) -> tuple[Tool, ToolPolicy]:
                return fitted(section, tool, own, cut, timed=timed)

            found.append(Source(name, entry, fit, None if name in wanted else single))
        return Sources(found, taken) if found else None


def _searches(entry: "ToolBase") -> bool:
    from hector.config.functiontool import FunctionTool  # noqa: PLC0415 - loaded for the first tool

    return isinstance(entry, FunctionTool) and entry.handler == SEARCH


def _lookup(
    name: str, entry: "ToolBase | None", cut: int, lookup: "Lookup | None"
) -> Iterable[tuple[str, Tool, ToolPolicy]]:
    """The tool with which one agent searches its documents; none where it has none, or an entry of that name is off."""
    if lookup is None:
        return []
    from hector.config.functiontool import FunctionTool  # noqa: PLC0415 - loaded for the first tool
    from hector.tools.search import search_tool  # noqa: PLC0415 - loaded for the first agent with documents

    section = entry if isinstance(entry, FunctionTool) else FunctionTool(type="function", handler=SEARCH)
    tool, policy = search_tool(name, lookup, section.parameters, section.description)
    return [(name, *fitted(section, tool, policy, cut, timed=True))]


def _fit(section: "ToolBase", offer: Offer, name: str, cut: int) -> tuple[Tool, ToolPolicy]:
    own = offer.policies.get(name, ToolPolicy())
    return fitted(section, offer.tools[name], own, cut, timed=offer.timed)


def fitted(entry: "ToolBase", tool: Tool, own: ToolPolicy, cut: int, *, timed: bool) -> tuple[Tool, ToolPolicy]:
    """A tool and its policy as the keys say that all kinds have in common."""
    from hector.tools.policy import policy_of  # noqa: PLC0415 - loaded for the first tool
    from hector.tools.wrappers import Timed  # noqa: PLC0415 - loaded for the first tool

    bounded = Timed(tool, entry.timeout or None) if timed else tool
    return _cut(_cut(bounded, entry.max_output), cut), policy_of(own, entry)


def _cut(tool: Tool, most: int) -> Tool:
    """The tool with its output cut to so many characters, 0 for no bound."""
    if not most:
        return tool
    from hector.tools.wrappers import Cut  # noqa: PLC0415 - loaded on first use

    return Cut(tool, most)
