"""The page at `/`: what the tenant holds, for a person to look at. Rendered here; it needs no script."""

from collections import Counter
from datetime import UTC, datetime
from html import escape
from itertools import islice

from local.entra.contract import Device, LogEntry
from local.entra.tenant import Tenant

SHOWN_DEVICES = 500
SHOWN_REQUESTS = 20
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 90rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
caption { font-weight: 600; padding: 1rem 0 .5rem; text-align: left; }
th, td { border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; vertical-align: top; }
code { font-size: .9em; }
"""
_DEVICE_HEADINGS = (
    "Name",
    "Device ID",
    "System",
    "Compliant",
    "Managed",
    "Enabled",
    "Attribute 14",
    "Attribute 15",
    "Last written",
)
_REQUEST_HEADINGS = ("#", "Time (UTC)", "Method", "Path", "Status", "Applied")


def render_page(tenant: Tenant) -> str:
    """The whole page as HTML; everything that came from outside is escaped."""
    compliance = Counter(device.is_compliant for device in tenant.directory)
    summary = (
        f"{len(tenant.directory)} devices: isCompliant true on {compliance[True]}, false on {compliance[False]}, "
        f"not set on {compliance[None]}. {tenant.log.last} requests so far."
    )
    devices = [_device_cells(device) for device in islice(tenant.directory, SHOWN_DEVICES)]
    hidden = len(tenant.directory) - len(devices)
    requests = [_request_cells(entry) for entry in tenant.log.newest(SHOWN_REQUESTS)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Entra ID emulator</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>Entra ID emulator</h1><p>{summary}</p>"
        + _table("Devices", _DEVICE_HEADINGS, devices)
        + (f"<p>{hidden} more are not shown.</p>" if hidden else "")
        + _table("Latest requests", _REQUEST_HEADINGS, requests)
        + "</main></body></html>"
    )


def _device_cells(device: Device) -> list[object]:
    return [
        device.display_name,
        device.device_id,
        f"{device.operating_system} {device.operating_system_version}".strip(),
        device.is_compliant,
        device.is_managed,
        device.account_enabled,
        device.extension_attributes.get("extensionAttribute14"),
        device.extension_attributes.get("extensionAttribute15"),
        device.last_written,
    ]


def _request_cells(entry: LogEntry) -> list[object]:
    at = datetime.fromtimestamp(entry.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
    status = "withheld" if entry.status is None else entry.status
    return [entry.sequence, at, entry.method, entry.path, status, entry.applied]


def _table(caption: str, headings: tuple[str, ...], rows: list[list[object]]) -> str:
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else escape(str(value))
