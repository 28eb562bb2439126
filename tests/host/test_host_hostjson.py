"""host.json and what overrides it."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from local.errors import LocalError
from local.host.hostjson import HostJson, QueueSettings, load


def read(folder: Path, settings: object, **environment: str) -> HostJson:
    (folder / "host.json").write_text(settings if isinstance(settings, str) else json.dumps(settings))
    return load(folder, environment)


def test_the_defaults_are_the_real_hosts(tmp_path: Path) -> None:
    settings = read(tmp_path, {"version": "2.0"})
    assert settings == HostJson(route_prefix="api", queues=QueueSettings(), log_level="INFO")


def test_every_queue_setting_is_read(tmp_path: Path) -> None:
    queues = {
        "batchSize": 4,
        "newBatchThreshold": 0,
        "maxDequeueCount": 2,
        "maxPollingInterval": "00:00:02",
        "visibilityTimeout": "1.02:03:04.5",
        "messageEncoding": "none",
    }
    settings = read(tmp_path, {"version": "2.0", "extensions": {"queues": queues, "http": {"routePrefix": "/v1/"}}})
    failed = timedelta(days=1, hours=2, minutes=3, seconds=4.5)
    assert settings.queues == QueueSettings(4, 0, 2, timedelta(seconds=2), failed, base64=False)
    assert settings.route_prefix == "v1"


def test_half_of_a_batch_is_the_default_threshold(tmp_path: Path) -> None:
    settings = read(tmp_path, {"version": "2.0", "extensions": {"queues": {"batchSize": 32}}})
    assert settings.queues.new_batch_threshold == 16


def test_the_environment_overrides_the_file_whatever_its_case(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        {"version": "2.0", "extensions": {"queues": {"batchSize": 4}}},
        AzureFunctionsJobHost__Extensions__QUEUES__BATCHSIZE="8",
        AzureFunctionsJobHost__extensions__queues__visibilityTimeout="00:00:01",
        AZUREFUNCTIONSJOBHOST__extensions__http__routePrefix="",
        LOG_LEVEL="warning",
    )
    assert (settings.queues.batch_size, settings.queues.visibility_timeout) == (8, timedelta(seconds=1))
    assert (settings.route_prefix, settings.log_level) == ("", "WARNING")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batchSize", 0),
        ("batchSize", 33),
        ("batchSize", True),
        ("batchSize", "many"),
        ("newBatchThreshold", -1),
        ("maxDequeueCount", 0),
        ("maxPollingInterval", "00:00:00.05"),
        ("maxPollingInterval", 5),
        ("visibilityTimeout", "30"),
        ("visibilityTimeout", "8.00:00:00"),
        ("messageEncoding", "hex"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(LocalError, match=f"extensions.queues.{key} must be"):
        read(tmp_path, {"version": "2.0", "extensions": {"queues": {key: value}}})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ("{}", '"version" must be "2.0"'),
        ('{"version":"2.0","logging":{"logLevel":{"default":"Loud"}}}', "log level 'Loud'"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(LocalError, match=reason):
        read(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="is missing"):
        load(tmp_path, {})
