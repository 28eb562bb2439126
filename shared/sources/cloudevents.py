"""The canonical dialect: CloudEvents 1.0 in structured mode, one, a batch, or one a line (NDJSON)."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, JsonValue, ValidationError, model_validator

from shared.messages import MAX_CHANGE_BYTES, size_of
from shared.model import ChangeData, ChangeType, DeviceChange, Guid, Name, Time
from shared.sources.parsed import Flaw, Parsed, Rejection, UnreadableError, flaws_of
from shared.sources.strict_json import NotJsonError, loads

MAX_CHANGES = 1000
MAX_BODY_BYTES = 1024 * 1024

ONE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"
JSON = "application/json"

type Item = tuple[int, JsonValue] | Rejection
"""A change as JSON with its place, or why it is not even that."""


def _is_json(media_type: str) -> str:
    if media_type.partition(";")[0].strip().lower() != JSON:
        raise ValueError(f"is not {JSON}")
    return media_type


class CloudEvent(BaseModel):
    """A CloudEvent that says what changed of a device. Extension attributes are let pass."""

    specversion: Literal["1.0"]
    id: Name
    source: Name
    type: ChangeType
    subject: Guid = Field(description="The MDM's id of the device.")
    time: Time = Field(description="When it happened, by the source's clock.")
    datacontenttype: Annotated[str, AfterValidator(_is_json)] | None = None
    data: ChangeData | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_its_data_as_json(cls, event: Any) -> Any:  # noqa: ANN401 - anything may come in
        if isinstance(event, dict) and "data_base64" in event:
            raise ValueError("has data_base64; send data as JSON")
        return event

    def as_change(self) -> DeviceChange:
        """Return the change that the event stands for."""
        return DeviceChange(
            source=self.source,
            id=self.id,
            type=self.type,
            device_id=self.subject,
            time=self.time,
            data=self.data or ChangeData(),
        )


def parse(body: bytes, content_type: str) -> Parsed:
    """Turn a body into changes; those that are not valid are listed with what is wrong.

    Raises:
        UnreadableError: the body as a whole is too large, of an unknown type, or not JSON.
    """
    if len(body) > MAX_BODY_BYTES:
        raise UnreadableError(413, f"The body is over {MAX_BODY_BYTES} bytes. Send it in several requests.")
    items = _reader(content_type)(body)
    if len(items) > MAX_CHANGES:
        raise UnreadableError(413, f"The body has over {MAX_CHANGES} changes. Send them in several requests.")
    changes: list[tuple[int, DeviceChange]] = []
    rejections: list[Rejection] = []
    for item in items:
        result = item if isinstance(item, Rejection) else _change(*item)
        if isinstance(result, Rejection):
            rejections.append(result)
        else:
            changes.append(result)
    return Parsed(tuple(changes), tuple(rejections))


def _reader(content_type: str) -> Callable[[bytes], Sequence[Item]]:
    media_type, _, parameters = content_type.partition(";")
    readers = {ONE: _read_one, BATCH: _read_batch, LINES: _read_lines, JSON: _read_json}
    reader = readers.get(media_type.strip().lower())
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if reader is None or charset not in {"", "charset=utf-8"}:
        raise UnreadableError(415, f"Content-Type must be one of {', '.join(readers)}, in UTF-8.")
    return reader


def _read_json(body: bytes) -> Sequence[Item]:
    document = _document(body)
    return list(enumerate(document)) if isinstance(document, list) else [(0, document)]


def _read_one(body: bytes) -> Sequence[Item]:
    return [(0, _document(body))]


def _read_batch(body: bytes) -> Sequence[Item]:
    document = _document(body)
    if isinstance(document, list):
        return list(enumerate(document))
    return [Rejection(0, (Flaw("", f"{BATCH} is an array of CloudEvents"),))]


def _read_lines(body: bytes) -> Sequence[Item]:
    items: list[Item] = []
    for line in body.splitlines():
        if not line.strip():
            continue
        try:
            items.append((len(items), loads(line)))
        except NotJsonError as error:
            items.append(Rejection(len(items), (Flaw("", f"The line {error}"),), is_json=False))
    if not items:
        raise UnreadableError(400, "The body has no line with a change.")
    return items


def _document(body: bytes) -> JsonValue:
    try:
        return loads(body)
    except NotJsonError as error:
        raise UnreadableError(400, f"The body {error}.") from None


def _change(index: int, item: JsonValue) -> tuple[int, DeviceChange] | Rejection:
    try:
        change = CloudEvent.model_validate(item).as_change()
    except ValidationError as error:
        return Rejection(index, flaws_of(error))
    if size_of(change) > MAX_CHANGE_BYTES:
        return Rejection(index, (Flaw("", f"The change takes over {MAX_CHANGE_BYTES} bytes"),))
    return index, change
