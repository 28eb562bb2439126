"""`python3 dev.py test`: all that CI runs, up to the first failure; with arguments, pytest alone with these."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from local import azurite
from local.errors import LocalError
from local.installing import REPO, WORK

# The pure core: what it decides is decided here alone, so every line and every branch of it has to be tested.
CORE = ("details", "fold", "messages", "model", "policy", "registers")

_COVERAGE = WORK / "coverage.json"
_CHECKS = (
    ("ruff check", ("ruff", "check")),
    ("ruff format", ("ruff", "format", "--check")),
    ("mypy", ("mypy",)),
)
_PYTEST = ("pytest", "--cov=shared", "--cov-branch", "--cov-report=term:skip-covered", f"--cov-report=json:{_COVERAGE}")
_PATIENCE_SECONDS = 20.0


def main(arguments: Sequence[str]) -> int:
    """Run the checks and the tests; return the exit code of the first that fails, 0 if none does."""
    azurite.install()  # here, where its progress is seen, rather than in the first test that needs it
    if arguments:
        return _run("pytest", *arguments)
    for heading, check in _CHECKS:
        print(f"\n== {heading}", flush=True)
        code = _run(*check)
        if code != 0:
            return code
    print("\n== pytest, with the branch coverage of shared/", flush=True)
    _COVERAGE.unlink(missing_ok=True)
    return _run(*_PYTEST) or _core_is_covered(_COVERAGE)


def uncovered(report: Path, modules: Sequence[str]) -> list[str]:
    """Return a line for each of the core's modules that coverage's JSON report does not show as tested throughout."""
    files = json.loads(report.read_text())["files"]
    lines = []
    for path in (f"shared/{module}.py" for module in modules):
        if path not in files:
            lines.append(f"{path}: not in the report")
            continue
        missing = [f"line {line}" for line in files[path]["missing_lines"]]
        missing += [f"branch {start}->{end}" for start, end in files[path]["missing_branches"]]
        if missing:
            lines.append(f"{path}: {', '.join(missing)}")
    return lines


def _core_is_covered(report: Path) -> int:
    """Return 0 and say nothing if it is, so that pytest's summary stays last."""
    gaps = uncovered(report, CORE)
    if gaps:
        print("\nThe core of shared/ has to be tested throughout; not tested:", *gaps, sep="\n  ", file=sys.stderr)
    return 1 if gaps else 0


def _run(*module: str) -> int:
    process = subprocess.Popen([sys.executable, "-m", *module], cwd=REPO)  # noqa: S603 - a tool of this environment
    try:
        return process.wait()
    except KeyboardInterrupt:  # the terminal gave it to the program as well, which now ends its own servers
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_SECONDS)
        raise
    finally:
        if process.returncode is None:
            process.terminate()
            process.wait()


def _end(_signal: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    try:
        sys.exit(main(sys.argv[1:]))
    except LocalError as error:
        print(f"dev.py test: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
