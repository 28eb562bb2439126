"""What is installed is installed whole, once, by one process at a time, and shown as it goes on."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from local import installing
from local.errors import LocalError
from local.installing import REPO, CommandError, install_once, install_packages, output_of, run_shown, sole


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_what_is_there_is_not_built_again(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "thing").touch()

    assert install_once(tmp_path / "it", build) == install_once(tmp_path / "it", build)
    assert (tmp_path / "it" / "thing").is_file()
    assert len(built) == 1


def test_an_interrupted_installation_is_done_again_from_nothing(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install_once(tmp_path / "it", interrupted)
    assert not (tmp_path / "it").exists()
    install_once(tmp_path / "it", lambda folder: (folder / "whole").touch())
    assert [path.name for path in (tmp_path / "it").iterdir()] == ["whole"]


def test_one_process_at_a_time_and_a_killed_one_locks_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "lock"
    holder = "from pathlib import Path\nfrom local.installing import sole\n"
    holder += f"with sole(Path({str(lock)!r})): print('held', flush=True); input()"
    with subprocess.Popen(
        python(holder), cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        monkeypatch.setattr(installing, "_LOCK_WAIT_SECONDS", 0.1)
        with pytest.raises(LocalError, match=r"another process still holds .*lock: end it"), sole(lock):
            pytest.fail("two at once")
        assert capsys.readouterr().out.count("waiting for another process") == 1
        process.kill()
    with sole(lock):
        pass


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installing, "_PLAIN_SECONDS", 0.05)
    run_shown("working", python("import time; time.sleep(0.3); print('chatter')"), log=tmp_path / "log")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "working …"
    assert lines[1] == "working … 0 s"
    assert lines[-1] == "working: done in 0 s"
    assert "chatter" in (tmp_path / "log").read_text()


def test_progress_is_one_living_line_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    run_shown("working", python("import time; time.sleep(0.5)"), log=tmp_path / "log")
    assert "\rworking … 0 s" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")
    assert terminal.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("warning: x ('[Errno 111] Connection refused')\nERROR: No matching distribution found", "Connection refused"),
        ("npm error code ENOTFOUND\nnpm error A complete log is in /home/x/_logs/1.log", "ENOTFOUND"),
        ("Collecting a\nERROR: a needs b<2\nnotice: there is a new pip", "ERROR: a needs b<2"),
        ("first\nlast\n\n", "last"),
        ("", "exit code 3"),
    ],
)
def test_a_failure_is_told_by_what_says_most(tmp_path: Path, output: str, told: str) -> None:
    log = tmp_path / "log"
    log.write_text("error: of an earlier program\n")
    with pytest.raises(CommandError) as caught:
        run_shown("working", python(f"print({output!r}); raise SystemExit(3)"), log=log)
    assert str(caught.value) == told


def test_a_program_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no-such-program: No such file"):
        run_shown("working", ["no-such-program"], log=tmp_path / "log")
    assert output_of(["no-such-program"]) == ""
    assert output_of(python("raise SystemExit(1)")) == ""


def test_ctrl_c_that_reached_the_program_is_ctrl_c_to_us(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_shown("working", python("import os; os.kill(os.getpid(), 2)"), log=tmp_path / "log")


def test_pip_has_a_try_where_uv_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may have told pip, and pip alone, where its packages come from."""
    commands: list[str] = []

    def run(doing: str, command: list[str]) -> None:
        commands.append(f"{doing}: {' '.join(map(str, command))}")
        if command[0] == "/bin/uv":
            raise CommandError("Connection refused")

    monkeypatch.setattr(installing, "find_uv", lambda: "/bin/uv")
    monkeypatch.setattr(installing, "output_of", lambda _command: "")
    monkeypatch.setattr(installing, "run_shown", run)
    install_packages("getting it", Path("/venv/python"), ["it==1"])
    assert commands == [
        "getting it with uv: /bin/uv pip install --python /venv/python it==1",
        "getting pip: /venv/python -m ensurepip",
        "getting it with pip: /venv/python -m pip install --no-compile it==1",
    ]
