"""What came of the sample fleet, as text for a terminal of 120 columns."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from textwrap import fill

from local.entra.contract import LogEntry
from local.fleet.loading import Outcome
from local.fleet.sample import held
from shared.details import DeviceDetails
from shared.model import ClientStatusCode, ReportStatus

_HEADINGS = ("Device", "Platform", "User", "Action", "Verdict", "Reported", "Entra ID holds")
_BLANK = "-"
_GROUPS: tuple[tuple[ReportStatus | None, str], ...] = (
    (ReportStatus.SUCCESSFUL, "Entra ID was told the verdict"),
    (ReportStatus.FAILED, "Entra ID could not be told; someone has to mend the cause"),
    (ReportStatus.IN_PROGRESS, "Entra ID is still to be told"),
    (None, "the device has no Azure identifier yet, and no error that says why"),
)
_CAPTION = (
    "Reported: in UTC. Entra ID holds: isCompliant on Windows, extensionAttribute15 on all others, or no such object."
)
_WIDTH = 120
_INDENT = 17


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """A table of the devices, in groups by status; a second line tells of a client code and of an error."""
    rows = {id(outcome): _row(outcome, outcome.details) for outcome in outcomes if outcome.details}
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows.values(), strict=True)]
    lines = [_CAPTION, "", _line(_HEADINGS, widths), _line(["-" * width for width in widths], widths)]
    for status, meaning in _GROUPS:
        group = [o for o in outcomes if o.details and o.details.azure_device_compliance_status is status]
        if group:
            lines += ["", f"{_status(status)} ({len(group)}): {meaning}"]
        for outcome in group:
            lines += [_line(rows[id(outcome)], widths), *_remark(outcome, outcome.details)]
    return lines


def counts(outcomes: Sequence[Outcome], log: Iterable[LogEntry]) -> list[str]:
    """How many devices there are of each status, verdict and error class, and what was asked of Graph."""
    details = [outcome.details for outcome in outcomes if outcome.details]
    errors = (
        f"{d.last_error.error_class} (to be mended by the {d.last_error.mended_by})" for d in details if d.last_error
    )
    calls = [entry for entry in log if entry.path.startswith("/v1.0/")]
    return [
        _counted("by status", (_status(d.azure_device_compliance_status) for d in details)),
        _counted("by verdict", (d.verdict or "unknown" for d in details)),
        _counted("by error class", errors),
        _counted("Graph calls", (entry.method for entry in calls)),
        _counted("Graph answers", (str(entry.status or "lost") for entry in calls)),
    ]


def _row(outcome: Outcome, details: DeviceDetails) -> list[str]:
    time = details.azure_device_compliance_report_time
    return [
        outcome.sample.name,
        details.inventory.platform or _BLANK,
        (details.user_principal_name or _BLANK).partition("@")[0],
        details.action or _BLANK,
        details.verdict or _BLANK,
        f"{time:%H:%M:%S}" if time else _BLANK,
        held(outcome.device) if details.azure_device_identifier else _BLANK,
    ]


def _remark(outcome: Outcome, details: DeviceDetails | None) -> Iterator[str]:
    if details is None:
        return
    code, error = details.azure_client_status_code, details.last_error
    parts = []
    if code is not ClientStatusCode.SUCCESS:
        parts.append(f"client code {code or 'blank'}")
    if error:
        parts.append(f"{error.error_class}, to be mended by the {error.mended_by}")
    failures = Counter(entry["facts"]["class"] for entry in outcome.history if "class" in entry["facts"])
    parts += [f"after {count} failed call{'s' * (count > 1)} ({failure})" for failure, count in failures.items()]
    if parts:
        yield f"    {'; '.join(parts)}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _status(status: ReportStatus | None) -> str:
    return status or "Blank"


def _counted(heading: str, values: Iterable[str]) -> str:
    found = ", ".join(f"{value} {count}" for value, count in Counter(values).most_common()) or "none"
    return fill(found, _WIDTH, initial_indent=f"{heading:<{_INDENT}}", subsequent_indent=" " * _INDENT)
