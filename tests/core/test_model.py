"""What comes in from outside is taken as it is meant, or refused; it is never guessed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.model import ChangeData, Guid, Name, Text, Time, rfc3339

guids = TypeAdapter[str](Guid)
times = TypeAdapter[datetime](Time)
texts = TypeAdapter[str](Text)
names = TypeAdapter[str](Name)


@given(st.uuids())
def test_a_guid_is_the_same_in_whatever_case_it_comes(guid: object) -> None:
    assert guids.validate_python(str(guid).upper()) == str(guid)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no guid",
        "{1d71e131-0487-4d1d-9a0d-89f2bd1a888d}",
        "urn:uuid:1d71e131-0487-4d1d-9a0d-89f2bd1a888d",
        "1d71e13104874d1d9a0d89f2bd1a888d",
        "1d71e131-0487-4d1d-9a0d-89f2bd1a888d ",
    ],
)
def test_what_is_no_guid_with_its_hyphens_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a GUID"):
        guids.validate_python(text)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-23T09:30:00Z", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        ("2026-11-23t09:30:00z", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        ("2026-11-23T10:30:00+01:00", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        ("2026-11-23T09:30:00.1234567Z", datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)),
    ],
)
def test_a_time_is_taken_with_its_offset_and_kept_in_utc(text: str, time: datetime) -> None:
    assert times.validate_python(text) == time
    assert times.validate_python(time) == time


@pytest.mark.parametrize(
    "value",
    [1766482200, 1766482200000.0, "1766482200", "2026-11-23", "2026-11-23T09:30:00", "23.11.2026 09:30", "", None, []],
)
def test_a_time_that_might_mean_several_things_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="is not a time such as"):
        times.validate_python(value)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-01T00:00:00Z"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        times.validate_python(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back_from_its_text(time: datetime) -> None:
    assert times.validate_python(rfc3339(time)) == time


def test_a_line_break_in_what_people_read_becomes_a_space_so_that_the_change_is_not_lost() -> None:
    assert texts.validate_python("rooted\r\nsince\x00today") == "rooted  since today"


def test_half_of_a_surrogate_pair_is_refused_for_no_text_holds_one() -> None:
    with pytest.raises(ValidationError, match="unicode"):
        texts.validate_python("\ud800")


@pytest.mark.parametrize("text", ["", "a\nb", "a\x00b", "\ud800", "x" * 257])
def test_what_programs_compare_must_be_printable_and_short(text: str) -> None:
    with pytest.raises(ValidationError):
        names.validate_python(text)


def test_a_property_that_is_not_known_is_refused_for_it_may_be_one_that_is_misspelt() -> None:
    with pytest.raises(ValidationError, match="violation"):
        ChangeData.model_validate({"violation": []})


@pytest.mark.parametrize(
    "data", [{"violations": [{}] * 101}, {"violations": [{"policy": "p", "actions": ["NONE"] * 101}]}]
)
def test_a_list_that_is_too_long_is_refused_before_any_of_it_is_looked_at(data: object) -> None:
    with pytest.raises(ValidationError, match="has more than 100 items") as caught:
        ChangeData.model_validate(data)
    assert caught.value.error_count() == 1
