"""The host: puts an app's functions behind their triggers, and takes them down again."""

import asyncio
import errno
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from local.errors import LocalError
from local.host import hostjson, runtime
from local.host.admin import Admin
from local.host.bindings import Function, QueueTrigger, TimerTrigger, bind
from local.host.hostjson import HostJson
from local.host.queues import LEASE, QueueListener
from local.host.timers import Timer, TimerState
from local.host.web import Dispatcher, HttpFunction, Keys, Server


@dataclass(frozen=True)
class Options:
    """What the host is started with.

    In seconds: `lease` is how long a queue message that runs is hidden, `grace` what functions under way have to finish
    when the host stops.
    """

    app: Path
    port: int
    keys: Keys
    state: Path
    lease: float = LEASE
    grace: float = 10.0


class _Trigger(Protocol):
    async def run(self, stopping: asyncio.Event) -> None: ...
    async def run_now(self, text: str) -> None: ...


class Host:
    """One app. The process is the app's: its folder becomes the working directory and heads `sys.path`."""

    def __init__(
        self, options: Options, settings: HostJson, functions: Sequence[Function], stopping: asyncio.Event
    ) -> None:
        self._stopping = stopping
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = options.port
        self._grace = options.grace
        timers = TimerState(options.state / "timers.json")
        triggers = {function.name: _trigger(function, settings, timers, options.lease) for function in functions}
        # A disabled function does nothing by itself, but an administrator can still run it.
        self._listening = [triggers[function.name] for function in functions if not function.disabled]
        admin = Admin(functions, options.keys, lambda name, text: self._spawn(triggers[name].run_now(text)))
        self._server = Server(admin.routes(), Dispatcher(functions, options.keys))

    @classmethod
    async def load(cls, options: Options, stopping: asyncio.Event) -> "Host":
        """Read, index and check the app; `stopping` is what will end its service.

        Raises:
            LocalError: the app or its configuration cannot be run.
        """
        folder = options.app
        if not folder.is_dir():
            raise LocalError(f"{folder} is not a folder")
        settings = hostjson.load(folder, os.environ)
        _set_up_logging(settings.log_level)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        functions = bind(await runtime.index(folder), settings.route_prefix, os.environ)
        return cls(options, settings, functions, stopping)

    async def serve(self, ready: Callable[[int], None]) -> bool:
        """Listen, call `ready` with the port, and run until stopped.

        Returns whether all functions under way finished within their grace.

        Raises:
            LocalError: the port cannot be had.
            Exception: a trigger gave up, which is a fault of this host.
        """
        port = await self._listen()
        for run in (self._server.run, *(trigger.run for trigger in self._listening)):
            self._spawn(run(self._stopping))
        ready(port)
        await self._stopping.wait()
        finished, late = await asyncio.wait(self._tasks, timeout=self._grace)
        for task in late:
            task.cancel()
        for task in finished:
            task.result()
        return not late

    async def _listen(self) -> int:
        try:
            return await self._server.start(self._port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise LocalError(f"port {self._port} cannot be listened on: {error.strerror}") from None
            raise LocalError(f"port {self._port} is in use; choose another with --port") from None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            self._stopping.set()  # and the task stays, for `serve` to raise what went wrong
        elif not self._stopping.is_set():
            self._tasks.discard(task)


def _trigger(function: Function, settings: HostJson, timers: TimerState, lease: float) -> _Trigger:
    match function.trigger:
        case QueueTrigger() as trigger:
            return QueueListener(function, trigger, settings.queues, lease=lease)
        case TimerTrigger() as trigger:
            return Timer(function, trigger, timers)
        case _:
            return HttpFunction(function)


def _set_up_logging(level: str) -> None:
    form = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    logging.basicConfig(level=level, format=form, stream=sys.stderr, force=True)
    if level != "DEBUG":
        # The runtime logs each failure with a trace, of which we log one line; the Azure SDK logs every request.
        logging.getLogger("azure.functions").setLevel(logging.CRITICAL + 1)
        logging.getLogger("azure").setLevel(logging.WARNING)
