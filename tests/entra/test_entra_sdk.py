"""The emulator under Microsoft's own clients: msgraph-sdk with a token of azure-identity's managed identity."""

from collections.abc import AsyncIterator

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from azure.identity.aio import ManagedIdentityCredential
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph.generated.models.device import Device as SdkDevice
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory

from local.entra.client import EntraControl
from local.entra.contract import Device, Fault, Settings
from tests.entra.entra_support import GRAPH, IDENTITY_HEADER, IPHONE, LAPTOP, NOBODY

# The SDK warns of classes of its own when it is first used, and here a warning is an error.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:msgraph"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:kiota_abstractions"),
]


@pytest.fixture
async def credential(base_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ManagedIdentityCredential]:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{base_url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    async with ManagedIdentityCredential() as credential:
        yield credential


@pytest.fixture
async def sdk(base_url: str, credential: ManagedIdentityCredential) -> AsyncIterator[GraphServiceClient]:
    auth = AzureIdentityAuthenticationProvider(
        credential, scopes=[f"{GRAPH}/.default"], allowed_hosts=[httpx.URL(base_url).host]
    )
    # A transport of our own: the one that the SDK puts around it never closes it, whatever becomes of the client.
    async with httpx.AsyncHTTPTransport() as transport, httpx.AsyncClient(transport=transport) as client:
        adapter = GraphRequestAdapter(auth, GraphClientFactory.create_with_default_middleware(client=client))
        adapter.base_url = f"{base_url}/v1.0"
        yield GraphServiceClient(request_adapter=adapter)


async def test_a_managed_identity_gets_a_token_with_the_life_it_was_given(
    credential: ManagedIdentityCredential, control: EntraControl
) -> None:
    await control.configure(Settings(token_lifetime_seconds=3600))
    token = await credential.get_token(f"{GRAPH}/.default")
    assert token.expires_on == 1_800_000_000 + 3600


async def test_a_user_assigned_managed_identity_is_the_one_that_calls(
    credential: ManagedIdentityCredential, control: EntraControl
) -> None:
    client_id = "0b1e9a1c-0c5e-4c59-9f0e-5f2c8d9b3e11"
    async with ManagedIdentityCredential(client_id=client_id) as named:
        await named.get_token(f"{GRAPH}/.default")
    assert [entry.client_id for entry in await control.log()] == [client_id]
    assert credential


async def test_a_managed_identity_is_told_why_there_is_no_token(
    credential: ManagedIdentityCredential, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ClientAuthenticationError, match="no tokens for the resource"):
        await credential.get_token("https://vault.azure.net/.default")
    monkeypatch.setenv("IDENTITY_HEADER", "another")
    async with ManagedIdentityCredential() as stranger:
        with pytest.raises((ClientAuthenticationError, CredentialUnavailableError)):
            await stranger.get_token(f"{GRAPH}/.default")


async def test_the_sdk_patches_a_windows_device(sdk: GraphServiceClient, control: EntraControl) -> None:
    await sdk.devices_with_device_id(LAPTOP).patch(SdkDevice(is_compliant=True, is_managed=True))
    device = await control.device(LAPTOP)
    assert device
    assert (device.is_compliant, device.is_managed) == (True, True)


async def test_the_sdk_writes_extension_attributes_as_additional_data_under_their_own_name(
    sdk: GraphServiceClient, control: EntraControl
) -> None:
    values = {"extensionAttribute15": "NonCompliant"}
    await sdk.devices_with_device_id(IPHONE).patch(SdkDevice(additional_data={"extensionAttributes": values}))
    device = await control.device(IPHONE)
    assert device
    assert device.extension_attributes == values
    with pytest.raises(ODataError) as refused:
        await sdk.devices_with_device_id(IPHONE).patch(SdkDevice(additional_data={"extension_attributes": values}))
    assert refused.value.response_status_code == 400


async def test_the_sdk_deletes_a_device_and_reads_the_error_for_one_that_is_not_there(
    sdk: GraphServiceClient, control: EntraControl
) -> None:
    await sdk.devices_with_device_id(LAPTOP).delete()
    with pytest.raises(ODataError) as missing:
        await sdk.devices_with_device_id(NOBODY).delete()
    error = missing.value.error
    assert missing.value.response_status_code == 404
    assert error
    assert error.code == "Request_ResourceNotFound"
    assert error.inner_error
    assert error.inner_error.request_id == (await control.log())[-1].request_id
    assert [device.device_id for device in await control.devices()] == [IPHONE]


async def test_the_sdk_reads_retry_after_from_an_answer(sdk: GraphServiceClient, control: EntraControl) -> None:
    # 403 rather than 429, for which the SDK's own retry handler would sleep.
    await control.add_faults(Fault(kind="status", status=403, retry_after=120))
    with pytest.raises(ODataError) as refused:
        await sdk.devices_with_device_id(IPHONE).get()
    assert refused.value.response_headers
    assert refused.value.response_headers["retry-after"] == "120"


async def test_the_sdk_follows_the_pages_of_the_list(
    sdk: GraphServiceClient, control: EntraControl, base_url: str
) -> None:
    await control.put_devices([Device(device_id=f"00000000-0000-0000-0000-{n:012d}") for n in range(23)])
    seen: list[str | None] = []
    link: str | None = f"{base_url}/v1.0/devices?$top=10&$select=id,deviceId"
    while link:
        page = await sdk.devices.with_url(link).get()
        assert page
        seen += [device.device_id for device in page.value or []]
        link = page.odata_next_link
    assert (len(seen), len(set(seen))) == (25, 25)
