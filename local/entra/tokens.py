"""Managed identity tokens: issuing them in App Service's manner, and who calls Graph with one.

From "How to use managed identities for App Service", REST endpoint reference: `GET $IDENTITY_ENDPOINT` with
`api-version=2019-08-01`, `resource` and maybe `client_id`, and the header `X-IDENTITY-HEADER`.
"""

import base64
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from local.entra.contract import Settings
from local.entra.odata import GraphError, Json, forbidden
from local.entra.throttle import TENANT_ID

SYSTEM_ASSIGNED_CLIENT_ID = "c0ffee00-5f9e-4a6b-8e0d-3b1f6a2d9c47"
API_VERSION = "2019-08-01"
GRAPH_ORIGINS = frozenset(
    {
        "https://graph.microsoft.com",
        "https://graph.microsoft.us",
        "https://dod-graph.microsoft.us",
        "https://microsoftgraph.chinacloudapi.cn",
    }
)
READ_ROLES = frozenset({"Device.Read.All", "Device.ReadWrite.All"})
WRITE_ROLES = frozenset({"Device.ReadWrite.All"})


@dataclass(slots=True, frozen=True)
class Caller:
    """Who calls: the application, its roles, and when its token expires (seconds since the epoch)."""

    app_id: str
    roles: frozenset[str]
    expires_on: int

    def require(self, *, write: bool) -> None:
        """GraphError 403 if the roles do not allow to write, or to read, devices."""
        if self.roles.isdisjoint(WRITE_ROLES if write else READ_ROLES):
            raise forbidden()


class TokenRefusedError(Exception):
    """The token endpoint's refusal: an HTTP status and a text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Tokens:
    """The tokens that were issued and have not expired."""

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}

    def issue(self, resource: str, client_id: str, settings: Settings, now: float) -> dict[str, Json]:
        """A token for `resource`, as App Service answers it; TokenRefusedError 400 unless that is Graph."""
        if resource.rstrip("/") not in GRAPH_ORIGINS:
            raise TokenRefusedError(400, f"This tenant issues no tokens for the resource '{resource}'.")
        self._callers = {token: caller for token, caller in self._callers.items() if caller.expires_on > now}
        expires_on = int(now) + settings.token_lifetime_seconds
        caller = Caller(client_id, frozenset(settings.roles), expires_on)
        token = _unsigned_jwt(resource, caller, int(now))
        self._callers[token] = caller
        return {
            "access_token": token,
            "expires_on": str(expires_on),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": client_id,
        }

    def caller(self, authorization: str | None, now: float) -> Caller:
        """Who sends this `Authorization` header; GraphError 401 if it holds no token of ours that is still good."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise GraphError(401, "InvalidAuthenticationToken", "Access token is empty.")
        caller = self._callers.get(token.strip())
        if caller is None or caller.expires_on <= now:
            raise GraphError(401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.")
        return caller


def check_token_request(identity_header: str | None, expected: str, query: Mapping[str, str]) -> None:
    """TokenRefusedError 401 without the header, 403 for a wrong one, 400 for another version of the protocol."""
    if identity_header is None:
        raise TokenRefusedError(401, "The X-IDENTITY-HEADER header is missing.")
    if not hmac.compare_digest(identity_header.encode(), expected.encode()):
        raise TokenRefusedError(403, "The X-IDENTITY-HEADER header is wrong.")
    if query.get("api-version") != API_VERSION:
        raise TokenRefusedError(400, f"The api-version must be {API_VERSION}.")


def _unsigned_jwt(resource: str, caller: Caller, now: int) -> str:
    """A token of the right shape, so that the roles can be read from it; `uti` tells apart two of the same second."""
    claims = {
        "aud": resource,
        "iss": f"https://sts.windows.net/{TENANT_ID}/",
        "iat": now,
        "nbf": now,
        "exp": caller.expires_on,
        "appid": caller.app_id,
        "roles": sorted(caller.roles),
        "tid": TENANT_ID,
        "uti": uuid.uuid4().hex,
    }
    parts = [json.dumps(part).encode() for part in ({"typ": "JWT", "alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in [*parts, b""])
