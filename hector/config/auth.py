"""Authentication: who may call this server, and how they prove who they are."""

from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from hector.config.base import Address, Duration, Names, Section, complaint
from hector.config.later import later

if TYPE_CHECKING:
    from hector.config.apikeys import ApiKey
else:
    ApiKey = later("hector.config.apikeys", "ApiKey")

RoleName: TypeAlias = Literal["admin", "operator", "app", "user"]


class Auth(Section):
    """Who may call this server. With nothing set, only the admin API takes a secret, made at the first start."""

    enabled: bool | None = Field(
        None,
        description="true: ask for credentials; false: as if the block were not there. Left out: by what it holds.",
    )
    require_auth: bool | None = Field(
        None,
        description="Whether agents take a credential; false lets anybody use public ones. "
        "Left out: yes where a way to authenticate is set up, or other machines can reach the server.",
    )
    excluded_paths: Names = Field(
        (),
        description="Paths of agents, or of the metrics, that take no credential all the same; "
        '"/*" at the end: that path and all below.',
    )
    secret: str | None = Field(None, min_length=1, description="The admin secret. Left out: made at the first start.")
    api_keys: tuple[ApiKey, ...] = Field((), description="API keys beside those that are made by `hector key create`.")
    jwks_url: Address | None = Field(
        None, description="Where the public keys of the identity provider are. Left out: found through `issuer`."
    )
    issuer: str | None = Field(None, min_length=1, description="Who issues the tokens: their claim `iss`, exactly.")
    audience: Names = Field((), description="Whom tokens are for: one of these must be in their claim `aud`.")
    client_id: str | None = Field(
        None, min_length=1, description="Client id that browsers use to log in at the identity provider; shown to them."
    )
    refresh_interval: Duration = Field(900.0, ge=60.0, description="How long the provider's public keys are kept.")
    leeway: Duration = Field(
        30.0, le=300.0, description="How far clocks may differ when the times of tokens are checked."
    )
    role_claim: str = Field("role", min_length=1, description="Claim with the role or roles; dots lead into objects.")
    roles: dict[str, RoleName] = Field(
        {}, description="What the values of that claim mean. Left out: admin, operator, app and user mean themselves."
    )
    default_role: RoleName | Literal["none"] = Field(
        "user", description="Role of tokens that name none that is known; none: they are refused."
    )
    tenant_claim: str = Field("tenant_id", min_length=1, description="Claim with the app; dots lead into objects.")
    signing_algorithm: Literal["EdDSA", "RS256"] = Field("EdDSA", description="How the tokens of apps are signed.")
    signing_seed: Names = Field(
        (), description="Secrets that the signing keys are made from, the same on all instances: the first one signs."
    )
    keys_folder: str | None = Field(
        None, min_length=1, description="Where signing keys are kept. Left out: `keys` beside the database."
    )
    token_lifetime: Duration = Field(90 * 86400.0, ge=60.0, description="How long the token of an app is good.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.jwks_url and not self.issuer:
            raise complaint("`jwks_url` without `issuer`: anybody's tokens would do", "jwks_url, issuer and audience")
        if self.issuer and not self.audience:
            raise complaint("`issuer` without `audience`: tokens for other services would do", "issuer and audience")
        if (self.audience or self.client_id) and not self.issuer:
            raise complaint("nobody issues tokens", "issuer (and jwks_url) beside audience and client_id")
        return self

    @model_validator(mode="after")
    def _excludes_no_more_than_agents(self) -> Self:
        for path in self.excluded_paths:
            if not path.startswith("/") or path == "/*" or path.startswith("/admin"):
                raise complaint(f"{path!r} cannot be excluded", "paths such as /agents/helper or /agents/helper/*")
        return self

    @model_validator(mode="after")
    def _has_good_seeds(self) -> Self:
        if any(len(seed) < 16 for seed in self.signing_seed):
            raise complaint("a signing seed is too short to be secret", "16 characters or more, by chance")
        if self.signing_seed and self.signing_algorithm != "EdDSA":
            raise complaint("signing_seed makes keys for EdDSA only", "signing_algorithm: EdDSA, or keys_folder")
        return self

    @property
    def configured(self) -> bool:
        """Whether there is a way for callers of agents to authenticate that somebody has set up."""
        if self.enabled is not None:
            return self.enabled
        return bool(self.secret or self.issuer or self.api_keys)

    def asks(self, *, exposed: bool) -> bool:
        """Whether agents take a credential; `exposed`: other machines can reach the server."""
        if self.enabled is False:
            return False
        return self.require_auth if self.require_auth is not None else self.configured or exposed

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return (*filter(None, (self.secret, *(one.key for one in self.api_keys))), *self.signing_seed)
