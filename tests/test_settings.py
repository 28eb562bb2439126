"""The environment: what it comes to, and what is said of one that is not valid."""

from typing import Any

import pytest

from shared.model import Platform
from shared.settings import ByConnectionString, ByIdentity, Channel, Settings, SettingsError, from_environment

CONNECTION = "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"
OTHER = CONNECTION.replace("contoso", "state")
STORAGE = {"AzureWebJobsStorage": CONNECTION}
BY_NAME = {"AzureWebJobsStorage__accountName": "contoso"}


def test_a_connection_string_alone_is_enough_and_all_else_has_its_default() -> None:
    settings = from_environment(STORAGE)
    assert settings.queues == settings.tables == ByConnectionString(CONNECTION)
    assert settings.model_dump(exclude={"queues", "tables", "REPORT_CHANNELS"}) == {
        "GRAPH_BASE_URL": "https://graph.microsoft.com/v1.0",
        "AZURE_CLIENT_ID": None,
        "REPORTING_ENABLED": True,
        "DRY_RUN": False,
        "COMPLIANCE_ATTRIBUTE": "extensionAttribute15",
        "INVENTORY_ATTRIBUTE": "extensionAttribute14",
        "OLD_IDENTIFIER": "noncompliant",
        "WEEKLY_REPORT_SCHEDULE": "0 0 3 * * 0",
        "WEEKLY_REPORT_MODE": "reconcile",
        "GRAPH_WRITES_PER_SECOND": 16,
        "RETENTION_DAYS": 30,
    }
    attributes = (Channel.EXTENSION_ATTRIBUTES,)
    assert dict(settings.REPORT_CHANNELS) == {
        Platform.WINDOWS: (Channel.IS_COMPLIANT,),
        Platform.IOS: attributes,
        Platform.ANDROID: attributes,
        Platform.OSX: attributes,
        Platform.UNKNOWN: attributes,
    }


def by_identity(service: str, account: str = "contoso", client_id: str | None = None) -> ByIdentity:
    return ByIdentity(f"https://{account}.{service}.core.windows.net", client_id)


ACCOUNTS: dict[str, tuple[dict[str, str], object, object]] = {
    "an account name": (BY_NAME, by_identity("queue"), by_identity("table")),
    "an account name with the identity of the app": (
        BY_NAME | {"AZURE_CLIENT_ID": "app"},
        by_identity("queue", client_id="app"),
        by_identity("table", client_id="app"),
    ),
    "an account name with an identity of its own": (
        BY_NAME | {"AZURE_CLIENT_ID": "app", "AzureWebJobsStorage__clientId": "own"},
        by_identity("queue", client_id="own"),
        by_identity("table", client_id="own"),
    ),
    "endpoints": (
        {
            "AzureWebJobsStorage__queueServiceUri": "https://q.example",
            "AzureWebJobsStorage__tableServiceUri": "https://t.example",
        },
        ByIdentity("https://q.example", None),
        ByIdentity("https://t.example", None),
    ),
    "a connection string before an account name": (
        STORAGE | {"AzureWebJobsStorage__accountName": "another"},
        ByConnectionString(CONNECTION),
        ByConnectionString(CONNECTION),
    ),
    "tables of their own by connection string": (
        STORAGE | {"STATE_STORAGE": OTHER},
        ByConnectionString(CONNECTION),
        ByConnectionString(OTHER),
    ),
    "tables of their own by endpoint": (
        BY_NAME | {"STATE_STORAGE__tableServiceUri": "https://t.example"},
        by_identity("queue"),
        ByIdentity("https://t.example", None),
    ),
    "tables of their own by account name": (
        STORAGE | {"STATE_STORAGE__accountName": "state"},
        ByConnectionString(CONNECTION),
        by_identity("table", "state"),
    ),
}


@pytest.mark.parametrize("name", ACCOUNTS)
def test_storage_is_where_the_environment_says(name: str) -> None:
    environment, queues, tables = ACCOUNTS[name]
    settings = from_environment(environment)
    assert (settings.queues, settings.tables) == (queues, tables)


GOOD: list[tuple[str, str, Any]] = [
    ("REPORTING_ENABLED", "false", False),
    ("REPORTING_ENABLED", "0", False),
    ("DRY_RUN", "True", True),
    ("GRAPH_BASE_URL", "https://graph.microsoft.us/v1.0/", "https://graph.microsoft.us/v1.0"),
    ("GRAPH_BASE_URL", "https://dod-graph.microsoft.us/v1.0", "https://dod-graph.microsoft.us/v1.0"),
    ("GRAPH_BASE_URL", "https://microsoftgraph.chinacloudapi.cn/v1.0", "https://microsoftgraph.chinacloudapi.cn/v1.0"),
    ("GRAPH_BASE_URL", "http://127.0.0.1:8080/v1.0", "http://127.0.0.1:8080/v1.0"),
    ("GRAPH_BASE_URL", "http://[::1]:8080/v1.0", "http://[::1]:8080/v1.0"),
    ("COMPLIANCE_ATTRIBUTE", "extensionAttribute1", "extensionAttribute1"),
    ("INVENTORY_ATTRIBUTE", "", ""),
    ("WEEKLY_REPORT_SCHEDULE", "0 30 1 * * 1-5", "0 30 1 * * 1-5"),
    ("WEEKLY_REPORT_MODE", "full", "full"),
    ("GRAPH_WRITES_PER_SECOND", "0.5", 0.5),
    ("GRAPH_WRITES_PER_SECOND", "20", 20),
    ("RETENTION_DAYS", "1", 1),
    ("RETENTION_DAYS", "3650", 3650),
]


@pytest.mark.parametrize(("name", "text", "expected"), GOOD)
def test_a_setting_that_is_valid_is_taken(name: str, text: str, expected: object) -> None:
    assert getattr(from_environment(STORAGE | {name: text}), name) == expected


BAD: list[tuple[str, str]] = [
    ("REPORTING_ENABLED", "perhaps"),
    ("REPORTING_ENABLED", ""),
    ("DRY_RUN", "2"),
    ("GRAPH_BASE_URL", "graph.microsoft.com"),
    ("GRAPH_BASE_URL", ""),
    ("GRAPH_BASE_URL", "http://["),
    ("GRAPH_BASE_URL", "ftp://graph.microsoft.com"),
    ("GRAPH_BASE_URL", "http://graph.microsoft.com/v1.0"),
    ("GRAPH_BASE_URL", "https://graph.microsoft.com.example/v1.0"),
    ("GRAPH_BASE_URL", "https://graph.microsoft.com@evil.example/v1.0"),
    ("REPORT_CHANNELS", "windows=telepathy"),
    ("REPORT_CHANNELS", "windows"),
    ("REPORT_CHANNELS", "symbian=isCompliant"),
    ("REPORT_CHANNELS", "windows=isCompliant+"),
    ("COMPLIANCE_ATTRIBUTE", "extensionAttribute0"),
    ("COMPLIANCE_ATTRIBUTE", "extensionAttribute16"),
    ("COMPLIANCE_ATTRIBUTE", "extensionAttribute15\n"),
    ("COMPLIANCE_ATTRIBUTE", ""),
    ("COMPLIANCE_ATTRIBUTE", "extensionAttribute14"),
    ("INVENTORY_ATTRIBUTE", "displayName"),
    ("WEEKLY_REPORT_SCHEDULE", "0 3 * * 0"),
    ("WEEKLY_REPORT_SCHEDULE", "weekly"),
    ("WEEKLY_REPORT_MODE", "lazy"),
    ("GRAPH_WRITES_PER_SECOND", "0"),
    ("GRAPH_WRITES_PER_SECOND", "-1"),
    ("GRAPH_WRITES_PER_SECOND", "20.1"),
    ("GRAPH_WRITES_PER_SECOND", "nan"),
    ("GRAPH_WRITES_PER_SECOND", "inf"),
    ("GRAPH_WRITES_PER_SECOND", "many"),
    ("RETENTION_DAYS", "0"),
    ("RETENTION_DAYS", "3651"),
    ("RETENTION_DAYS", "1.5"),
    ("AzureWebJobsStorage", "AccountKey=c2VjcmV0"),
    ("AzureWebJobsStorage", "c2VjcmV0"),
    ("STATE_STORAGE", "AccountKey=c2VjcmV0"),
    ("STATE_STORAGE__accountName", "Not An Account"),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_setting_that_is_not_valid_is_named_and_no_secret_is_said(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment(STORAGE | {name: text})
    assert name in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AzureWebJobsStorage": ""},
        {"AzureWebJobsStorage__accountName": "Not An Account"},
        {"AzureWebJobsStorage__queueServiceUri": "https://q.example"},
        {"STATE_STORAGE": CONNECTION},
    ],
)
def test_without_storage_the_setting_that_is_missing_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="AzureWebJobsStorage") as caught:
        from_environment(environment)
    assert "c2VjcmV0" not in str(caught.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment(STORAGE | {"DRY_RUN": "perhaps", "RETENTION_DAYS": "0", "GRAPH_BASE_URL": "no"})
    assert all(name in str(caught.value) for name in ("DRY_RUN", "RETENTION_DAYS", "GRAPH_BASE_URL"))


def test_settings_can_be_printed_without_their_secrets() -> None:
    settings = from_environment(STORAGE | {"STATE_STORAGE": OTHER})
    assert "c2VjcmV0" not in repr(settings)
    assert "c2VjcmV0" not in str(settings)


CHANNELS: list[tuple[str, dict[Platform, tuple[Channel, ...]]]] = [
    ("*=isCompliant", dict.fromkeys(Platform, (Channel.IS_COMPLIANT,))),
    ("", dict.fromkeys(Platform, ())),
    (
        " macOS = extensionAttributes ; IOS=isCompliant+extensionAttributes; ",
        dict.fromkeys(Platform, ())
        | {
            Platform.OSX: (Channel.EXTENSION_ATTRIBUTES,),
            Platform.IOS: (Channel.IS_COMPLIANT, Channel.EXTENSION_ATTRIBUTES),
        },
    ),
]


@pytest.mark.parametrize(("text", "expected"), CHANNELS)
def test_channels_are_read_by_platform(text: str, expected: object) -> None:
    assert dict(from_environment(STORAGE | {"REPORT_CHANNELS": text}).REPORT_CHANNELS) == expected


@pytest.mark.parametrize(
    ("url", "scope"),
    [
        ("https://graph.microsoft.com/v1.0", "https://graph.microsoft.com/.default"),
        ("https://graph.microsoft.us/v1.0", "https://graph.microsoft.us/.default"),
        ("https://microsoftgraph.chinacloudapi.cn/v1.0", "https://microsoftgraph.chinacloudapi.cn/.default"),
        ("http://localhost:8080/v1.0", "https://graph.microsoft.com/.default"),
    ],
)
def test_the_scope_follows_the_cloud(url: str, scope: str) -> None:
    assert from_environment(STORAGE | {"GRAPH_BASE_URL": url}).graph_scope == scope


def test_settings_do_not_change_once_they_are_read() -> None:
    settings = from_environment(STORAGE)
    with pytest.raises(ValueError, match="frozen"):
        settings.DRY_RUN = True
    assert isinstance(settings, Settings)
