"""`hector info`: what a configuration means, once everything that it leaves out is filled in."""

import argparse
import json
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from hector.config.agents import Agent
    from hector.config.command import CommandTool
    from hector.config.root import HectorConfig
    from hector.config.toolbase import ToolBase

_WIDEST: Final = 40
"""Characters of a column; longer cells stand out of it, instead of pushing all others away."""


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "info",
        help="show what a configuration means",
        description="Show the models, agents, tools and the database of a configuration, or one agent.",
    )
    parser.add_argument("agent", nargs="?", metavar="AGENT", help="show only this agent, in full")
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="configuration (HECTOR_CONFIG; .hector/config.yaml, hector.yaml)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, or 2 (raised as InvalidConfig) if the configuration is wrong or there is no such agent."""
    from hector.cli.configuration import load  # noqa: PLC0415 - loaded on first use

    path, loaded = load(arguments)
    config = loaded.config
    if arguments.agent is None:
        facts = {"file": str(path), **overview(config, arguments)}
        print(_as_json(facts) if arguments.json else _overview_text(facts))
        return 0
    facts = one_agent(config, arguments.agent)
    print(_as_json(facts) if arguments.json else "\n".join(_pairs(facts)))
    return 0


def overview(config: "HectorConfig", arguments: argparse.Namespace) -> dict[str, Any]:
    """The whole configuration in a few facts."""
    from hector.config.environment import Environment  # noqa: PLC0415
    from hector.config.startup import merge  # noqa: PLC0415
    from hector.config.translate import hide_userinfo  # noqa: PLC0415

    startup = merge(argparse.Namespace(), Environment(), config)
    return {
        "name": config.name,
        "version": config.version,
        "description": config.description,
        "server": f"http://{startup.host}:{startup.port}",
        "database": hide_userinfo(startup.database),
        "llms": [
            {
                "id": name,
                "provider": llm.provider,
                "model": llm.model,
                "address": hide_userinfo(getattr(llm, "base_url", "")),
            }
            for name, llm in config.llms.items()
        ],
        "agents": [
            {
                "id": name,
                "type": agent.type if agent.type != "llm" else "",
                "llm": ", ".join(getattr(agent, "llms", ())),
                "visibility": agent.visibility,
                "tools": list(tools_of(config, agent)),
                "description": agent.description,
            }
            for name, agent in config.agents.items()
        ],
        "tools": [
            {
                "id": name,
                "type": tool.type,
                "handler": getattr(tool, "handler", ""),
                "address": hide_userinfo(getattr(tool, "address", "")),
                "sandbox": sandbox_of(tool),
                "enabled": tool.enabled,
            }
            for name, tool in config.tools.items()
        ],
    }


def sandbox_of(tool: "ToolBase") -> str:
    """How far a tool's commands are kept from everything else on this machine; empty for tools that run none."""
    if tool.type != "command":
        return ""
    from hector.tools.sandbox import sandbox_here  # noqa: PLC0415 - loaded where there is a command tool

    return sandbox_here(cast("CommandTool", tool).sandbox)


def tools_of(config: "HectorConfig", agent: "Agent") -> tuple[str, ...]:
    """The tools that an agent really has: those it names, or every enabled one."""
    enabled = tuple(name for name, tool in config.tools.items() if tool.enabled)
    named = getattr(agent, "tools", ())
    if named is None:
        return enabled
    return tuple(name for name in named if name in enabled or name not in config.tools)


def one_agent(config: "HectorConfig", name: str) -> dict[str, Any]:
    """Everything about one agent. Raises InvalidConfig where there is none of that name."""
    from hector.config.findings import Finding, InvalidConfig  # noqa: PLC0415
    from hector.config.masking import masked  # noqa: PLC0415
    from hector.config.translate import suggest  # noqa: PLC0415

    agent = config.agents.get(name)
    if agent is None:
        names = ", ".join(config.agents)
        hint = suggest(name, config.agents)
        raise InvalidConfig([Finding("reference", f"there is no agent {name!r}", allowed=names, hint=hint)])
    llms = [config.llms[one] for one in getattr(agent, "llms", ()) if one in config.llms]
    shown: dict[str, Any] = masked(agent.model_dump(mode="json", by_alias=True, exclude_none=True))
    model = ", ".join(f"{llm.provider} {llm.model}" for llm in llms)
    facts = {"id": name, **shown, "model": model, "tools": list(tools_of(config, agent))}
    return {key: value for key, value in facts.items() if value not in ("", [], {})}


def _as_json(facts: dict[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False, indent=2)


def _overview_text(facts: dict[str, Any]) -> str:
    lines = _pairs({key: value for key, value in facts.items() if isinstance(value, str) and value})
    for title, key in (("Models", "llms"), ("Agents", "agents"), ("Tools", "tools")):
        lines += ["", f"{title}:", *([f"  {line}" for line in _table(facts[key])] or ["  none"])]
    return "\n".join(lines)


def _pairs(facts: dict[str, Any]) -> list[str]:
    width = max((len(key) for key in facts), default=0) + 1
    return [f"{key + ':':{width}} {_value(value, width)}" for key, value in facts.items()]


def _value(value: Any, width: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.strip().replace("\n", "\n" + " " * (width + 1))


def _table(entries: list[dict[str, Any]]) -> list[str]:
    """`id  provider  model  address` and the like, in columns; those that are empty everywhere are left out."""
    columns = [cells for cells in zip(*map(_cells, entries), strict=True) if any(cells)]
    widths = [min(max(map(len, cells)), _WIDEST) for cells in columns]
    rows = zip(*columns, strict=True)
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(entry: dict[str, Any]) -> list[str]:
    special = {
        "enabled": "" if entry.get("enabled", True) else "(disabled)",
        "tools": f"tools: {', '.join(entry['tools'])}" if entry.get("tools") else "",
    }
    return [special[key] if key in special else str(value) for key, value in entry.items()]
