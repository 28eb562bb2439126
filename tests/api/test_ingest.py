"""``POST /api/device-changes``: what is taken, what is refused and with which words, and what never gets lost."""

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from azure.storage.queue.aio import QueueServiceClient

from shared import ingest
from shared.messages import ChangesMessage
from shared.settings import ByConnectionString
from shared.sources import cloudevents
from shared.storage.connection import queue_service
from shared.storage.queues import StorageQueues
from tests.service import BATCH, EVENT, LINES, Answer, Device, Service, change, running_service

JSON = "application/json"
MIB = 1024 * 1024
GUID = "1d71e131-0487-4d1d-9a0d-89f2bd1a888d"
TIME = "2025-11-23T09:30:00Z"


def event(**members: object) -> dict[str, Any]:
    """A good change, with these members in place of its own."""
    good = {
        "specversion": "1.0",
        "id": f"evt-{uuid4()}",
        "source": "urn:mdm:tests",
        "type": "mdm.device.compliance_changed",
        "subject": GUID,
        "time": TIME,
        "data": {"violations": []},
    }
    return good | members


def without(member: str) -> dict[str, Any]:
    return {name: held for name, held in event().items() if name != member}


def ahead(**span: float) -> str:
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


def as_bytes(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


async def post(service: Service, body: object, content_type: str | None = EVENT) -> Answer:
    return await service.api.call("POST", "/api/device-changes", as_bytes(body), content_type)


# What is taken


@pytest.mark.parametrize("content_type", [EVENT, JSON, "Application/JSON; charset=UTF-8", f'{EVENT};charset="utf-8"'])
async def test_one_change_is_taken(service: Service, content_type: str) -> None:
    answer = await post(service, event(), content_type)
    assert (answer.status, answer.json) == (202, {"accepted": 1, "rejected": []})
    assert answer.headers["Content-Type"].partition(";")[0] == JSON


@pytest.mark.parametrize("content_type", [BATCH, JSON])
async def test_a_batch_is_taken(service: Service, content_type: str) -> None:
    answer = await post(service, [event(), event()], content_type)
    assert (answer.status, answer.json) == (202, {"accepted": 2, "rejected": []})


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n \n"], ids=["LF", "CRLF", "blank lines"])
async def test_lines_are_taken(service: Service, end: bytes) -> None:
    answer = await post(service, as_bytes(event()) + end + as_bytes(event()) + end, LINES)
    assert (answer.status, answer.json) == (202, {"accepted": 2, "rejected": []})


async def test_the_change_of_the_documentation_arrives_as_it_was_sent(service: Service) -> None:
    device = Device.new()
    data: dict[str, Any] = {
        "azureClientStatusCode": "Success",
        "userPrincipalName": "user@contoso.example",
        "violations": [
            {
                "policy": "Compromised devices",
                "reason": "rooted",
                "since": "2025-11-23T09:29:58Z",
                "actions": ["SEND_ALERT", "QUARANTINE"],
            }
        ],
        "inventory": {
            "platform": "IOS",
            "osVersion": "18.1",
            "displayName": "iPad",
            "manufacturer": "Apple Inc.",
            "model": "iPad5,3",
            "serialNumber": "DMPPK6YVG5VT",
            "ownership": "COMPANY",
            "registrationState": "ACTIVE",
        },
    }
    await service.api.send(change(device, id_="documented", **data))
    came_in = await service.remembers(device, changeId="documented")
    assert came_in["facts"]["data"] == data
    details = await service.shows(device)
    assert details["violations"] == data["violations"]
    assert details["inventory"] == data["inventory"]


TAKEN = {
    "a GUID in upper case": event(subject=GUID.upper()),
    "the first year": event(time="0001-01-01T00:00:00Z"),
    "a time with an offset": event(time="2025-11-23T10:30:00+01:00"),
    "seven decimals of a second": event(time="2025-11-23T09:30:00.1234567Z"),
    "an id of 256 characters": event(id="x" * 256),
    "no data": without("data"),
    "data that is null": event(data=None),
    "compliance that is not known": event(data={"violations": None}),
    "100 violations": event(data={"violations": [{"policy": "p", "actions": ["WAIT"]}] * 100}),
    "an attribute of CloudEvents that is not ours": event(traceparent="00-ab-cd-01", dataschema="urn:x"),
    "a control character in what people read": event(data={"inventory": {"displayName": "a\nb\u0000"}}),
    "an emoji": event(data={"inventory": {"displayName": "\U0001f4f1"}}),
}


@pytest.mark.parametrize("name", TAKEN)
async def test_good_bodies_are_taken(service: Service, name: str) -> None:
    answer = await post(service, TAKEN[name])
    assert (answer.status, answer.json) == (202, {"accepted": 1, "rejected": []})


async def test_a_time_4_minutes_ahead_is_taken(service: Service) -> None:
    assert (await post(service, event(time=ahead(minutes=4)))).status == 202


async def test_a_byte_order_mark_before_a_change_does_no_harm(service: Service) -> None:
    assert (await post(service, b"\xef\xbb\xbf" + as_bytes(event()))).status == 202


async def test_a_body_of_exactly_1_mib_is_taken(service: Service) -> None:
    assert (await post(service, as_bytes(event()).ljust(MIB))).status == 202


# What is refused

NO_GUID = "is not a GUID such as 1d71e131-0487-4d1d-9a0d-89f2bd1a888d"
NO_PLAIN_GUID = "is not a GUID of the form 1d71e131-0487-4d1d-9a0d-89f2bd1a888d"
NO_TIME = "is not a time such as 2026-11-23T09:30:00Z"
NO_UTC = "is not within the years 1 to 9999 in UTC"
TOO_FAR = "is more than 5 minutes in the future; set the clock of the sender"
REQUIRED = "Field required"
UNPRINTABLE = "holds a control character"
EXTRA = "Extra inputs are not permitted"
NO_TYPE = (
    "Input should be 'mdm.device.compliance_changed', 'mdm.device.inventory_changed', "
    "'mdm.device.registration_changed', 'mdm.device.checked_in', 'mdm.device.enrolled', 'mdm.device.retired' "
    "or 'mdm.device.wiped'"
)
NO_ACTION = (
    "Input should be 'NONE', 'WAIT', 'SEND_ALERT', 'BLOCK_EMAIL', 'BLOCK_APPCONNECT', 'QUARANTINE', 'RETIRE' or 'WIPE'"
)
NO_PLATFORM = "Input should be 'IOS', 'ANDROID', 'OSX', 'WINDOWS' or 'UNKNOWN'"
NO_CODE = (
    "Input should be 'Success', 'Internal_Error', 'Workplace_Join_Required', 'Interaction_Required', "
    "'Server_Declined_Scopes', 'Server_Protection_Policies_Required', 'User_Canceled' or 'Account_logged_out'"
)
NO_TEXT = "Input should be a valid string, unable to parse raw data as a unicode string"
NO_EVENT = "Input should be a valid dictionary or instance of CloudEvent"
TYPES = (
    "Content-Type must be one of application/cloudevents+json, application/cloudevents-batch+json, "
    "application/x-ndjson, application/json, in UTF-8."
)

# What is wrong with one change: the change, then each flaw that the answer names.
NOT_VALID: dict[str, tuple[object, list[tuple[str, str]]]] = {
    "no specversion": (without("specversion"), [("/specversion", REQUIRED)]),
    "no id": (without("id"), [("/id", REQUIRED)]),
    "no source": (without("source"), [("/source", REQUIRED)]),
    "no type": (without("type"), [("/type", REQUIRED)]),
    "no subject": (without("subject"), [("/subject", REQUIRED)]),
    "no time": (without("time"), [("/time", REQUIRED)]),
    "the wrong specversion": (event(specversion="0.3"), [("/specversion", "Input should be '1.0'")]),
    "a specversion that is a number": (event(specversion=1.0), [("/specversion", "Input should be '1.0'")]),
    "an unknown type": (event(type="mdm.device.exploded"), [("/type", NO_TYPE)]),
    "an id of 257 characters": (event(id="x" * 257), [("/id", "String should have at most 256 characters")]),
    "an empty id": (event(id=""), [("/id", "String should have at least 1 character")]),
    "a number for an id": (event(id=7), [("/id", "Input should be a valid string")]),
    "a control character in the id": (event(id="a\u0000b"), [("/id", UNPRINTABLE)]),
    "a line break in the source": (event(source="a\nb"), [("/source", UNPRINTABLE)]),
    "a C1 control character in the source": (event(source="a\u0085b"), [("/source", UNPRINTABLE)]),
    "a lone surrogate in the id": (event(id="\ud800"), [("/id", NO_TEXT)]),
    "a lone surrogate in a name": (
        event(data={"inventory": {"displayName": "\udfff"}}),
        [("/data/inventory/displayName", NO_TEXT)],
    ),
    "a subject that is no GUID": (event(subject="device-1"), [("/subject", NO_GUID)]),
    "a subject in braces": (event(subject=f"{{{GUID}}}"), [("/subject", NO_PLAIN_GUID)]),
    "a subject without hyphens": (event(subject=GUID.replace("-", "")), [("/subject", NO_PLAIN_GUID)]),
    "an Azure identifier that is no GUID": (event(data={"azureDeviceId": "x"}), [("/data/azureDeviceId", NO_GUID)]),
    "a time without an offset": (event(time="2025-11-23T09:30:00"), [("/time", NO_TIME)]),
    "a time that is a number": (event(time=1763890200), [("/time", NO_TIME)]),
    "a time that is digits": (event(time="1763890200"), [("/time", NO_TIME)]),
    "a time that is a date": (event(time="2025-11-23"), [("/time", NO_TIME)]),
    "a time that is null": (event(time=None), [("/time", NO_TIME)]),
    "a time in digits that are not ASCII": (event(time="\uff12025-11-23T09:30:00Z"), [("/time", NO_TIME)]),
    "a time before the year 1 in UTC": (event(time="0001-01-01T00:00:00+01:00"), [("/time", NO_UTC)]),
    "a time after the year 9999 in UTC": (event(time="9999-12-31T23:59:59-01:00"), [("/time", NO_UTC)]),
    "the year 9999": (event(time="9999-12-31T23:59:59+01:00"), [("/time", TOO_FAR)]),
    "an unknown action": (
        event(data={"violations": [{"policy": "p", "actions": ["EXPLODE"]}]}),
        [("/data/violations/0/actions/0", NO_ACTION)],
    ),
    "an action in lower case": (
        event(data={"violations": [{"policy": "p", "actions": ["quarantine"]}]}),
        [("/data/violations/0/actions/0", NO_ACTION)],
    ),
    "a violation without actions": (
        event(data={"violations": [{"policy": "p"}]}),
        [("/data/violations/0/actions", REQUIRED)],
    ),
    "a violation without a policy": (
        event(data={"violations": [{"actions": []}]}),
        [("/data/violations/0/policy", REQUIRED)],
    ),
    "an unknown platform": (
        event(data={"inventory": {"platform": "SYMBIAN"}}),
        [("/data/inventory/platform", NO_PLATFORM)],
    ),
    "an unknown client code": (
        event(data={"azureClientStatusCode": "Whatever"}),
        [("/data/azureClientStatusCode", NO_CODE)],
    ),
    "an unknown property in data": (event(data={"violation": []}), [("/data/violation", EXTRA)]),
    "an unknown property in the inventory": (
        event(data={"inventory": {"os/version": "1"}}),
        [("/data/inventory/os~1version", EXTRA)],
    ),
    "an unknown property named by a lone surrogate": (event(data={"\ud800": 1}), []),
    "violations that are text": (
        event(data={"violations": "none"}),
        [("/data/violations", "Input should be a valid tuple")],
    ),
    "violations that are an object": (
        event(data={"violations": {}}),
        [("/data/violations", "Input should be a valid tuple")],
    ),
    "101 violations": (
        event(data={"violations": [{"policy": "p", "actions": []}] * 101}),
        [("/data/violations", "has more than 100 items")],
    ),
    "data that is a list": (
        event(data=[]),
        [("/data", "Input should be a valid dictionary or instance of ChangeData")],
    ),
    "data in base64": (event(data_base64="e30="), [("", "has data_base64; send data as JSON")]),
    "data of another type": (
        event(datacontenttype="application/xml"),
        [("/datacontenttype", "is not application/json")],
    ),
    "a change of over 24 KiB": (
        event(data={"violations": [{"policy": "p" * 1000, "reason": "r" * 1000, "actions": []}] * 13}),
        [("", "The change takes over 24576 bytes")],
    ),
    "a change of over 24 KiB in UTF-8": (
        event(data={"violations": [{"policy": "\u20ac" * 1000, "actions": []}] * 9}),
        [("", "The change takes over 24576 bytes")],
    ),
    "a number": (7, [("", NO_EVENT)]),
    "text": ("change", [("", NO_EVENT)]),
    "null": (None, [("", NO_EVENT)]),
    "a number that is too large for any float": (b'{"specversion":1e99999}', []),
    "an object that is empty": (
        {},
        [(f"/{name}", REQUIRED) for name in ("specversion", "id", "source", "type", "subject", "time")],
    ),
}


@pytest.mark.parametrize("name", NOT_VALID)
async def test_a_change_that_is_not_valid_is_422_and_says_where_and_why(service: Service, name: str) -> None:
    body, flaws = NOT_VALID[name]
    problem = (await post(service, body)).problem(422)
    assert problem["detail"] == "The body holds no valid change; see errors for what to mend."
    assert problem["errors"]
    if flaws:
        assert problem["errors"] == [{"pointer": pointer, "detail": detail} for pointer, detail in flaws]


async def test_a_time_more_than_5_minutes_ahead_is_422(service: Service) -> None:
    problem = (await post(service, event(time=ahead(minutes=5, seconds=1)))).problem(422)
    assert problem["errors"] == [{"pointer": "/time", "detail": TOO_FAR}]


async def test_no_answer_repeats_what_was_sent(service: Service) -> None:
    answer = await post(service, event(id="secret" * 100, data={"azureDeviceId": "secret"}))
    answer.problem(422)
    assert b"secret" not in answer.body


@dataclass(frozen=True)
class Unreadable:
    """A body that cannot be taken as a whole, and the answer."""

    body: bytes
    status: int
    detail: str
    content_type: str | None = EVENT


UNREADABLE = {
    "nothing": Unreadable(b"", 400, "The body is not JSON: Expecting value at line 1, column 1."),
    "no JSON": Unreadable(b"device=1", 400, "The body is not JSON: Expecting value at line 1, column 1."),
    "JSON that is cut off": Unreadable(b'{"id":', 400, "The body is not JSON: Expecting value at line 1, column 7."),
    "two documents": Unreadable(b"{}{}", 400, "The body is not JSON: Extra data at line 1, column 3."),
    "NaN": Unreadable(b'{"id":NaN}', 400, "The body is not JSON: NaN is no JSON number."),
    "Infinity": Unreadable(b"[-Infinity]", 400, "The body is not JSON: -Infinity is no JSON number.", JSON),
    "a name that stands twice": Unreadable(b'{"id":"a","id":"b"}', 400, "The body names a member of an object twice."),
    "Latin-1": Unreadable('{"id":"é"}'.encode("latin-1"), 400, "The body is not UTF-8."),
    "UTF-16": Unreadable('{"id":"a"}'.encode("utf-16"), 400, "The body is not UTF-8."),
    "100,000 brackets": Unreadable(b"[" * 100_000, 400, "The body is nested too deeply."),
    "100,000 pairs of brackets": Unreadable(
        b"[" * 100_000 + b"]" * 100_000, 400, "The body is nested too deeply.", JSON
    ),
    "100,000 objects in one another": Unreadable(
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, "The body is nested too deeply."
    ),
    "a number of 10,000 digits": Unreadable(
        b'{"id":' + b"9" * 10_000 + b"}", 400, "The body has a number that is too long."
    ),
    "lines that are all empty": Unreadable(b"\n\r\n  \n", 400, "The body has no line with a change.", LINES),
    "1,001 changes": Unreadable(
        b"[" + b",".join([b"{}"] * 1001) + b"]",
        413,
        "The body has over 1000 changes. Send them in several requests.",
        BATCH,
    ),
    "1,001 lines": Unreadable(
        b"{}\n" * 1001, 413, "The body has over 1000 changes. Send them in several requests.", LINES
    ),
    "1 MiB and a byte": Unreadable(
        b"{}".ljust(MIB + 1), 413, "The body is over 1048576 bytes. Send it in several requests."
    ),
    "another content type": Unreadable(b"{}", 415, TYPES, "text/plain"),
    "XML": Unreadable(b"{}", 415, TYPES, "application/cloudevents+xml"),
    "no content type": Unreadable(b"{}", 415, TYPES, None),
    "a content type that is empty": Unreadable(b"{}", 415, TYPES, ""),
    "another charset": Unreadable(b"{}", 415, TYPES, "application/json; charset=latin-1"),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_a_body_that_cannot_be_taken_says_why(service: Service, name: str) -> None:
    case = UNREADABLE[name]
    problem = (await post(service, case.body, case.content_type)).problem(case.status)
    assert problem["detail"] == case.detail
    assert problem["errors"] == []


@pytest.mark.parametrize("depth", [300, 900, 990, 1000, 1500, 5000])
async def test_no_depth_of_nesting_is_answered_with_a_failure(service: Service, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    answer = await post(service, as_bytes(event(data="NESTED")).replace(b'"NESTED"', b'{"violations":' + nested + b"}"))
    assert answer.status in {400, 422}, answer
    answer.problem(answer.status)


async def test_a_batch_that_is_no_array_is_422(service: Service) -> None:
    problem = (await post(service, event(), BATCH)).problem(422)
    assert problem["errors"] == [{"pointer": "", "detail": f"{BATCH} is an array of CloudEvents"}]


async def test_a_single_event_that_is_an_array_is_422(service: Service) -> None:
    problem = (await post(service, [event()], EVENT)).problem(422)
    assert problem["errors"] == [{"pointer": "", "detail": NO_EVENT}]


@pytest.mark.parametrize("content_type", [BATCH, JSON])
async def test_an_empty_array_is_422(service: Service, content_type: str) -> None:
    assert (await post(service, [], content_type)).problem(422)["errors"] == []


async def test_an_array_of_what_is_no_change_is_422_and_names_each(service: Service) -> None:
    problem = (await post(service, [1, "two", None, []], BATCH)).problem(422)
    assert problem["errors"] == [{"pointer": f"/{index}", "detail": NO_EVENT} for index in range(4)]


async def test_a_bad_line_among_good_ones_is_told_by_its_place(service: Service) -> None:
    lines = [as_bytes(event()), b"{broken", as_bytes(event()), as_bytes(without("id"))]
    answer = await post(service, b"\r\n".join(lines), LINES)
    assert answer.status == 202
    detail = "The line is not JSON: Expecting property name enclosed in double quotes at line 1, column 2"
    assert answer.json == {
        "accepted": 2,
        "rejected": [
            {"index": 1, "errors": [{"pointer": "", "detail": detail}]},
            {"index": 3, "errors": [{"pointer": "/id", "detail": REQUIRED}]},
        ],
    }


async def test_lines_none_of_which_is_json_are_400(service: Service) -> None:
    problem = (await post(service, b"{broken\nNaN\n", LINES)).problem(400)
    assert problem["detail"] == "No line of the body is JSON."
    assert [flaw["pointer"] for flaw in problem["errors"]] == ["/0", "/1"]


async def test_lines_of_which_some_are_json_and_none_is_a_change_are_422(service: Service) -> None:
    problem = (await post(service, b"{broken\n7\n", LINES)).problem(422)
    assert [flaw["pointer"] for flaw in problem["errors"]] == ["/0", "/1"]


async def test_bad_changes_among_good_ones_are_told_in_the_order_of_the_body(service: Service) -> None:
    device = Device.new()
    good = change(device, id_="good", violations=[])
    answer = await post(service, [without("id"), event(time=ahead(hours=1)), good, 7], BATCH)
    assert answer.status == 202
    assert answer.json["accepted"] == 1
    found = [(rejection["index"], rejection["errors"][0]["pointer"]) for rejection in answer.json["rejected"]]
    assert found == [(0, "/id"), (1, "/time"), (3, "")]
    await service.remembers(device, changeId="good")


async def test_a_receipt_can_name_a_property_that_no_text_can_hold(service: Service) -> None:
    answer = await post(service, [event(), event(data={"\ud800": 1})], BATCH)
    assert answer.status == 202, answer
    assert answer.json["accepted"] == 1
    assert [rejection["index"] for rejection in answer.json["rejected"]] == [1]


async def test_a_change_with_a_hundred_flaws_names_the_first_20(service: Service) -> None:
    bad = [{"policy": "", "actions": ["EXPLODE"]}] * 100
    assert len((await post(service, event(data={"violations": bad}))).problem(422)["errors"]) == 20


# Who may send


@pytest.mark.parametrize("key", [None, "", "wrong", "localx"])
async def test_without_its_key_nothing_is_taken(service: Service, key: str | None) -> None:
    answer = await service.api.call("POST", "/api/device-changes", as_bytes(event()), EVENT, key=key)
    assert answer.status == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_other_methods_are_404_as_on_the_real_host(service: Service, method: str) -> None:
    assert (await service.api.call(method, "/api/device-changes")).status == 404


# What must not get lost


async def test_1000_changes_are_on_the_queue_in_messages_that_fit(blank_account: Callable[[], str]) -> None:
    sent = [
        event(
            id=f"evt-{number}",
            subject=str(uuid4()),
            data={"violations": [{"policy": "\u20ac" * 90, "reason": "r" * number, "actions": ["QUARANTINE"]}]},
        )
        for number in range(1000)
    ]
    body = json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()
    assert MIB * 0.8 < len(body) <= MIB
    account = blank_account()
    async with queue_service(ByConnectionString(account)) as queues:
        receipt = await ingest.accept(cloudevents.parse(body, BATCH), StorageQueues(queues), datetime.now(UTC))
        assert receipt == ingest.Receipt(accepted=1000, rejections=())
    texts = await raw_messages(account)

    assert max(map(len, texts)) <= 64 * 1024
    changes = [
        held for text in texts for held in ChangesMessage.model_validate_json(b64decode(text, validate=True)).changes
    ]
    assert len(changes) == 1000
    assert {held.id for held in changes} == {f"evt-{number}" for number in range(1000)}
    assert {held.device_id: len((held.data.violations or ())[0].reason or "") for held in changes} == {
        held["subject"]: number for number, held in enumerate(sent)
    }


async def raw_messages(account: str) -> list[str]:
    """Take every message of ``device-changes``, as Storage holds it."""
    async with (
        QueueServiceClient.from_connection_string(account) as queues,
        queues.get_queue_client("device-changes") as queue,
    ):
        return [message.content async for message in queue.receive_messages(messages_per_page=32)]


async def test_while_storage_is_down_the_sender_is_told_to_come_back() -> None:
    nobody = "http://127.0.0.1:9/account0"
    storage = f"AccountName=account0;AccountKey=c2VjcmV0;QueueEndpoint={nobody};TableEndpoint={nobody};"
    async with running_service(storage) as service:
        started = monotonic()
        answer = await post(service, event())
        took = monotonic() - started

        problem = answer.problem(503)
        assert int(answer.headers["Retry-After"]) > 0
        assert "send the same again" in problem["detail"]
        assert b"127.0.0.1" not in answer.body
        assert took < 10  # seconds: a sender waits for the answer
        # What is wrong with the body is known all the same, and liveness needs no storage.
        (await post(service, b"{")).problem(400)
        assert (await service.api.call("GET", "/api/health", key=None)).status == 200
        (await service.api.call("GET", f"/api/devices/{GUID}")).problem(503)
