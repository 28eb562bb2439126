"""Runs `python -m local.host` on an app in a process of its own, as `dev.py` does."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_READY = "Functions host listening on "


@dataclass(frozen=True)
class RunningHost:
    """A host that listens at `url`; `app` is its folder."""

    url: str
    app: Path
    process: asyncio.subprocess.Process

    def log(self) -> str:
        return (self.app / "host.log").read_text()

    def records(self, kind: str) -> list[dict[str, Any]]:
        """What the app's functions noted with `helper.record`."""
        path = self.app / "records.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]


HELPER = """
import json
import time


def record(kind, **fields):
    with open("records.jsonl", "a") as file:
        file.write(json.dumps({"kind": kind, "at": time.time(), **fields}, default=str) + "\\n")
"""


def write_app(folder: Path, source: str, host_json: Mapping[str, object] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "function_app.py").write_text(source)
    (folder / "helper.py").write_text(HELPER)
    settings = {"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}
    (folder / "host.json").write_text(json.dumps(host_json or settings))
    return folder


async def launch(app: Path, *options: str, **settings: str) -> asyncio.subprocess.Process:
    """Start the host on a free port; `__` in the name of a setting stands for itself."""
    inherited = {name: value for name, value in os.environ.items() if not name.lower().startswith("azure")}
    command = [sys.executable, "-m", "local.host", "--app", str(app), "--port", "0", *options]
    with (app / "host.log").open("w") as log:
        return await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=inherited | settings, stdout=asyncio.subprocess.PIPE, stderr=log
        )


@asynccontextmanager
async def running(app: Path, *options: str, **settings: str) -> AsyncIterator[RunningHost]:
    """Run the host on an app while the context lasts."""
    process = await launch(app, *options, **settings)
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode().strip()
        assert line.startswith(_READY), (app / "host.log").read_text()
        yield RunningHost(line.removeprefix(_READY), app, process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def refusal(app: Path, *options: str, **settings: str) -> tuple[int, str]:
    """Run the host on an app that it should refuse; return the exit code and what it said."""
    process = await launch(app, *options, **settings)
    async with asyncio.timeout(60):
        await process.communicate()
    assert process.returncode is not None
    return process.returncode, (app / "host.log").read_text()


async def eventually[T](look: Callable[[], T], within: float = 30) -> T:
    """Return what `look` returns as soon as that is truthy, asked again and again for `within` seconds."""
    async with asyncio.timeout(within):
        while not (found := look()):  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(0.05)
    return found
