"""How long a new process takes until function_app is imported, and until it has answered its first ingest.

Each figure is of processes that do nothing else: a bare interpreter runs a stage and times it with perf_counter
(Azure's worker has part of the standard library loaded by then, and pays less). The stages take turns, so that a busy
machine hits all alike. The files are in the machine's cache.
"with .pyc": all bytecode is there. "without": the standard library's alone, as where the app is deployed as sources to
a read-only folder and compiled at every start.
"first ingest": function_app is imported and indexed, its function ingest is called in-process with one change and has
answered 202, with the change on a queue of Azurite.
"plain app": imports at the top as most apps have them, and a GraphServiceClient; the scale for the others.
By package: `-X importtime`, in runs of its own because it slows things; what each module takes without its imports.
"""

import asyncio
import json
import os
import shutil
import sys
import sysconfig
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.tables import show
from local.azurite import Azurite
from local.errors import LocalError
from local.installing import REPO

ROUNDS = 10
FEW_ROUNDS = 3
MUST_WAIT = {
    "import function_app": {"msgraph", "azure.identity", "azure.data.tables", "pydantic", "aiohttp"},
    "first ingest": {"msgraph", "azure.identity"},
}
"""What a stage may not load, because every start would pay for what few need."""

_WATCHED = [
    "azure.functions",
    "azure.storage.queue",
    "azure.data.tables",
    "azure.identity",
    "aiohttp",
    "pydantic",
    "httpx",
    "msgraph",
]
_STAGES = {
    "import function_app": "import function_app",
    "first ingest": """
import asyncio, json
import azure.functions as func
import function_app

ingest = {one.get_function_name(): one.get_user_function() for one in function_app.app.get_functions()}["ingest"]
change = {
    "specversion": "1.0", "id": "1", "source": "urn:bench", "type": "mdm.device.compliance_changed",
    "subject": "1d71e131-0487-4d1d-9a0d-89f2bd1a888d", "time": "2026-01-01T00:00:00Z", "data": {"violations": []},
}
headers = {"content-type": "application/cloudevents+json"}
request = func.HttpRequest("POST", "/api/device-changes", headers=headers, body=json.dumps(change).encode())
answer = asyncio.new_event_loop().run_until_complete(ingest(request))
assert answer.status_code == 202, answer.get_body()
""",
    "plain app": """
import azure.functions, pydantic
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import ManagedIdentityCredential
from msgraph import GraphServiceClient

client = GraphServiceClient(ManagedIdentityCredential())
""",
}
_PROGRAM = """
import os, sys, time
print("<begin>", file=sys.stderr, flush=True)
start = time.perf_counter()
{stage}
seconds = time.perf_counter() - start
print("<end>", file=sys.stderr, flush=True)
import json
print(json.dumps([seconds, list(sys.modules)]), flush=True)
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Start:
    """What one process took: milliseconds in all, milliseconds by package (with ``-X importtime``), and its modules."""

    milliseconds: float
    by_package: Counter[str]
    modules: frozenset[str]


async def run() -> None:
    """Measure, print, and check that what has to wait was not loaded."""
    with TemporaryDirectory(prefix="bench-") as scratch:
        async with Azurite.start(None) as azurite:
            base = {**os.environ, "AzureWebJobsStorage": azurite.connection_string, "PYTHONDONTWRITEBYTECODE": ""}
            warm = base | {"PYTHONPYCACHEPREFIX": f"{scratch}/all"}
            await _rounds(1, warm)  # compiles everything, and makes the queue
            timed = await _rounds(ROUNDS, warm)
            traced = await _rounds(FEW_ROUNDS, warm, "-X", "importtime")
            _copy_library(Path(scratch))
            bare = base | {"PYTHONPYCACHEPREFIX": f"{scratch}/library", "PYTHONDONTWRITEBYTECODE": "1"}
            without = await _rounds(FEW_ROUNDS, bare)
    _show(timed, without)
    _show_packages({stage: min(starts, key=lambda start: start.milliseconds) for stage, starts in traced.items()})
    for stage, names in MUST_WAIT.items():
        assert not names & timed[stage][0].modules, f"{stage} loads {names & timed[stage][0].modules}"


async def _rounds(rounds: int, environment: Mapping[str, str], *flags: str) -> dict[str, list[Start]]:
    starts: dict[str, list[Start]] = {stage: [] for stage in _STAGES}
    for _ in range(rounds):
        for stage, source in _STAGES.items():
            starts[stage].append(await _start(source, environment, flags))
    return starts


async def _start(source: str, environment: Mapping[str, str], flags: tuple[str, ...]) -> Start:
    command = [sys.executable, *flags, "-c", _PROGRAM.replace("{stage}", source)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=REPO, stdout=pipe, stderr=pipe)
    output, errors = (text.decode(errors="replace") for text in await process.communicate())
    if process.returncode != 0:
        raise LocalError(f"a process of the benchmark failed:\n{errors[-2000:]}")
    seconds, modules = json.loads(output)
    return Start(seconds * 1000, _by_package(errors), frozenset(modules))


def _by_package(report: str) -> Counter[str]:
    """Sum what the modules took themselves, of lines ``import time: <self µs> | <cumulated µs> | <module>``."""
    sums: Counter[str] = Counter()
    for line in report.partition("<begin>\n")[2].partition("<end>\n")[0].splitlines():
        if line.startswith("import time:"):
            microseconds, _, module = line.removeprefix("import time:").split("|")
            sums[_package(module.strip())] += int(microseconds)
    return sums


def _package(module: str) -> str:
    first, *others = module.split(".")
    if first in sys.stdlib_module_names:
        return "standard library"
    groups = {"function_app": "ours", "shared": "ours", "pydantic_core": "pydantic", "msgraph_core": "msgraph"}
    return ".".join([first, *others[:1]]) if first == "azure" else groups.get(first, first.partition("_")[0])


def _copy_library(scratch: Path) -> None:
    """Copy the bytecode of the standard library, and of nothing else."""
    library = Path(sysconfig.get_path("stdlib"))
    part = library.relative_to(library.anchor)
    shutil.copytree(scratch / "all" / part, scratch / "library" / part, ignore=shutil.ignore_patterns("site-packages"))


def _show(timed: Mapping[str, list[Start]], without: Mapping[str, list[Start]]) -> None:
    rows = []
    for stage, starts in timed.items():
        pairs = zip(starts, timed["plain app"], strict=True)
        ratio = median(start.milliseconds / plain.milliseconds for start, plain in pairs)
        unbuilt = median(start.milliseconds for start in without[stage])
        middle = median(start.milliseconds for start in starts)
        rows.append([stage, middle, ratio, unbuilt, len(starts[0].modules)])
    heads = ["a new process", "with .pyc, ms", "of plain app", "without, ms", "modules"]
    show(f"Cold start, medians of {ROUNDS} (without .pyc of {FEW_ROUNDS})", heads, rows)


def _show_packages(traced: Mapping[str, Start]) -> None:
    sums = [start.by_package for start in traced.values()]
    packages = [name for name, _ in sum(sums, Counter()).most_common(16)]
    packages += [name for name in ("msgraph", "azure.identity", "pydantic", "ours") if name not in packages]
    rows: list[list[object]] = [[name, *(one[name] / 1000 for one in sums)] for name in packages]
    rows.append(["others", *((one.total() - sum(one[name] for name in packages)) / 1000 for one in sums)])
    rows.append(["all", *(one.total() / 1000 for one in sums)])
    show(f"Loading by package, ms, with .pyc, fastest of {FEW_ROUNDS}", ["package", *traced], rows)
    loaded = [[name, *("yes" if name in one.modules else "-" for one in traced.values())] for name in _WATCHED]
    show("Loaded in the end", ["package", *traced], loaded)
