"""What of a function's bindings the host takes, and what it says of the rest."""

from typing import Any

import pytest

from local.errors import LocalError
from local.host.bindings import HttpTrigger, QueueTrigger, TimerTrigger, bind
from local.host.runtime import IndexedFunction

STORAGE = {"AzureWebJobsStorage": "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5"}
ANSWER = {"type": "http", "direction": "OUT", "name": "$return"}


def http(route: str = "r", **more: Any) -> dict[str, Any]:
    return {"type": "httpTrigger", "direction": "IN", "name": "req", "route": route, **more}


def queue(**more: Any) -> dict[str, Any]:
    binding = {"type": "queueTrigger", "direction": "IN", "name": "m", "queueName": "work"}
    return {**binding, "connection": "AzureWebJobsStorage", **more}


def timer(**more: Any) -> dict[str, Any]:
    return {"type": "timerTrigger", "direction": "IN", "name": "t", "schedule": "0 0 3 * * 0", **more}


def function(*bindings: dict[str, Any], name: str = "f", retry: bool = False) -> IndexedFunction:
    return IndexedFunction(name, "id", bindings, retry)


def trigger(binding: dict[str, Any], **environment: str) -> object:
    (bound,) = bind([function(binding)], "", environment)
    return bound.trigger


def test_settings_between_percent_signs_come_from_the_environment() -> None:
    bound = trigger(queue(queueName="%Q%-in"), Q="Work", **STORAGE)
    assert isinstance(bound, QueueTrigger)
    assert bound.queue_name == "work-in"
    assert isinstance(trigger(timer(schedule="%S%"), S="0 0 0 * * *"), TimerTrigger)
    route = trigger(http("%R%/x"), R="dyn")
    assert isinstance(route, HttpTrigger)
    assert route.route.template == "dyn/x"


def test_a_connection_is_looked_for_with_and_without_its_prefix() -> None:
    for name in ("Mine", "AzureWebJobsMine"):
        bound = trigger(queue(connection="Mine"), **{name: "text"})
        assert isinstance(bound, QueueTrigger)
        assert bound.connection_string == "text"


def test_the_prefix_of_routes_goes_before_each_route() -> None:
    (bound,) = bind([function(http("/x"), ANSWER)], "api", {})
    assert isinstance(bound.trigger, HttpTrigger)
    assert bound.trigger.route.template == "api/x"


def test_a_timer_is_monitored_unless_it_says_not_or_comes_every_minute() -> None:
    monitored = [timer(), timer(useMonitor=False), timer(schedule="*/30 * * * * *"), timer(schedule="00:01:00")]
    triggers = [trigger(binding) for binding in monitored]
    assert [t.use_monitor for t in triggers if isinstance(t, TimerTrigger)] == [True, False, False, True]


@pytest.mark.parametrize("name", ["AzureWebJobs.f.Disabled", "AzureWebJobs__F__Disabled"])
def test_a_function_is_disabled_by_a_setting(name: str) -> None:
    (bound,) = bind([function(timer())], "", {name: "True"})
    assert bound.disabled


@pytest.mark.parametrize(
    ("functions", "reason"),
    [
        ([function(timer()), function(timer(), name="F")], "function 'F': the name 'f' is taken by function 'f'"),
        (
            [function(http("a/{x}")), function(http("A/{y}/", methods=["GET"]), name="g")],
            "function 'g': the route GET /a/{:} is taken by function 'f'",
        ),
        ([function(timer(), name="1f")], "function '1f': the name must start with a letter"),
        ([function(timer(), retry=True)], "retry policies are not supported"),
        ([function({**timer(), "type": "blobTrigger"})], "binding 'blobTrigger' is not supported by this host"),
        ([function(timer(), {**ANSWER, "type": "queue"})], "binding 'queue' is not supported by this host"),
        ([function(timer(direction="OUT"))], "'timerTrigger' must have the direction 'in', not 'out'"),
        ([function(http(), {**ANSWER, "name": "res"})], "must be the return value ($return)"),
        ([function(http(authLevel="USER"))], "authLevel 'user' is none of anonymous, function, admin"),
        ([function(http("%NONE%"))], "route needs the setting NONE, which is missing from the environment"),
        ([function(timer(schedule="%NONE%"))], "schedule needs the setting NONE, which is missing"),
        ([function(queue(queueName="%NONE%"))], "queueName needs the setting NONE, which is missing"),
        ([function(queue(queueName="no_queue"))], "queueName 'no_queue' is not a queue's name"),
        ([function(queue(connection="NONE"))], "connection needs the setting NONE, which is missing"),
        ([function(queue(connection="Identity"))], "connection 'Identity' is identity-based"),
        ([function(timer(schedule="0 3 * * 0"))], "schedule '0 3 * * 0': an NCRONTAB expression has 6 fields"),
        ([function(http("admin/x"))], "is reserved: /admin belongs to the host"),
        ([function(http("a/{*rest}"))], "segment '{*rest}' is not supported"),
        ([function(http("a/b{x}"))], "segment 'b{x}' is not supported"),
        ([function(http("a//b"))], "segment '' is not supported"),
        ([function(http("{x:alpha}"))], "constraint 'alpha' is not supported by this host; it has guid, int"),
        ([function(http("{x}/{X}"))], "names a parameter twice"),
        ([function(http("{x?}/a"))], "only the last segment can be optional"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_functions_name(functions: list[IndexedFunction], reason: str) -> None:
    environment = {**STORAGE, "Identity__accountName": "contoso"}
    with pytest.raises(LocalError) as caught:
        bind(functions, "", environment)
    assert reason in str(caught.value)
    assert str(caught.value).startswith("function ")


def test_one_route_can_have_functions_of_different_methods() -> None:
    bound = bind([function(http(methods=["GET"])), function(http(methods=["POST"]), name="g")], "", {})
    assert len(bound) == 2
