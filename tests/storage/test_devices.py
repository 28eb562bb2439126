"""``TableDeviceStore``: a device comes back as it was written, a lost race is told, and lists lose nobody."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from azure.data.tables.aio import TableServiceClient

from shared.fold import DeviceReport, Phase, fold
from shared.model import (
    ChangeData,
    ChangeType,
    ClientStatusCode,
    DeviceChange,
    ErrorClass,
    Inventory,
    LastError,
    Platform,
    PolicyAction,
    RegistrationState,
    Reported,
    ReportStatus,
    Undelivered,
    Verdict,
    Violation,
)
from shared.ports import ConflictError, DeviceFilter, Position
from shared.storage.devices import TABLE, TableDeviceStore

NOW = datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)
BLOCKED = (Violation(policy="Rooted", reason="é\n\U0001f4f1", since=NOW, actions=(PolicyAction.QUARANTINE,)),)


@pytest.fixture
def store(tables: TableServiceClient) -> TableDeviceStore:
    return TableDeviceStore(tables)


def report_of(data: ChangeData, device_id: str | None = None) -> DeviceReport:
    """Make the state of a device after one change."""
    change = DeviceChange(
        source="urn:mdm:tests",
        id="evt-1",
        type=ChangeType.COMPLIANCE_CHANGED,
        device_id=device_id or str(uuid4()),
        time=NOW,
        data=data,
    )
    return fold(DeviceReport(change.device_id), change)


def named(name: str) -> DeviceReport:
    return report_of(ChangeData(inventory=Inventory(display_name=name)))


def everything_set() -> DeviceReport:
    azure_id = str(uuid4())
    told = report_of(
        ChangeData(
            azure_device_id=azure_id,
            azure_client_status_code=ClientStatusCode.SUCCESS,
            user_principal_name="o'neill@contoso.example",
            violations=BLOCKED,
            inventory=Inventory(
                platform=Platform.IOS,
                os_version="18.1",
                display_name="iPad of O'Neill",
                manufacturer="Apple Inc.",
                model="iPad5,3",
                serial_number="DMPPK6YVG5VT",
                ownership="COMPANY",
                registration_state=RegistrationState.ACTIVE,
            ),
        )
    )
    return replace(
        told,
        phase=Phase.FAILED,
        reported=Reported(
            verdict=Verdict.COMPLIANT, at=NOW, channel="isCompliant", azure_device_id=azure_id, digest="0" * 32
        ),
        last_error=LastError(
            error_class=ErrorClass.FORBIDDEN,
            code="Authorization_RequestDenied",
            message="Insufficient privileges.",
            mended_by="administrator",
            permanent=False,
            at=NOW,
        ),
        attempts=7,
        verified_at=NOW,
        undelivered=(Undelivered(id="f" * 32, queue="device-changes", message="ValueError: no", at=NOW),),
        former_ids=("99999999-9999-4999-8999-999999999999",),
    )


async def all_pages(store: TableDeviceStore, wanted: DeviceFilter, size: int) -> list[list[DeviceReport]]:
    pages: list[list[DeviceReport]] = []
    after: Position | None = None
    while not pages or after is not None:
        page = await store.page(wanted, size, after)
        pages.append(list(page.items))
        after = page.after
        assert len(pages) < 50, "the list has no end"
    return pages


async def ids(store: TableDeviceStore, wanted: DeviceFilter) -> set[str]:
    return {report.device_id for page in await all_pages(store, wanted, 100) for report in page}


async def test_a_device_comes_back_with_everything_that_was_written(store: TableDeviceStore) -> None:
    written = everything_set()
    await store.write(written, None)
    stored = await store.read(written.device_id)
    assert stored is not None
    assert stored.report == written
    assert stored.report.decision == written.decision


async def test_a_device_that_was_never_written_is_not_known(store: TableDeviceStore) -> None:
    assert await store.read(str(uuid4())) is None


async def test_a_change_of_a_device_replaces_all_of_it(store: TableDeviceStore) -> None:
    written = everything_set()
    await store.write(written, None)
    first = await store.read(written.device_id)
    assert first is not None
    after = replace(first.report, last_error=None, undelivered=(), phase=Phase.REPORTED, attempts=0)
    await store.write(after, first.etag)
    second = await store.read(written.device_id)
    assert second is not None
    assert second.report == after
    assert second.etag != first.etag


async def test_a_device_is_made_only_once(store: TableDeviceStore) -> None:
    first = named("first")
    await store.write(first, None)
    with pytest.raises(ConflictError):
        await store.write(replace(first, attempts=1), None)
    stored = await store.read(first.device_id)
    assert stored is not None
    assert stored.report == first


async def test_a_write_over_a_version_that_was_overtaken_is_refused(store: TableDeviceStore) -> None:
    device = named("raced")
    await store.write(device, None)
    seen = await store.read(device.device_id)
    assert seen is not None
    await store.write(replace(device, attempts=1), seen.etag)
    with pytest.raises(ConflictError):
        await store.write(replace(device, attempts=2), seen.etag)
    stored = await store.read(device.device_id)
    assert stored is not None
    assert stored.report.attempts == 1


async def test_a_write_over_a_device_that_is_gone_is_refused(
    store: TableDeviceStore, tables: TableServiceClient
) -> None:
    device = named("gone")
    await store.write(device, None)
    seen = await store.read(device.device_id)
    assert seen is not None
    rows = tables.get_table_client(TABLE)
    async for row in rows.query_entities("RowKey eq @id", parameters={"id": device.device_id}):
        await rows.delete_entity(row)
    with pytest.raises(ConflictError):
        await store.write(replace(device, attempts=1), seen.etag)


@pytest.mark.parametrize("wanted", [DeviceFilter(), DeviceFilter(search="fleet")], ids=["all", "searched"])
async def test_paging_finds_each_device_once_and_in_the_same_order(
    blank_tables: Callable[[], TableServiceClient], wanted: DeviceFilter
) -> None:
    store = TableDeviceStore(blank_tables())
    fleet = [named(f"Fleet {number}") for number in range(25)]
    for device in fleet:
        await store.write(device, None)
    pages = await all_pages(store, wanted, 10)
    found = [report.device_id for page in pages for report in page]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert sorted(found) == sorted(device.device_id for device in fleet)
    assert [report.device_id for page in await all_pages(store, wanted, 7) for report in page] == found


async def test_a_last_page_that_is_full_says_that_it_is_the_last(
    blank_tables: Callable[[], TableServiceClient],
) -> None:
    store = TableDeviceStore(blank_tables())
    for _ in range(2):
        await store.write(named("full"), None)
    page = await store.page(DeviceFilter(), 2, None)
    assert (len(page.items), page.after) == (2, None)


async def test_lists_can_be_narrowed_by_status(store: TableDeviceStore) -> None:
    token = uuid4().hex
    blank = named(token)
    waiting = report_of(
        ChangeData(azure_device_id=str(uuid4()), violations=(), inventory=Inventory(display_name=token))
    )
    failed = replace(waiting, device_id=str(uuid4()), phase=Phase.FAILED)
    reported = replace(waiting, device_id=str(uuid4()), phase=Phase.REPORTED)
    for device in (blank, waiting, failed, reported):
        await store.write(device, None)

    def narrowed(status: ReportStatus | None = None, *, blank_status: bool = False) -> DeviceFilter:
        return DeviceFilter(search=token, status=status, blank_status=blank_status)

    assert await ids(store, narrowed(ReportStatus.IN_PROGRESS)) == {waiting.device_id}
    assert await ids(store, narrowed(ReportStatus.FAILED)) == {failed.device_id}
    assert await ids(store, narrowed(ReportStatus.SUCCESSFUL)) == {reported.device_id}
    assert await ids(store, narrowed(blank_status=True)) == {blank.device_id}
    assert len(await ids(store, narrowed())) == 4


async def test_lists_can_be_narrowed_by_verdict(store: TableDeviceStore) -> None:
    token = uuid4().hex
    of_action = {
        action: report_of(
            ChangeData(violations=(Violation(policy="p", actions=(action,)),), inventory=Inventory(display_name=token))
        )
        for action in (PolicyAction.NONE, PolicyAction.QUARANTINE, PolicyAction.RETIRE)
    }
    for device in of_action.values():
        await store.write(device, None)
    await store.write(named(token), None)
    expected = {
        Verdict.COMPLIANT: PolicyAction.NONE,
        Verdict.NON_COMPLIANT: PolicyAction.QUARANTINE,
        Verdict.REMOVED: PolicyAction.RETIRE,
    }
    for verdict, action in expected.items():
        assert await ids(store, DeviceFilter(search=token, verdict=verdict)) == {of_action[action].device_id}


async def test_a_search_finds_what_an_administrator_knows_of_a_device_in_any_case(store: TableDeviceStore) -> None:
    token = uuid4().hex
    device = report_of(
        ChangeData(
            azure_device_id=str(uuid4()),
            user_principal_name=f"Ada.{token}@contoso.example",
            inventory=Inventory(display_name=f"iPÄD {token}", serial_number=f"SN-{token}"),
        )
    )
    await store.write(device, None)
    await store.write(named("another"), None)
    assert device.azure_device_id is not None
    searches = [
        f"ipäd {token}",
        f"IPÄD {token.upper()}",
        f"sn-{token}",
        f"ada.{token}@CONTOSO",
        device.device_id.upper(),
        device.device_id[4:20],
        device.azure_device_id.upper(),
    ]
    for search in searches:
        assert await ids(store, DeviceFilter(search=search)) == {device.device_id}, search
    for search in (f"{token}-nothing", f"{token}'", "' or 1 eq 1"):
        assert await ids(store, DeviceFilter(search=search)) == set(), search


async def test_a_search_that_looks_at_many_says_where_to_go_on(
    blank_tables: Callable[[], TableServiceClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.storage.devices.MAX_SCANNED", 5)
    store = TableDeviceStore(blank_tables())
    for number in range(12):
        await store.write(named("wanted" if number == 0 else "another"), None)
    pages = await all_pages(store, DeviceFilter(search="wanted"), 10)
    assert len(pages) == 3
    assert sum(map(len, pages)) == 1


async def test_the_table_is_made_when_it_is_first_written_to(
    blank_tables: Callable[[], TableServiceClient],
) -> None:
    store = TableDeviceStore(blank_tables())
    assert await store.read(str(uuid4())) is None
    assert (await store.page(DeviceFilter(), 10, None)).items == []
    device = named("first")
    await store.write(device, None)
    assert await store.read(device.device_id) is not None


async def test_the_table_is_made_for_a_write_over_a_version_too(
    blank_tables: Callable[[], TableServiceClient], store: TableDeviceStore
) -> None:
    device = named("moved")
    await store.write(device, None)
    seen = await store.read(device.device_id)
    assert seen is not None
    with pytest.raises(ConflictError):
        await TableDeviceStore(blank_tables()).write(device, seen.etag)
