"""Why Azure could not be told: one class each, with who can mend it and how to go on. Pure.

A ``ReportError`` is what the Entra ID adapter raises, in place of whatever Graph or the network answered.
"""

from dataclasses import dataclass
from datetime import datetime

from shared.model import ClientStatusCode, ErrorClass, LastError, MendedBy

_C = ErrorClass


@dataclass(frozen=True, slots=True)
class Handling:
    """How an error of a class is handled.

    ``retried``: the service tries again by itself, soon. Whatever the class, the weekly run tries again, and so does a
    change by which something else is to be told. ``permanent``: trying again without someone mending the cause is of
    no use.
    """

    mended_by: MendedBy
    retried: bool
    permanent: bool
    advice: str


# class                        mended by        retried  permanent
HANDLING: dict[ErrorClass, Handling] = {
    _C.THROTTLED:       Handling("service",       True,  False,
        "Microsoft Graph asks us to slow down. Nothing to do: it is reported when the time that Graph named is over."),
    _C.TRANSIENT:       Handling("service",       True,  False,
        "Microsoft Graph could not be reached or failed. Nothing to do unless it lasts: it is tried again."),
    _C.NOT_FOUND:       Handling("administrator", False, False,
        "Entra ID has no device with this identifier: it was deleted there, or the identifier is of another tenant. "
        "Have the user register the device again."),
    _C.UNSUPPORTED:     Handling("administrator", False, True,
        "This app may not write this property on this platform. Choose another channel in REPORT_CHANNELS."),
    _C.FORBIDDEN:       Handling("administrator", False, False,
        "Entra ID refuses this app. Grant its managed identity Device.ReadWrite.All on Microsoft Graph; to write "
        "isCompliant it must also be an approved MDM app."),
    _C.REJECTED:        Handling("administrator", False, True,
        "Microsoft Graph refuses what was sent. Look up its code and message, and tell the maintainers."),
    _C.NOT_REGISTERED:  Handling("administrator", False, False,
        "The device has no Azure identifier yet."),
    _C.UNDELIVERED:     Handling("administrator", False, False,
        "A message about this device could not be processed. Mend the cause, then replay it."),
}  # fmt: skip

_SIGN_IN_AGAIN = "The device has no Azure identifier: its user has to sign in again in the MDM's app."
_REGISTER = "The device has no Azure identifier: its user has to register it with Microsoft Authenticator."
_LOOK = "The device has no Azure identifier, and its user cannot mend it: look into the tenant's policies and consents."

MENDED_BY_USER: dict[ClientStatusCode, str] = {
    ClientStatusCode.WORKPLACE_JOIN_REQUIRED: _REGISTER,
    ClientStatusCode.INTERACTION_REQUIRED: _SIGN_IN_AGAIN,
    ClientStatusCode.USER_CANCELED: _SIGN_IN_AGAIN,
    ClientStatusCode.ACCOUNT_LOGGED_OUT: _SIGN_IN_AGAIN,
}


class ReportError(Exception):
    """Azure could not be told.

    Attributes:
        error_class: which kind of failure it is.
        code: Graph's own error code, or the kind of network failure.
        message: what Graph said, or what happened, in one line.
        status: the HTTP status; ``None`` where there was no answer.
        retry_after: seconds that Graph asked us to wait; ``None`` if it did not.
        request_id: Graph's id of the request, for a support case.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{error_class}: {message}")
        self.error_class = error_class
        self.message = message
        self.code = code
        self.status = status
        self.retry_after = retry_after
        self.request_id = request_id

    @property
    def handling(self) -> Handling:
        """How it is handled."""
        return HANDLING[self.error_class]

    def as_last_error(self, at: datetime) -> LastError:
        """Say it to an administrator: what happened, then what to do."""
        return LastError(
            error_class=self.error_class,
            code=self.code,
            message=sentences(self.message, self.handling.advice),
            mended_by=self.handling.mended_by,
            permanent=self.handling.permanent,
            at=at,
        )


def sentences(what: str, advice: str) -> str:
    """Join what happened and what to do, each a sentence of its own."""
    return f"{what.rstrip('.')}. {advice}"


def not_registered(code: ClientStatusCode, at: datetime | None) -> LastError:
    """Say why a device without an identifier cannot be reported, and who can mend it."""
    advice = MENDED_BY_USER.get(code)
    return LastError(
        error_class=ErrorClass.NOT_REGISTERED,
        code=code,
        message=f"{advice or _LOOK} The sign-in on the device ended with {code}.",
        mended_by="user" if advice else "administrator",
        permanent=False,
        at=at,
    )
