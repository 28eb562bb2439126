"""Which properties of the device object are written, by platform and by REPORT_CHANNELS."""

import pytest

from shared.errors import ReportError
from shared.fold import Desired
from shared.graph.channels import MAX_ATTRIBUTE, Write, inventory_text, writes_for
from shared.model import ErrorClass, Inventory, Platform, Verdict
from shared.settings import ByConnectionString, Channel, Settings
from tests.core.making import AZURE_ID

STORAGE = ByConnectionString("UseDevelopmentStorage=true")


def settings(**given: object) -> Settings:
    return Settings.model_validate({"queues": STORAGE, "tables": STORAGE, **given})


def desired(platform: Platform | None, verdict: Verdict = Verdict.NON_COMPLIANT, **inventory: str) -> Desired:
    return Desired(AZURE_ID, verdict, Inventory.model_validate({"platform": platform, **inventory}))


def channels(platform: Platform | None, **given: object) -> list[Channel]:
    return [write.channel for write in writes_for(desired(platform), settings(**given))]


def test_by_default_windows_is_told_by_is_compliant_and_every_other_platform_by_extension_attributes() -> None:
    for platform in (*Platform, None):
        expected = Channel.IS_COMPLIANT if platform is Platform.WINDOWS else Channel.EXTENSION_ATTRIBUTES
        assert channels(platform) == [expected]


@pytest.mark.parametrize(("verdict", "is_compliant"), [(Verdict.COMPLIANT, True), (Verdict.NON_COMPLIANT, False)])
def test_windows_is_told_compliance_management_and_inventory(verdict: Verdict, is_compliant: bool) -> None:
    wanted = desired(Platform.WINDOWS, verdict, os_version="10.0.26100", display_name="LAPTOP-1")
    assert writes_for(wanted, settings()) == [
        Write(
            Channel.IS_COMPLIANT,
            {
                "isCompliant": is_compliant,
                "isManaged": True,
                "operatingSystem": "Windows",
                "operatingSystemVersion": "10.0.26100",
                "displayName": "LAPTOP-1",
            },
        )
    ]


@pytest.mark.parametrize("verdict", [Verdict.COMPLIANT, Verdict.NON_COMPLIANT])
def test_the_compliance_attribute_says_just_the_verdict_for_a_filter_compares_it_whole(verdict: Verdict) -> None:
    (write,) = writes_for(desired(Platform.IOS, verdict), settings())
    assert write.properties["extensionAttributes"]["extensionAttribute15"] == verdict.value


def test_the_attributes_are_those_of_the_settings() -> None:
    (write,) = writes_for(
        desired(Platform.IOS, os_version="18.1"),
        settings(COMPLIANCE_ATTRIBUTE="extensionAttribute3", INVENTORY_ATTRIBUTE="extensionAttribute4"),
    )
    assert write.properties == {
        "extensionAttributes": {
            "extensionAttribute3": "NonCompliant",
            "extensionAttribute4": "platform=IOS; osVersion=18.1;",
        }
    }


@pytest.mark.parametrize(
    ("platform", "attribute"), [(Platform.IOS, ""), (None, "extensionAttribute14")], ids=["set to none", "none known"]
)
def test_without_an_inventory_to_write_its_attribute_is_left_alone(platform: Platform | None, attribute: str) -> None:
    (write,) = writes_for(desired(platform), settings(INVENTORY_ATTRIBUTE=attribute))
    assert list(write.properties["extensionAttributes"]) == ["extensionAttribute15"]


def test_what_is_not_known_of_a_windows_device_is_not_written() -> None:
    (write,) = writes_for(desired(Platform.WINDOWS), settings())
    assert "displayName" not in write.properties


def test_channels_can_be_joined() -> None:
    joined = "windows=isCompliant+extensionAttributes;*=extensionAttributes"
    assert channels(Platform.WINDOWS, REPORT_CHANNELS=joined) == [Channel.IS_COMPLIANT, Channel.EXTENSION_ATTRIBUTES]


def test_a_platform_without_a_channel_is_unsupported_and_says_so() -> None:
    with pytest.raises(ReportError, match="REPORT_CHANNELS has no channel for OSX") as caught:
        channels(Platform.OSX, REPORT_CHANNELS="windows=isCompliant")
    assert caught.value.error_class is ErrorClass.UNSUPPORTED


def test_the_inventory_is_cut_to_what_an_attribute_holds() -> None:
    assert len(inventory_text(Inventory(display_name="x" * 1024, model="y" * 1024))) == MAX_ATTRIBUTE


def test_a_device_cannot_be_named_so_that_a_filter_takes_it_for_another() -> None:
    text = inventory_text(Inventory(platform=Platform.IOS, display_name="x; ownership=COMPANY"))
    assert text == "platform=IOS; displayName=x  ownership COMPANY;"


def test_a_long_name_does_not_make_graph_refuse_the_verdict() -> None:
    (write,) = writes_for(desired(Platform.WINDOWS, display_name="x" * 1024), settings())
    assert len(write.properties["displayName"]) == 256
