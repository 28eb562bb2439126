"""The sixty devices of the sample fleet, each with its story and with how it has to end."""

from local.entra.contract import Fault
from local.fleet.sample import Event, Expected, Hardware, Sample
from shared.model import (
    ChangeData,
    ChangeType,
    ClientStatusCode,
    ErrorClass,
    Inventory,
    MendedBy,
    Platform,
    PolicyAction,
    RegistrationState,
    ReportStatus,
    Verdict,
    Violation,
)

_A, _C, _E, _S, _T = PolicyAction, ClientStatusCode, ErrorClass, RegistrationState, ChangeType
COMPLIANT, NON_COMPLIANT, REMOVED = Verdict.COMPLIANT, Verdict.NON_COMPLIANT, Verdict.REMOVED

IPAD = Hardware(Platform.IOS, "IPad", "Apple Inc.", "iPad14,3", "18.1")
IPHONE = Hardware(Platform.IOS, "IPhone", "Apple Inc.", "iPhone16,2", "18.1")
PIXEL = Hardware(Platform.ANDROID, "Android", "Google", "Pixel 8", "15")
GALAXY = Hardware(Platform.ANDROID, "Android", "Samsung", "SM-S921B", "14")
MACBOOK = Hardware(Platform.OSX, "MacMDM", "Apple Inc.", "Mac15,3", "15.1")
SURFACE = Hardware(Platform.WINDOWS, "Windows", "Microsoft Corporation", "Surface Pro 10", "10.0.26100")
THINKPAD = Hardware(Platform.WINDOWS, "Windows", "Lenovo", "ThinkPad X1 Carbon", "10.0.22631")
SCANNER = Hardware(Platform.UNKNOWN, "Unknown", "Zebra", "MC3300", "8.1")
IPAD_TAKEN_FOR_WINDOWS = Hardware(Platform.WINDOWS, "IPad", "Apple Inc.", "iPad14,3", "18.1")


def violation(policy: str, reason: str, *actions: PolicyAction) -> Violation:
    """A policy that is violated, why, and what the policy does about it."""
    return Violation(policy=policy, reason=reason, actions=actions)


MONITORED = violation("Free storage", "less than 1 GB is free", _A.NONE)
WAITING = violation("OS version", "an update is due within 3 days", _A.WAIT)
ALERTED = violation("OS version", "an update is overdue", _A.SEND_ALERT)
NO_EMAIL = violation("Passcode", "no passcode is set", _A.SEND_ALERT, _A.BLOCK_EMAIL)
NO_APPS = violation("Allowed apps", "a forbidden app is installed", _A.BLOCK_APPCONNECT)
QUARANTINED = violation("Compromised devices", "the system was tampered with", _A.SEND_ALERT, _A.QUARANTINE)
TO_RETIRE = violation("Out of contact", "not seen for 60 days", _A.RETIRE)
TO_WIPE = violation("Lost devices", "reported as lost", _A.WIPE)


def told(action: PolicyAction, verdict: Verdict, *answers: ErrorClass) -> Expected:
    """Entra ID was told, after these failures."""
    return Expected(ReportStatus.SUCCESSFUL, action, verdict, time_shown=True, answers=answers)


def told_without_time(action: PolicyAction, verdict: Verdict) -> Expected:
    """Entra ID was told; the sign-in on the device has an error, so the report time is blank."""
    return Expected(ReportStatus.SUCCESSFUL, action, verdict)


def failed(error: ErrorClass, mended_by: MendedBy, action: PolicyAction, verdict: Verdict) -> Expected:
    """Entra ID could not be told."""
    return Expected(ReportStatus.FAILED, action, verdict, error=error, mended_by=mended_by)


def unregistered(mended_by: MendedBy, action: PolicyAction, verdict: Verdict) -> Expected:
    """There is no Azure identifier to tell Entra ID of."""
    return failed(_E.NOT_REGISTERED, mended_by, action, verdict)


def event(type_: ChangeType, minutes_ago: int, *violations: Violation) -> Event:
    """A later change that names all violations there are."""
    return Event(type_, minutes_ago, ChangeData(violations=violations))


def state(registration_state: RegistrationState, minutes_ago: int) -> Event:
    """The MDM moves the device to another registration state."""
    data = ChangeData(inventory=Inventory(registration_state=registration_state))
    return Event(_T.REGISTRATION_CHANGED, minutes_ago, data)


ACTIONS = (
    Sample("iPad of Ana, compliant", IPAD, "ana", (), told(_A.NONE, COMPLIANT)),
    Sample("Pixel of Ben, compliant", PIXEL, "ben", (), told(_A.NONE, COMPLIANT)),
    Sample("MacBook of Carla, compliant", MACBOOK, "carla", (), told(_A.NONE, COMPLIANT)),
    Sample("Surface of David, compliant", SURFACE, "david", (), told(_A.NONE, COMPLIANT)),
    Sample("iPhone of Emma, monitored", IPHONE, "emma", (MONITORED,), told(_A.NONE, COMPLIANT)),
    Sample("ThinkPad of Farid, monitored", THINKPAD, "farid", (MONITORED,), told(_A.NONE, COMPLIANT)),
    Sample("Galaxy of Grace, update due", GALAXY, "grace", (WAITING,), told(_A.WAIT, COMPLIANT)),
    Sample("MacBook of Hugo, update due", MACBOOK, "hugo", (WAITING,), told(_A.WAIT, COMPLIANT)),
    Sample("iPhone of Ines, alerted", IPHONE, "ines", (ALERTED,), told(_A.SEND_ALERT, COMPLIANT)),
    Sample("Surface of Jonas, alerted", SURFACE, "jonas", (ALERTED,), told(_A.SEND_ALERT, COMPLIANT)),
    Sample("iPad of Kavya, no email", IPAD, "kavya", (NO_EMAIL,), told(_A.BLOCK_EMAIL, NON_COMPLIANT)),
    Sample("ThinkPad of Liam, no email", THINKPAD, "liam", (NO_EMAIL,), told(_A.BLOCK_EMAIL, NON_COMPLIANT)),
    Sample("Pixel of Mei, no apps", PIXEL, "mei", (NO_APPS,), told(_A.BLOCK_APPCONNECT, NON_COMPLIANT)),
    Sample("MacBook of Noor, no apps", MACBOOK, "noor", (NO_APPS,), told(_A.BLOCK_APPCONNECT, NON_COMPLIANT)),
    Sample("iPad of Olga, quarantined", IPAD, "olga", (QUARANTINED,), told(_A.QUARANTINE, NON_COMPLIANT)),
    Sample("Galaxy of Pedro, quarantined", GALAXY, "pedro", (QUARANTINED,), told(_A.QUARANTINE, NON_COMPLIANT)),
    Sample("Surface of Quinn, quarantined", SURFACE, "quinn", (QUARANTINED,), told(_A.QUARANTINE, NON_COMPLIANT)),
    Sample("Scanner in store 7, quarantined", SCANNER, "store7", (QUARANTINED,), told(_A.QUARANTINE, NON_COMPLIANT)),
    Sample("iPhone of Rosa, retired by policy", IPHONE, "rosa", (TO_RETIRE,), told(_A.RETIRE, REMOVED)),
    Sample("Surface of Sven, retired by policy", SURFACE, "sven", (TO_RETIRE,), told(_A.RETIRE, REMOVED)),
    Sample("Galaxy of Tara, wiped by policy", GALAXY, "tara", (TO_WIPE,), told(_A.WIPE, REMOVED)),
    Sample("MacBook of Umar, wiped by policy", MACBOOK, "umar", (TO_WIPE,), told(_A.WIPE, REMOVED)),
)
"""Every action of a policy, on several platforms."""

SEVERAL_VIOLATIONS = (
    Sample("iPad of Vera, worst of three", IPAD, "vera", (ALERTED, QUARANTINED, WAITING),
           told(_A.QUARANTINE, NON_COMPLIANT)),
    Sample("Surface of Will, retire outranks", SURFACE, "will", (QUARANTINED, TO_RETIRE, MONITORED),
           told(_A.RETIRE, REMOVED)),
    Sample("Pixel of Xenia, worst has cleared", PIXEL, "xenia", (QUARANTINED, ALERTED),
           told(_A.SEND_ALERT, COMPLIANT), then=(event(_T.COMPLIANCE_CHANGED, 10, ALERTED),)),
)  # fmt: skip
"""Several violations at once: the most restrictive counts, and when it clears, the next."""

COURSE_OF_LIFE = (
    Sample("Galaxy of Yusuf, not assessed yet", GALAXY, "yusuf", None,
           Expected(ReportStatus.IN_PROGRESS, None, None)),
    Sample("iPhone of Zoe, retired", IPHONE, "zoe", (), told(_A.RETIRE, REMOVED),
           then=(Event(_T.RETIRED, 10),)),
    Sample("ThinkPad of Adam, wiped", THINKPAD, "adam", (), told(_A.WIPE, REMOVED),
           then=(Event(_T.WIPED, 10),)),
    Sample("MacBook of Bella, retire pending", MACBOOK, "bella", (), told(_A.RETIRE, NON_COMPLIANT),
           then=(state(_S.RETIRE_SENT, 10),)),
    Sample("Pixel of Chen, wipe pending", PIXEL, "chen", (), told(_A.WIPE, NON_COMPLIANT),
           then=(state(_S.WIPE_SENT, 10),)),
    Sample("iPad of Dara, retired, late word", IPAD, "dara", (), told(_A.RETIRE, REMOVED),
           then=(Event(_T.RETIRED, 10), event(_T.COMPLIANCE_CHANGED, 20))),
    Sample("iPhone of Elif, enrolled again", IPHONE, "elif", (), told(_A.NONE, COMPLIANT),
           then=(Event(_T.RETIRED, 20), Event(_T.ENROLLED, 10, ChangeData(violations=()), new_identifier=True))),
    Sample("Galaxy of Finn, late older word", GALAXY, "finn", (), told(_A.QUARANTINE, NON_COMPLIANT),
           then=(event(_T.COMPLIANCE_CHANGED, 10, QUARANTINED), event(_T.COMPLIANCE_CHANGED, 30))),
    Sample("Surface of Gita, told three times", SURFACE, "gita", (NO_APPS,),
           told(_A.BLOCK_APPCONNECT, NON_COMPLIANT), copies=2),
    Sample("MacBook of Femi, system updated", MACBOOK, "femi", (), told(_A.NONE, COMPLIANT),
           then=(Event(_T.INVENTORY_CHANGED, 10, ChangeData(inventory=Inventory(os_version="15.2"))),)),
)  # fmt: skip
"""Retired, wiped, enrolled again, updated, and changes that come late or more than once."""

SIGN_IN_ERRORS = (
    Sample("iPhone of Hana, internal error", IPHONE, "hana", (),
           told_without_time(_A.NONE, COMPLIANT), code=_C.INTERNAL_ERROR),
    Sample("Pixel of Ivan, join again", PIXEL, "ivan", (QUARANTINED,),
           told_without_time(_A.QUARANTINE, NON_COMPLIANT), code=_C.WORKPLACE_JOIN_REQUIRED),
    Sample("Surface of Jana, sign in again", SURFACE, "jana", (ALERTED,),
           told_without_time(_A.SEND_ALERT, COMPLIANT), code=_C.INTERACTION_REQUIRED),
    Sample("MacBook of Kofi, scopes declined", MACBOOK, "kofi", (NO_EMAIL,),
           told_without_time(_A.BLOCK_EMAIL, NON_COMPLIANT), code=_C.SERVER_DECLINED_SCOPES),
    Sample("iPad of Lucia, app not protected", IPAD, "lucia", (WAITING,),
           told_without_time(_A.WAIT, COMPLIANT), code=_C.SERVER_PROTECTION_POLICIES_REQUIRED),
    Sample("Galaxy of Musa, cancelled", GALAXY, "musa", (TO_RETIRE,),
           told_without_time(_A.RETIRE, REMOVED), code=_C.USER_CANCELED),
    Sample("Scanner in store 8, logged out", SCANNER, "store8", (),
           told_without_time(_A.NONE, COMPLIANT), code=_C.ACCOUNT_LOGGED_OUT),
)  # fmt: skip
"""An identifier and a sign-in error: Entra ID is told all the same, and only the report time is blank."""

UNREGISTERED = (
    Sample("iPhone of Nadia, no identifier yet", IPHONE, "nadia", (),
           Expected(None, _A.NONE, COMPLIANT), code=_C.SUCCESS, registered=False),
    Sample("Pixel of Oscar, not signed in yet", PIXEL, "oscar", (QUARANTINED,),
           Expected(None, _A.QUARANTINE, NON_COMPLIANT), code=None, registered=False),
    Sample("Surface of Petra, internal error", SURFACE, "petra", (),
           unregistered("administrator", _A.NONE, COMPLIANT), code=_C.INTERNAL_ERROR, registered=False),
    Sample("iPad of Ravi, never joined", IPAD, "ravi", (NO_EMAIL,),
           unregistered("user", _A.BLOCK_EMAIL, NON_COMPLIANT), code=_C.WORKPLACE_JOIN_REQUIRED, registered=False),
    Sample("Galaxy of Sara, never signed in", GALAXY, "sara", (),
           unregistered("user", _A.NONE, COMPLIANT), code=_C.INTERACTION_REQUIRED, registered=False),
    Sample("MacBook of Tom, scopes declined", MACBOOK, "tom", (QUARANTINED,),
           unregistered("administrator", _A.QUARANTINE, NON_COMPLIANT),
           code=_C.SERVER_DECLINED_SCOPES, registered=False),
    Sample("iPhone of Uma, app not protected", IPHONE, "uma", (ALERTED,),
           unregistered("administrator", _A.SEND_ALERT, COMPLIANT),
           code=_C.SERVER_PROTECTION_POLICIES_REQUIRED, registered=False),
    Sample("ThinkPad of Victor, cancelled", THINKPAD, "victor", (TO_WIPE,),
           unregistered("user", _A.WIPE, REMOVED), code=_C.USER_CANCELED, registered=False),
    Sample("Scanner in store 9, logged out", SCANNER, "store9", (),
           unregistered("user", _A.NONE, COMPLIANT), code=_C.ACCOUNT_LOGGED_OUT, registered=False),
)  # fmt: skip
"""No identifier: Entra ID cannot be told of the device, and the client code says who can mend that."""

GRAPH_ERRORS = (
    Sample("iPad of Wanda, unknown to Entra", IPAD, "wanda", (QUARANTINED,),
           failed(_E.NOT_FOUND, "administrator", _A.QUARANTINE, NON_COMPLIANT), in_entra=False),
    Sample("Pixel of Xavier, gone already", PIXEL, "xavier", (TO_RETIRE,), told(_A.RETIRE, REMOVED), in_entra=False),
    Sample("iPad of Yara, taken for Windows", IPAD_TAKEN_FOR_WINDOWS, "yara", (),
           failed(_E.UNSUPPORTED, "administrator", _A.NONE, COMPLIANT)),
    Sample("Surface of Zane, app lacks consent", SURFACE, "zane", (QUARANTINED,),
           failed(_E.FORBIDDEN, "administrator", _A.QUARANTINE, NON_COMPLIANT),
           faults=(Fault(kind="status", status=403, times=None),)),
    Sample("MacBook of Alba, refused by Graph", MACBOOK, "alba", (),
           failed(_E.REJECTED, "administrator", _A.NONE, COMPLIANT),
           faults=(Fault(kind="status", status=400, times=None, code="Request_BadRequest",
                         message="A value without a type name was found."),)),
    Sample("Galaxy of Bruno, told to slow down", GALAXY, "bruno", (), told(_A.NONE, COMPLIANT, _E.THROTTLED),
           faults=(Fault(kind="status", status=429, retry_after=1, times=2),)),
    Sample("Surface of Cleo, Graph fails twice", SURFACE, "cleo", (), told(_A.NONE, COMPLIANT, _E.TRANSIENT),
           faults=(Fault(kind="status", status=503, times=2),)),
    Sample("iPhone of Dante, Graph never works", IPHONE, "dante", (QUARANTINED,),
           Expected(ReportStatus.IN_PROGRESS, _A.QUARANTINE, NON_COMPLIANT,
                    error=_E.TRANSIENT, mended_by="service"),
           faults=(Fault(kind="status", status=503, times=None),)),
    Sample("MacBook of Edda, answer lost", MACBOOK, "edda", (NO_EMAIL,),
           told(_A.BLOCK_EMAIL, NON_COMPLIANT, _E.TRANSIENT), faults=(Fault(kind="applied-then-reset"),)),
)  # fmt: skip
"""Each way in which a call to Graph can fail."""

FLEET = (
    *ACTIONS, *SEVERAL_VIOLATIONS, *COURSE_OF_LIFE, *SIGN_IN_ERRORS, *UNREGISTERED, *GRAPH_ERRORS,
)  # fmt: skip
