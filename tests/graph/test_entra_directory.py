"""Entra ID is told over msgraph-sdk and with a managed identity's token; every call reaches its own device."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from json import loads

import pytest
from azure.identity.aio import ManagedIdentityCredential

from local.entra.client import EntraControl
from local.entra.contract import Device, Fault
from local.entra.contract import Settings as Tenancy
from local.entra.server import serving
from shared.errors import ReportError
from shared.fold import Desired
from shared.graph.dry_run import DryRunDirectory
from shared.graph.entra import EntraDirectory
from shared.model import ErrorClass, Inventory, Platform, Verdict
from shared.settings import ByConnectionString, Settings

COMPLIANT, NON_COMPLIANT, REMOVED = Verdict
LAPTOP = "11111111-1111-4111-8111-111111111111"
IPAD = "22222222-2222-4222-8222-222222222222"
NOBODY = "33333333-3333-4333-8333-333333333333"
HEADER = "the identity header"
STORAGE = ByConnectionString("UseDevelopmentStorage=true")


def desired(device: str, verdict: Verdict, platform: Platform) -> Desired:
    return Desired(device, verdict, Inventory(platform=platform, os_version="18.1"))


def on_windows(verdict: Verdict, device: str = LAPTOP) -> Desired:
    return desired(device, verdict, Platform.WINDOWS)


def on_ios(verdict: Verdict, device: str = IPAD) -> Desired:
    return desired(device, verdict, Platform.IOS)


@pytest.fixture
async def entra(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EntraControl]:
    async with serving(identity_header=HEADER) as url, EntraControl(url) as control:
        monkeypatch.setenv("IDENTITY_ENDPOINT", control.identity_endpoint)
        monkeypatch.setenv("IDENTITY_HEADER", HEADER)
        await control.put_devices(
            [
                Device(device_id=LAPTOP, operating_system="Windows"),
                Device(device_id=IPAD, operating_system="IPad"),
            ]
        )
        yield control


def settings(entra: EntraControl, **given: object) -> Settings:
    return Settings.model_validate(
        {"queues": STORAGE, "tables": STORAGE, "GRAPH_BASE_URL": entra.graph_base_url, **given}
    )


async def directory_for(settings: Settings) -> AsyncIterator[EntraDirectory]:
    directory = EntraDirectory(settings, ManagedIdentityCredential(), lambda: datetime.now(UTC))
    yield directory
    await directory.close()


@pytest.fixture
async def directory(entra: EntraControl) -> AsyncIterator[EntraDirectory]:
    async for made in directory_for(settings(entra)):
        yield made


async def held(entra: EntraControl, device: str) -> Device:
    found = await entra.device(device)
    assert found is not None
    return found


@pytest.mark.parametrize("verdict", [COMPLIANT, NON_COMPLIANT])
async def test_windows_is_told_by_is_compliant(
    entra: EntraControl, directory: EntraDirectory, verdict: Verdict
) -> None:
    told = await directory.tell(on_windows(verdict))
    laptop = await held(entra, LAPTOP)
    assert (laptop.is_compliant, laptop.is_managed) == (verdict is COMPLIANT, True)
    assert laptop.operating_system_version == "18.1"
    assert told.channel == "isCompliant"
    (request,) = [entry for entry in await entra.log() if entry.method == "PATCH"]
    assert told.request_ids == (request.request_id,)


@pytest.mark.parametrize("verdict", [COMPLIANT, NON_COMPLIANT])
async def test_ios_is_told_by_extension_attributes(
    entra: EntraControl, directory: EntraDirectory, verdict: Verdict
) -> None:
    told = await directory.tell(on_ios(verdict))
    ipad = await held(entra, IPAD)
    assert ipad.extension_attributes == {
        "extensionAttribute15": verdict.value,
        "extensionAttribute14": "platform=IOS; osVersion=18.1;",
    }
    assert (ipad.is_compliant, told.channel) == (None, "extensionAttributes")


async def test_joined_channels_are_written_one_by_one(entra: EntraControl) -> None:
    both = settings(entra, REPORT_CHANNELS="windows=isCompliant+extensionAttributes")
    async for directory in directory_for(both):
        told = await directory.tell(on_windows(NON_COMPLIANT))
        laptop = await held(entra, LAPTOP)
        assert (laptop.is_compliant, laptop.extension_attributes["extensionAttribute15"]) == (False, "NonCompliant")
        assert told.channel == "isCompliant+extensionAttributes"
        assert len(told.request_ids) == 2


async def test_a_channel_that_the_platform_does_not_have_fails_but_takes_no_other_with_it(entra: EntraControl) -> None:
    both = settings(entra, REPORT_CHANNELS="ios=isCompliant+extensionAttributes")
    async for directory in directory_for(both):
        with pytest.raises(ReportError, match="can be modified only on windows devices") as caught:
            await directory.tell(on_ios(NON_COMPLIANT))
        assert caught.value.error_class is ErrorClass.UNSUPPORTED
        assert (await held(entra, IPAD)).extension_attributes["extensionAttribute15"] == "NonCompliant"


async def test_a_removed_device_is_deleted_and_deleting_it_again_is_as_good(
    entra: EntraControl, directory: EntraDirectory
) -> None:
    first = await directory.tell(on_ios(REMOVED))
    assert await entra.device(IPAD) is None
    second = await directory.tell(on_ios(REMOVED))
    assert (first.channel, second.channel) == ("delete", "delete")
    assert second.summary == "Entra ID had no such device any more: Removed"


async def test_a_device_that_entra_does_not_have_is_not_found(directory: EntraDirectory) -> None:
    with pytest.raises(ReportError) as caught:
        await directory.tell(on_ios(COMPLIANT, NOBODY))
    assert (caught.value.error_class, caught.value.code) == (ErrorClass.NOT_FOUND, "Request_ResourceNotFound")


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_or_broken_graph_is_not_asked_again_by_the_sdk(
    entra: EntraControl, directory: EntraDirectory, status: int
) -> None:
    await entra.add_faults(Fault(kind="status", status=status, retry_after=17, times=None))
    with pytest.raises(ReportError) as caught:
        await directory.tell(on_ios(COMPLIANT))
    assert caught.value.retry_after == 17
    assert len([entry for entry in await entra.log() if entry.method == "PATCH"]) == 1


async def test_a_delete_that_fails_is_no_success(entra: EntraControl, directory: EntraDirectory) -> None:
    await entra.add_faults(Fault(kind="status", status=503))
    with pytest.raises(ReportError):
        await directory.tell(on_ios(REMOVED))
    assert await entra.device(IPAD) is not None


@pytest.mark.parametrize("kind", ["reset", "applied-then-reset"])
async def test_a_connection_that_is_cut_is_transient(entra: EntraControl, directory: EntraDirectory, kind: str) -> None:
    await entra.add_faults(Fault(kind=kind))  # type: ignore[arg-type] # one of the kinds
    with pytest.raises(ReportError) as caught:
        await directory.tell(on_ios(COMPLIANT))
    assert caught.value.error_class is ErrorClass.TRANSIENT
    applied = bool((await held(entra, IPAD)).extension_attributes)
    assert applied is (kind == "applied-then-reset")


async def test_an_answer_that_never_comes_is_given_up(
    entra: EntraControl, directory: EntraDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.graph.entra.CALL_SECONDS", 0.5)
    await entra.add_faults(Fault(kind="applied-then-timeout", seconds=30))
    with pytest.raises(ReportError, match="it may have done what it was asked") as caught:
        await directory.tell(on_ios(COMPLIANT))
    assert (caught.value.error_class, caught.value.code) == (ErrorClass.TRANSIENT, "TimeoutError")


async def test_a_caller_without_the_permission_is_forbidden(entra: EntraControl, directory: EntraDirectory) -> None:
    await entra.configure(Tenancy(roles=["Device.Read.All"]))
    with pytest.raises(ReportError) as caught:
        await directory.tell(on_ios(COMPLIANT))
    assert (caught.value.error_class, caught.value.code) == (ErrorClass.FORBIDDEN, "Authorization_RequestDenied")


async def test_a_token_endpoint_that_is_down_is_transient(
    entra: EntraControl, directory: EntraDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.graph.entra.CALL_SECONDS", 20)
    await entra.add_faults(Fault(kind="token-status", status=503, times=None))
    with pytest.raises(ReportError) as caught:
        await directory.tell(on_ios(COMPLIANT))
    assert caught.value.error_class is ErrorClass.TRANSIENT


async def test_an_identity_that_gets_no_token_is_forbidden(entra: EntraControl, directory: EntraDirectory) -> None:
    await entra.add_faults(Fault(kind="token-status", status=400, times=None))
    with pytest.raises(ReportError, match="The managed identity gives no token") as caught:
        await directory.tell(on_ios(COMPLIANT))
    assert caught.value.error_class is ErrorClass.FORBIDDEN


async def test_many_calls_at_once_with_a_slow_cold_token_each_reach_their_own_device(
    entra: EntraControl, directory: EntraDirectory
) -> None:
    """The SDK's own way to a device sends up to all of them to one: it shares a dictionary across the await."""
    devices = [f"44444444-4444-4444-8444-{number:012d}" for number in range(200)]
    await entra.put_devices([Device(device_id=device, operating_system="IPad") for device in devices])
    await entra.add_faults(Fault(kind="slow-token", seconds=1, times=None))
    turn = asyncio.Semaphore(32)

    async def tell(number: int, device: str) -> None:
        async with turn:
            await directory.tell(on_ios(COMPLIANT if number % 2 else NON_COMPLIANT, device))

    await asyncio.gather(*(tell(number, device) for number, device in enumerate(devices)))

    log = await entra.log()
    written = {
        entry.device_id: loads(entry.body or "{}")["extensionAttributes"]["extensionAttribute15"]
        for entry in log
        if entry.method == "PATCH"
    }
    assert written == {device: ("Compliant" if number % 2 else "NonCompliant") for number, device in enumerate(devices)}
    assert len([entry for entry in log if entry.method == "PATCH"]) == len(devices)
    assert len([entry for entry in log if "/msi/token" in entry.path]) == 1, "the token was asked for once"


async def test_the_token_goes_to_no_host_but_graph(entra: EntraControl) -> None:
    async for directory in directory_for(settings(entra)):
        validator = directory._client.request_adapter._authentication_provider.access_token_provider  # type: ignore[attr-defined]
        assert validator.get_allowed_hosts_validator().is_url_host_valid("https://evil.example/v1.0/devices") is False


@pytest.mark.parametrize("wanted", [on_ios(COMPLIANT), on_windows(NON_COMPLIANT), on_ios(REMOVED)])
async def test_a_dry_run_says_what_would_be_told_and_calls_nobody(entra: EntraControl, wanted: Desired) -> None:
    told = await DryRunDirectory(settings(entra)).tell(wanted)
    assert told.summary.startswith("Dry run: ")
    assert await entra.log() == []
