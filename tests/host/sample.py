"""The app that most of these tests call; its functions note what they see with `helper.record`."""

SOURCE = """
import json
import threading
import time

import azure.functions as func

from helper import record

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
STORAGE = "AzureWebJobsStorage"


def seen(req, function):
    return func.HttpResponse(json.dumps({
        "function": function, "method": req.method, "url": req.url, "headers": dict(req.headers),
        "params": dict(req.params), "route": dict(req.route_params), "body": req.get_body().hex(),
        "thread": threading.current_thread().name,
    }), mimetype="application/json")


@app.route(route="/")
async def root(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "root")


@app.route(route="echo/{name}")
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "echo")


@app.route(route="echo/literal")
async def literal(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "literal")


@app.route(route="echo/{number:int}")
async def numbered(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "numbered")


@app.route(route="devices/{id:guid}/{part?}")
async def device(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "device")


@app.route(route="only", methods=["GET"])
async def only_get(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "only_get")


@app.route(route="only", methods=["POST"])
async def only_post(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "only_post")


@app.route(route="threaded")
def threaded(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "threaded")


@app.route(route="mirror", methods=["POST"])
async def mirror(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.get_body(), mimetype="application/octet-stream")


@app.route(route="answer")
async def answer(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("teapot", status_code=418, headers={"X-Custom": "yes"}, mimetype="text/html")
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    response.headers.add("Set-Cookie", "b=2; Secure")
    return response


@app.route(route="text")
async def text(req: func.HttpRequest) -> str:
    return "plain"


@app.route(route="fails")
async def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("the inner secret")


@app.route(route="nothing")
async def nothing(req: func.HttpRequest) -> func.HttpResponse:
    return None


@app.route(route="split")
async def split(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("x", status_code=999)


@app.route(route="secured", auth_level=func.AuthLevel.FUNCTION)
async def secured(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "secured")


@app.route(route="administered", auth_level=func.AuthLevel.ADMIN)
async def administered(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "administered")


@app.route(route="closed")
async def closed(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "closed")


@app.queue_trigger(arg_name="message", queue_name="%SEEN_QUEUE%", connection=STORAGE)
async def note(message: func.QueueMessage) -> None:
    record("note", body=message.get_body().decode(), id=message.id, dequeue_count=message.dequeue_count,
           inserted=message.insertion_time, expires=message.expiration_time,
           next_visible=message.time_next_visible, pop_receipt=message.pop_receipt)


@app.queue_trigger(arg_name="message", queue_name="binary", connection=STORAGE, data_type="binary")
def note_bytes(message: func.QueueMessage) -> None:
    record("binary", body=message.get_body().hex())


@app.queue_trigger(arg_name="message", queue_name="failing", connection=STORAGE)
async def failing(message: func.QueueMessage) -> None:
    record("failing", body=message.get_body().decode(), dequeue_count=message.dequeue_count)
    raise ValueError("no good")


@app.queue_trigger(arg_name="message", queue_name="slow", connection=STORAGE)
def slow(message: func.QueueMessage) -> None:
    record("slow started")
    time.sleep(float(message.get_body()))
    record("slow finished")


@app.queue_trigger(arg_name="message", queue_name="buried-poison", connection=STORAGE)
async def buried(message: func.QueueMessage) -> None:
    record("buried")
    raise ValueError("no good")


@app.queue_trigger(arg_name="message", queue_name="asleep", connection=STORAGE)
async def asleep(message: func.QueueMessage) -> None:
    record("asleep")


@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
async def tick(timer: func.TimerRequest) -> None:
    record("tick", past_due=timer.past_due, status=timer.schedule_status)


@app.timer_trigger(arg_name="timer", schedule="%YEARLY%")
async def yearly(timer: func.TimerRequest) -> None:
    record("yearly", past_due=timer.past_due)


@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
async def stopped(timer: func.TimerRequest) -> None:
    record("stopped")
"""

SETTINGS = {
    "SEEN_QUEUE": "seen",
    "YEARLY": "0 0 0 1 1 *",
    "AzureWebJobs.closed.Disabled": "true",
    "AzureWebJobs__asleep__Disabled": "true",
    "AzureWebJobs.stopped.Disabled": "1",
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.5",
}
