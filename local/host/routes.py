"""Routes in ASP.NET's template language, as far as functions use it: literals, `{name}`, `{name:int}`, `{name?}`."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

_PARAMETER = re.compile(r"\{([A-Za-z_]\w*)(?::([a-z]+))?(\?)?\}")
_RESERVED = ("admin", "runtime")


def _is_guid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _is_int(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]{1,10}", text) is not None and -(2**31) <= int(text) < 2**31


_CONSTRAINTS: dict[str, Callable[[str], bool]] = {"guid": _is_guid, "int": _is_int}


@dataclass(frozen=True)
class _Segment:
    """A part of a path between slashes: a literal (lower case), or a parameter where `name` is set."""

    literal: str = ""
    name: str = ""
    constraint: str = ""
    optional: bool = False

    @property
    def rank(self) -> int:
        """Which of two that fit wins: the lower."""
        return 0 if not self.name else 1 if self.constraint else 2

    def accepts(self, part: str) -> bool:
        if not self.name:
            return part.lower() == self.literal
        return bool(part) and (not self.constraint or _CONSTRAINTS[self.constraint](part))


@dataclass(frozen=True)
class Route:
    """A compiled template."""

    template: str
    segments: tuple[_Segment, ...]

    @classmethod
    def parse(cls, template: str) -> "Route":
        """Compile a template without a slash at its ends; the empty one is the root.

        Raises:
            ValueError: it is malformed, reserved, or uses what this host lacks.
        """
        segments = tuple(_segment(part, template) for part in template.split("/")) if template else ()
        names = [segment.name.lower() for segment in segments if segment.name]
        if len(set(names)) < len(names):
            raise ValueError(f"route {template!r} names a parameter twice")
        if any(segment.optional for segment in segments[:-1]):
            raise ValueError(f"route {template!r}: only the last segment can be optional")
        if segments and segments[0].literal in _RESERVED:
            raise ValueError(f"route {template!r} is reserved: /{segments[0].literal} belongs to the host")
        return cls(template, segments)

    @property
    def shape(self) -> str:
        """The template without what does not tell it from another: equal shapes match the same paths."""
        return "/".join(s.literal or f"{{:{s.constraint}}}" + "?" * s.optional for s in self.segments)

    @property
    def precedence(self) -> tuple[int, ...]:
        """The key that puts the route that wins first: literals before constrained before free parameters."""
        return tuple(segment.rank for segment in self.segments)

    def match(self, parts: list[str]) -> dict[str, str] | None:
        """Return the parameters if the path has this route, else None; an absent optional one is left out."""
        least = len(self.segments) - (bool(self.segments) and self.segments[-1].optional)
        if not least <= len(parts) <= len(self.segments):
            return None
        # Without the optional segment there is one part less than segments.
        pairs = list(zip(self.segments, parts, strict=False))
        if not all(segment.accepts(part) for segment, part in pairs):
            return None
        return {segment.name: part for segment, part in pairs if segment.name}


def path_parts(raw_path: str) -> list[str]:
    """Split a percent-encoded path; as in ASP.NET a trailing slash is ignored and an encoded slash stays encoded."""
    path = raw_path.removeprefix("/").removesuffix("/")
    return [unquote(re.sub("%2f", "%252F", part, flags=re.IGNORECASE)) for part in path.split("/")] if path else []


def _segment(part: str, template: str) -> _Segment:
    parameter = _PARAMETER.fullmatch(part)
    if parameter is None:
        if not part or re.search(r"[{}?*]", part):
            raise ValueError(f"route {template!r}: segment {part!r} is not supported by this host")
        return _Segment(literal=part.lower())
    name, constraint, optional = parameter.groups()
    if constraint and constraint not in _CONSTRAINTS:
        known = ", ".join(_CONSTRAINTS)
        raise ValueError(f"route {template!r}: constraint {constraint!r} is not supported by this host; it has {known}")
    return _Segment(name=name, constraint=constraint or "", optional=bool(optional))
