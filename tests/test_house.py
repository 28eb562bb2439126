"""The house is as the documents say: imports go one way, and nothing that an administrator meets goes unnamed."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import function_app
from shared.model import ClientStatusCode, ErrorClass, PolicyAction, ReportStatus
from shared.settings import Settings

REPO = Path(__file__).parent.parent
README = (REPO / "README.md").read_text()

# Indexed once: the SDK refuses to do so twice.
TRIGGERS = [trigger.get_dict_repr() for each in function_app.app.get_functions() if (trigger := each.get_trigger())]

CORE = {"model", "policy", "registers", "fold", "errors", "details", "messages", "ports"}
USE_CASES = {"turns", "ingest", "folding", "reporting", "weekly", "failures"}
HEAVY = ("msgraph", "msgraph_core", "azure.identity", "azure.data", "azure.storage", "aiohttp", "httpx", "pydantic")


def modules() -> list[Path]:
    return sorted((REPO / "shared").rglob("*.py"))


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, with ``shared.x`` for ``from shared import x``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "shared":
                yield from (f"shared.{alias.name}" for alias in node.names)
            else:
                yield node.module


def part_of(module: str) -> str:
    """The part of shared/ that a module belongs to: the module's name, or its folder's."""
    return module.split(".")[1] if module.startswith("shared.") else ""


@pytest.mark.parametrize("path", [path for path in modules() if path.stem in CORE and path.parent.name == "shared"])
def test_the_core_imports_nothing_but_the_core(path: Path) -> None:
    others = [module for module in imports_of(path) if part_of(module) not in CORE | {""}]
    packages = {module.partition(".")[0] for module in imports_of(path)} - set(sys.stdlib_module_names) - {"shared"}
    assert (others, packages - {"pydantic"}) == ([], set())


@pytest.mark.parametrize(
    "path", [path for path in modules() if path.stem in USE_CASES and path.parent.name == "shared"]
)
def test_a_use_case_imports_no_adapter_and_no_azure_package(path: Path) -> None:
    allowed = CORE | USE_CASES | {"sources", ""}
    assert [module for module in imports_of(path) if part_of(module) not in allowed or module.startswith("azure")] == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(REPO)))
def test_nothing_that_is_deployed_imports_what_only_runs_locally(path: Path) -> None:
    assert [module for module in imports_of(path) if module.partition(".")[0] in {"local", "tests", "bench"}] == []


def test_the_wiring_alone_puts_adapters_behind_use_cases() -> None:
    wiring = {
        path.stem
        for path in modules()
        if path.parent.name == "shared" and any(part_of(module) in {"storage", "graph"} for module in imports_of(path))
    }
    assert wiring == {"wiring"}


def test_the_triggers_import_nothing_but_the_program() -> None:
    assert {module.partition(".")[0] for module in imports_of(REPO / "function_app.py")} == {"azure", "shared"}


def test_starting_the_app_loads_nothing_heavy() -> None:
    script = f"import function_app, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_taking_in_changes_never_loads_the_sdk_of_graph() -> None:
    script = "import shared.api.changes, shared.storage.queues, sys; print('msgraph' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "False"


def test_every_setting_is_in_the_readme_and_every_one_in_the_readme_is_a_setting() -> None:
    section = README.partition("## Settings")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `([A-Z_]+)`", section, re.MULTILINE))
    read = {name for name in Settings.model_fields if name.isupper()}
    assert named - {"STATE_STORAGE"} == read


def test_the_defaults_in_the_readme_are_those_of_the_settings() -> None:
    section = README.partition("## Settings")[2].partition("\n## ")[0]
    shown = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]*)`", section, re.MULTILINE))
    assert len(shown) >= 9
    for name, default in shown.items():
        held = Settings.model_fields[name].default
        assert default == (str(held).lower() if isinstance(held, bool) else str(held)), name


def routes() -> list[tuple[str, str]]:
    return [
        (str(getattr(method, "value", method)), f"/{trigger['route']}")
        for trigger in TRIGGERS
        for method in trigger.get("methods", [])
    ]


def test_every_route_is_in_the_readme() -> None:
    assert len(routes()) >= 10
    for method, route in routes():
        assert re.search(rf"`{method} {re.escape(route)}[`?]", README), f"{method} {route}"


@pytest.mark.parametrize("word", [*ErrorClass, *ClientStatusCode, *ReportStatus])
def test_every_word_that_an_administrator_meets_is_in_the_readme(word: str) -> None:
    assert f"`{word}`" in README


@pytest.mark.parametrize("action", list(PolicyAction))
def test_every_action_is_in_the_readme(action: PolicyAction) -> None:
    words = action.removeprefix("BLOCK_").replace("_", " ").lower()
    assert words in README.lower()


def test_the_readme_has_two_commands_and_ci_runs_the_second() -> None:
    commands = re.findall(r"^python3 dev\.py .*$", README.partition("## What you see")[0], re.MULTILINE)
    assert commands == ["python3 dev.py up", "python3 dev.py test"]
    assert commands[1] in (REPO / ".ci" / "run").read_text().splitlines()


def test_every_queue_of_the_code_has_its_trigger_and_its_poison_queue_one_too() -> None:
    queues = {trigger["queueName"] for trigger in TRIGGERS if trigger["type"] == "queueTrigger"}
    plain = {"device-changes", "device-reports", "weekly-shards"}
    assert queues == plain | {f"{queue}-poison" for queue in plain}


def test_a_trigger_is_a_line_in_a_table_of_contents() -> None:
    tree = ast.parse((REPO / "function_app.py").read_text())
    lengths = [(node.end_lineno or 0) - node.lineno + 1 for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
    assert max(lengths) <= 15
