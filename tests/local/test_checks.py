"""`python3 dev.py test`: the order of the checks, where it stops, and what counts as covered."""

import json
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from local import azurite, test
from local.errors import LocalError
from local.installing import REPO

FULL: dict[str, list[object]] = {"missing_lines": [], "missing_branches": []}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What would have been run, in order; `mypy` fails."""
    names: list[str] = []

    def run(*module: str) -> int:
        names.append(" ".join(module))
        return 3 if module[0] == "mypy" else 0

    monkeypatch.setattr(test, "_run", run)
    monkeypatch.setattr(test, "_COVERAGE", tmp_path / "coverage.json")
    monkeypatch.setattr(azurite, "install", lambda: names.append("azurite"))
    return names


def report(folder: Path, files: Mapping[str, object]) -> Path:
    path = folder / "coverage.json"
    path.write_text(json.dumps({"files": files}))
    return path


def test_stops_at_the_first_failure_with_its_exit_code(ran: list[str]) -> None:
    assert test.main([]) == 3
    assert ran == ["azurite", "ruff check", "ruff format --check", "mypy"]


def test_with_arguments_runs_pytest_alone(ran: list[str]) -> None:
    assert test.main(["-k", "fold"]) == 0
    assert ran == ["azurite", "pytest -k fold"]


def test_azurite_that_cannot_be_had_stops_it(ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise LocalError("could not get Azurite")

    monkeypatch.setattr(azurite, "install", fail)
    with pytest.raises(LocalError):
        test.main([])
    assert ran == []


def test_a_core_that_is_tested_throughout_has_no_gaps(tmp_path: Path) -> None:
    assert (
        test.uncovered(report(tmp_path, {"shared/fold.py": FULL, "shared/policy.py": FULL}), ["fold", "policy"]) == []
    )


def test_gaps_are_lines_branches_and_modules_that_nothing_imports(tmp_path: Path) -> None:
    fold = {"missing_lines": [3, 4], "missing_branches": [[5, 9]]}
    assert test.uncovered(report(tmp_path, {"shared/fold.py": fold}), ["fold", "policy"]) == [
        "shared/fold.py: line 3, line 4, branch 5->9",
        "shared/policy.py: not in the report",
    ]


@pytest.mark.usefixtures("ran")
def test_a_gap_in_the_core_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = {f"shared/{module}.py": FULL for module in test.CORE}
    monkeypatch.setattr(test, "_CHECKS", ())
    monkeypatch.setattr(test, "_run", lambda *_module: report(tmp_path, full) and 0)
    assert test.main([]) == 0
    assert capsys.readouterr().err == ""
    full["shared/fold.py"] = {"missing_lines": [1], "missing_branches": []}
    assert test.main([]) == 1
    assert "shared/fold.py: line 1" in capsys.readouterr().err


def test_a_program_it_runs_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []

    class Interrupted(subprocess.Popen[bytes]):
        """A program that we are told to end while we wait for it."""

        told = False

        def wait(self, timeout: float | None = None) -> int:
            if not self.told:
                self.told = True
                test._end(signal.SIGTERM, None)
            ended.append(super().wait(timeout))
            return ended[-1]

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(SystemExit) as caught:
        test._run("http.server", "--bind", "127.0.0.1", "0")
    assert caught.value.code == 143
    assert ended == [-signal.SIGTERM]


def test_ci_runs_the_command_of_the_readme() -> None:
    lines = (REPO / ".ci" / "run").read_text().splitlines()
    assert "set -euo pipefail" in lines
    assert lines[-1] == "python3 dev.py test"
