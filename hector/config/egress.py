"""Egress: to which destinations this server may open connections, whoever has chosen them."""

from typing import Annotated, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from hector.config.base import Names, Section

Mode: TypeAlias = Literal["open", "listed", "none"]
MODES: Final = get_args(Mode)
Governed: TypeAlias = Literal["model", "identity", "database", "push", "mcp", "tool", "agent", "retrieval"]
"""What connections are for, as far as the policy has a say: models, the identity provider, PostgreSQL, push
notifications, MCP servers, tools that call the web, agents elsewhere; retrieval: documents, embedders, vector stores
and services that order passages."""


def entries(value: tuple[str, ...]) -> tuple[str, ...]:
    """Destinations as they are listed. Raises the complaint that the loader turns into a finding."""
    from hector.config.destinations import ALLOWED, parse  # noqa: PLC0415 - only with a list

    for entry in value:
        try:
            parse(entry)
        except ValueError:
            message = {"message": f"{entry!r} is no destination", "allowed": ALLOWED}
            raise PydanticCustomError("hector", "{message}; allowed: {allowed}", message) from None
    return value


Entries = Annotated[Names, AfterValidator(entries)]
"""Hosts and networks, with ports if one likes."""


class PurposeRules(Section):
    """What is different for one purpose."""

    mode: Mode | None = Field(None, description="Mode for this purpose. Left out: that of the whole server.")
    allow: Entries = Field((), description="Further destinations, for this purpose alone.")
    deny: Entries = Field((), description="Destinations that are closed for this purpose.")


class Egress(Section):
    """Connections to elsewhere, whoever has chosen where to: the configuration, a client or a model.

    It only ever narrows: private addresses that clients or models choose stay closed unless the feature opens them too.
    """

    mode: Mode = Field(
        "open", description="open: everywhere but `deny`; listed: only where `allow` says; none: only on this machine."
    )
    allow: Entries = Field(
        (),
        description="With mode listed, all there is: names, `*.domain`, addresses, networks, each with a port or a "
        "range of ports behind a colon if that matters.",
    )
    deny: Entries = Field((), description="Closed in every mode, also where `allow` lists it.")
    purposes: dict[Governed, PurposeRules] = Field(
        {}, description="What is different for connections to models, the identity provider, the database and so on."
    )

    @model_validator(mode="after")
    def _lists_have_an_effect(self) -> "Egress":
        """Raises the complaint about a list that nothing reads."""
        modes = {name: rules.mode or self.mode for name, rules in self.purposes.items()}
        idle = [
            f"purposes.{name}.allow" for name, rules in self.purposes.items() if rules.allow and modes[name] != "listed"
        ]
        if self.allow and self.mode != "listed" and "listed" not in modes.values():
            idle.append("allow")
        if idle:
            message = {
                "message": f"{', '.join(idle)} has no effect without the mode listed",
                "allowed": "mode: listed beside it, or no list",
            }
            raise PydanticCustomError("hector", "{message}; allowed: {allowed}", message)
        return self
