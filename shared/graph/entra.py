"""Entra ID through msgraph-sdk: implements ``Directory``.

Three habits of the SDK are kept out of the way, each for a reason that is easily forgotten:
a request builder is made for each call, because the client's own shares one dictionary between all calls and under
concurrency writes to the wrong device; the SDK's retries are off, because they sleep in the worker; and answers are
read raw, because the SDK's own error parsing fails on an answer that is not JSON.
"""

import asyncio
from typing import Any, Self, cast
from urllib.parse import urlsplit

import httpx
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.default_query_parameters import QueryParameters
from kiota_abstractions.native_response_handler import NativeResponseHandler
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from kiota_http.middleware.options import ResponseHandlerOption, RetryHandlerOption
from msgraph.generated.devices_with_device_id.devices_with_device_id_request_builder import (
    DevicesWithDeviceIdRequestBuilder,
)
from msgraph.generated.models.device import Device
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_request_adapter import options as graph_options
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory

from shared.errors import ReportError
from shared.fold import Desired
from shared.graph.channels import Write, writes_for
from shared.graph.errors import from_exception, from_response
from shared.model import ErrorClass, Verdict
from shared.ports import Clock, Told
from shared.settings import Settings

CALL_SECONDS = 60
"""The longest that telling takes, token included; a message's lease must outlast it (see ``reporting.MIN_LEASE``)."""

_TIMEOUT = httpx.Timeout(30, connect=10)
_FIELDS = {
    "isCompliant": "is_compliant",
    "isManaged": "is_managed",
    "operatingSystem": "operating_system",
    "operatingSystemVersion": "operating_system_version",
    "displayName": "display_name",
}


class EntraDirectory:
    """Tells Entra ID of devices. ``credential`` gives the tokens; it is closed with the directory."""

    writes = True

    def __init__(self, settings: Settings, credential: AsyncTokenCredential, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._credential = OneTokenAtATime(credential)
        self._transport = httpx.AsyncHTTPTransport()  # ours to close: the SDK wraps it and never does
        http = httpx.AsyncClient(base_url=settings.GRAPH_BASE_URL, timeout=_TIMEOUT, transport=self._transport)
        no_retries = {RetryHandlerOption.get_key(): RetryHandlerOption(max_retries=0, should_retry=False)}
        self._http = GraphClientFactory.create_with_default_middleware(client=http, options=graph_options | no_retries)
        adapter = GraphRequestAdapter(
            AzureIdentityAuthenticationProvider(
                self._credential,
                scopes=[settings.graph_scope],
                allowed_hosts=[urlsplit(settings.GRAPH_BASE_URL).hostname or ""],
            ),
            client=self._http,
        )
        adapter.base_url = settings.GRAPH_BASE_URL
        self._client = GraphServiceClient(request_adapter=adapter)

    async def tell(self, desired: Desired) -> Told:
        """Make Entra ID say what is desired of a device. Raises ``ReportError``; nothing else."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                if desired.verdict is Verdict.REMOVED:
                    return await self._remove(desired)
                return await self._update(desired)
        except (httpx.HTTPError, AzureError, TimeoutError) as error:
            raise from_exception(error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._transport.aclose()
        await self._credential.close()

    async def _update(self, desired: Desired) -> Told:
        """Update channel by channel, so that one that the platform does not have takes no other with it."""
        writes = writes_for(desired, self._settings)
        request_ids: list[str] = []
        refused: ReportError | None = None
        for write in writes:
            response = cast("httpx.Response", await self._builder(desired).patch(_device(write), _raw()))
            try:
                request_ids.append(self._checked(response))
            except ReportError as error:
                if error.error_class is not ErrorClass.UNSUPPORTED:
                    raise
                refused = error
        if refused is not None:
            raise refused
        channel = "+".join(write.channel for write in writes)
        return Told(channel, f"Entra ID was told: {desired.verdict}, by {channel}", tuple(request_ids))

    async def _remove(self, desired: Desired) -> Told:
        """Remove the device; that it is not there is as good."""
        builder: Any = self._builder(desired)  # its stub says that delete returns nothing; read raw, it does
        response = await builder.delete(_raw())
        if response.status_code == httpx.codes.NOT_FOUND:
            return Told("delete", "Entra ID had no such device any more: Removed")
        return Told("delete", "Entra ID was told: Removed, the device is deleted", (self._checked(response),))

    def _builder(self, desired: Desired) -> DevicesWithDeviceIdRequestBuilder:
        own_parameters = dict(self._client.path_parameters)
        return DevicesWithDeviceIdRequestBuilder(self._client.request_adapter, own_parameters, desired.azure_device_id)

    def _checked(self, response: httpx.Response) -> str:
        """Return Graph's id of a request that succeeded; raises ``ReportError`` for one that did not."""
        if not response.is_success:
            raise from_response(response, self._clock())
        return str(response.headers.get("request-id", ""))


class OneTokenAtATime:
    """A credential whose callers wait for one another: cold, each of many calls at once would ask for its own token."""

    def __init__(self, credential: AsyncTokenCredential) -> None:
        self._credential = credential
        self._lock = asyncio.Lock()

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ANN401 - passed on as they are
        """Return a token, from the credential's cache unless it is about to expire."""
        async with self._lock:
            return await self._credential.get_token(*scopes, **options)

    async def close(self) -> None:
        """Close the credential."""
        await self._credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _device(write: Write) -> Device:
    """Fill the SDK's model. What it has no field for goes along verbatim, under exactly its name in Graph."""
    device = Device()
    for name, held in write.properties.items():
        if name in _FIELDS:
            setattr(device, _FIELDS[name], held)
        else:
            device.additional_data[name] = held
    return device


def _raw() -> RequestConfiguration[QueryParameters]:
    return RequestConfiguration(options=[ResponseHandlerOption(NativeResponseHandler())])
