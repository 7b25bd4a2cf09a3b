"""What the answers of Firebase mean, as data. Pure.

An answer is looked up by the most telling thing in it: a field that is said to be wrong, then the code of Firebase
(`FcmError.errorCode`), then the name that all of Google's services use with the HTTP status, then the bare status. No
bare status ever condemns an address.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import orjson

from chat.push.fcm.settings import FcmSettings
from chat.push.retry_after import retry_after_s
from chat.push.sending import Accepted, AddressGone, CredentialsAtFault, Later, Rejected, TooLarge, Unknown, Verdict

FCM_ERROR: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
QUOTA_FAILURE: Final = "type.googleapis.com/google.rpc.QuotaFailure"

ADDRESS_FIELDS: Final = frozenset({"message.token", "message.fid"})


class Do(StrEnum):
    """What comes of an answer."""

    ACCEPT = "accept"
    FORGET = "forget"
    """The address is gone."""
    ASK = "ask"
    """Either the address or the message is wrong: one more request tells which."""
    RENEW = "renew"
    """The access token has ended before its time: another one, once."""
    MEND = "mend"
    """The credentials or the set-up are at fault."""
    REPORT = "report"
    """We asked for something wrong."""
    SHRINK = "shrink"
    WAIT = "wait"
    FAIL = "fail"
    """It went wrong there. One such answer says little, a row of them that all is not well; it may have been taken."""


@dataclass(frozen=True, slots=True)
class Row:
    """`scope`: who waits, of `WAIT`, and of `FAIL` when the answer says for how long. `pause`: the least that they wait
    when it does not.
    """

    do: Do
    why: str
    scope: Literal["device", "lane"] = "device"
    pause: Literal["ours", "quota", "mending"] = "ours"


BY_FCM_CODE: Final[Mapping[str, Row]] = MappingProxyType(
    {
        "INVALID_ARGUMENT": Row(Do.ASK, "usually a token that is none, now and then the message"),
        "UNREGISTERED": Row(Do.FORGET, "the app was removed, or its token was replaced or has expired"),
        "SENDER_ID_MISMATCH": Row(Do.FORGET, "the token belongs to another project"),
        "QUOTA_EXCEEDED": Row(Do.WAIT, "more than the project may send", "lane", "quota"),
        "UNAVAILABLE": Row(Do.FAIL, "overloaded", "lane"),
        "INTERNAL": Row(Do.FAIL, "it failed there, on this message"),
        # Androids of the same project are not concerned, so this must not stop the lane.
        "THIRD_PARTY_AUTH_ERROR": Row(
            Do.WAIT, "the keys for APNs or Web Push that were given to Firebase are bad", "device", "mending"
        ),
        "UNSPECIFIED_ERROR": Row(Do.WAIT, "nobody knows"),
    }
)

BY_NAME: Final[Mapping[tuple[int, str], Row]] = MappingProxyType(
    {
        (400, "INVALID_ARGUMENT"): Row(Do.ASK, "without a word on what is wrong"),
        (401, "UNAUTHENTICATED"): Row(Do.RENEW, "the access token has expired or was revoked"),
        (403, "PERMISSION_DENIED"): Row(Do.MEND, "the API is not enabled, or the account lacks the role"),
        (404, "NOT_FOUND"): Row(Do.MEND, "no such project, or the wrong place: it says nothing about the address"),
        (429, "RESOURCE_EXHAUSTED"): Row(Do.WAIT, "more than the project may send", "lane", "quota"),
        (500, "INTERNAL"): Row(Do.FAIL, "it failed there"),
        (503, "UNAVAILABLE"): Row(Do.FAIL, "overloaded", "lane"),
        (504, "DEADLINE_EXCEEDED"): Row(Do.FAIL, "too slow inside", "lane"),
    }
)

BY_STATUS: Final[Mapping[int, Row]] = MappingProxyType(
    {
        200: Row(Do.ACCEPT, "taken, which is not delivered"),
        401: Row(Do.RENEW, "the access token has expired or was revoked"),
        404: Row(Do.MEND, "the wrong place: it says nothing about the address"),
        413: Row(Do.SHRINK, "too large for the servers in front"),
        429: Row(Do.WAIT, "too much", "lane", "quota"),
        500: Row(Do.FAIL, "it failed there"),
        502: Row(Do.FAIL, "the servers in front cannot reach those behind; the body is HTML", "lane"),
        503: Row(Do.FAIL, "overloaded", "lane"),
        504: Row(Do.FAIL, "too slow inside", "lane"),
    }
)

WRONG_ADDRESS: Final = Row(Do.FORGET, "the field of the address is said to be wrong")
WRONG_FIELD: Final = Row(Do.REPORT, "a field of the message is said to be wrong")
NO_ROW: Final = Row(Do.WAIT, "no row for it: passing, until it has come too often")

OAUTH_AT_FAULT: Final = frozenset(
    {
        "access_denied",
        "account_deleted",
        "admin_policy_enforced",
        "deleted_client",
        "disabled_client",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "org_internal",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
"""Errors of the token endpoint that no waiting mends. Any other one is passing."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer has in it, as far as it can be read. `code` is Firebase's, `name` is Google's."""

    status: int
    code: str = ""
    name: str = ""
    fields: tuple[str, ...] = ()
    message_id: str = ""
    device_quota: bool = False


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Not a verdict yet: the address or the message."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stale:
    """Not a verdict yet: with another access token it may pass."""

    reason: str


Outcome: TypeAlias = Verdict | Doubtful | Stale


def read(status: int, body: bytes) -> Said:
    """Whatever came: JSON in Google's envelope, other JSON, HTML, nothing."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Said(status)
    if not isinstance(parsed, dict):
        return Said(status)
    error = parsed.get("error")
    if not isinstance(error, dict):
        return Said(status, message_id=_text(parsed.get("name")))
    details = [one for one in _list(error.get("details")) if isinstance(one, dict)]
    return Said(
        status,
        code=next((_text(one.get("errorCode")) for one in details if one.get("@type") == FCM_ERROR), ""),
        name=_text(error.get("status")),
        fields=tuple(_text(one.get("field")) for one in _violations(details, BAD_REQUEST, "fieldViolations")),
        # The limit for one device comes under the same code as that of the project, and must not slow down others.
        device_quota=any(
            "device" in (_text(one.get("subject")) + _text(one.get("description"))).lower()
            for one in _violations(details, QUOTA_FAILURE, "violations")
        ),
    )


def row_of(said: Said) -> Row:
    """The row that applies."""
    if said.status == 400 and said.fields:
        return WRONG_ADDRESS if ADDRESS_FIELDS.issuperset(said.fields) else WRONG_FIELD
    if said.code:
        return BY_FCM_CODE.get(said.code, NO_ROW)
    return BY_NAME.get((said.status, said.name)) or BY_STATUS.get(said.status) or NO_ROW


def outcome(status: int, body: bytes, headers: Mapping[str, str], *, now_s: float, settings: FcmSettings) -> Outcome:
    """What an answer comes to. `headers`: case does not matter if it does not to the mapping. `now_s`: wall clock."""
    said = read(status, body)
    reason = said.code or said.name or f"http_{status}"
    asked_s = retry_after_s(headers.get("Retry-After"), now_s=now_s)
    row = row_of(said)
    match row.do:
        case Do.ACCEPT:
            # Something in between that answers 200 to everything has no name for the message.
            return Accepted(said.message_id) if said.message_id else Unknown("no name in the answer")
        case Do.FORGET:
            return AddressGone(reason)
        case Do.ASK:
            return Doubtful(reason)
        case Do.RENEW:
            return Stale(reason)
        case Do.MEND:
            return CredentialsAtFault(reason)
        case Do.REPORT:
            return Rejected(": ".join((reason, *said.fields)))
        case Do.SHRINK:
            return TooLarge(reason)
        case Do.FAIL:
            return Unknown(reason) if asked_s is None else Later(reason, row.scope, asked_s)
        case Do.WAIT:
            pauses_s = {"ours": None, "quota": settings.quota_pause_s, "mending": settings.mending_pause_s}
            scope = "device" if said.device_quota else row.scope
            return Later(reason, scope, pauses_s[row.pause] if asked_s is None else asked_s)


def settle(doubtful: Doubtful, probe: Outcome) -> Verdict:
    """Which of both it was, from the answer to an empty message to the same address that is not to be delivered."""
    match probe:
        case Accepted():
            return Rejected(f"{doubtful.reason}: not the address")
        case Doubtful():
            return AddressGone(doubtful.reason)
        case Stale():
            return Later(doubtful.reason, "device")
        case verdict:
            return verdict


def oauth_verdict(status: int, body: bytes, headers: Mapping[str, str], *, now_s: float) -> CredentialsAtFault | Later:
    """Why the token endpoint gave no token."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    error = _text(parsed.get("error")) if isinstance(parsed, dict) else ""
    if status in range(400, 500) and error in OAUTH_AT_FAULT:
        return CredentialsAtFault(f"oauth: {error}")
    return Later(f"oauth: http_{status}", "lane", retry_after_s(headers.get("Retry-After"), now_s=now_s))


def _violations(details: list[dict[str, Any]], kind: str, name: str) -> list[dict[str, Any]]:
    return [
        one
        for detail in details
        if detail.get("@type") == kind
        for one in _list(detail.get(name))
        if isinstance(one, dict)
    ]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    """What a provider says is kept short: it ends up in traces."""
    return value[:200] if isinstance(value, str) else ""
