"""What the answers of push services mean, as data. Pure.

A row is found by the reason that an answer gives, where it gives one that is known, else by its status. A status that
has no row is passing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal

import orjson

from chat.outgoing import Failed, Forbidden
from chat.push.retry_after import retry_after_s
from chat.push.sending import Accepted, AddressGone, CredentialsAtFault, Later, Rejected, TooLarge, Unknown, Verdict


class Do(StrEnum):
    """What comes of an answer."""

    ACCEPT = "accept"
    FORGET = "forget"
    """The address is gone: the browser has to subscribe anew."""
    DOUBT = "doubt"
    """We were not let in: the subscription is at fault if it was made with another key, else we are."""
    REPORT = "report"
    """We asked for something wrong, or at a wrong place."""
    SHRINK = "shrink"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Row:
    """`scope`: who waits, in `Do.WAIT`."""

    do: Do
    why: str
    scope: Literal["device", "origin"] = "origin"


class Key(StrEnum):
    """How the key that we signed with is related to the one that the subscription was made with."""

    SAME = "same"
    DIFFERENT = "different"
    NOT_SAID = "not_said"
    """The device did not say by which one."""


MISMATCH: Final = "KeyMismatch"
"""Our word for what Google says in a sentence."""

BY_REASON: Final[Mapping[str, Row]] = MappingProxyType(
    {
        # These say that this one subscription was made with another key. To stop everybody else for it would let any
        # client do so; where it is everybody, the breaker for mass deletions knows.
        "VapidPkHashMismatch": Row(Do.FORGET, "Apple: it was made with another key"),
        MISMATCH: Row(Do.FORGET, "Google: it was made with another key"),
        "UnauthorizedRegistration": Row(Do.FORGET, "Google, older: it was made with another key"),
        "BadJwtToken": Row(Do.DOUBT, "Apple: the token, the contact in it, its times, its audience, or the key"),
        "BadAuthorizationHeader": Row(Do.REPORT, "Apple: the header is not as it should be"),
        "BadWebPushTopic": Row(Do.REPORT, "Apple: the topic is not as it should be"),
        "Unregistered": Row(Do.FORGET, "Apple: no longer subscribed"),
        "PayloadTooLarge": Row(Do.SHRINK, "Apple: more than 4 KB"),
        "TooManyProviderTokenUpdates": Row(Do.WAIT, "Apple: tokens were changed too often"),
    }
)

BY_STATUS: Final[Mapping[int, Row]] = MappingProxyType(
    {
        200: Row(Do.ACCEPT, "taken"),
        201: Row(Do.ACCEPT, "taken"),
        202: Row(Do.ACCEPT, "taken, perhaps not yet stored"),
        204: Row(Do.ACCEPT, "taken"),
        **dict.fromkeys((300, 301, 302, 303, 304, 305, 307, 308), Row(Do.REPORT, "elsewhere, and nobody goes there")),
        400: Row(Do.REPORT, "not as it should be; Mozilla's errno 110 to 114 say what"),
        401: Row(Do.DOUBT, "the token or the key; all that Windows says about another key"),
        403: Row(Do.DOUBT, "the token or the key"),
        404: Row(Do.FORGET, "no such subscription"),
        405: Row(Do.REPORT, "not a push resource"),
        406: Row(Do.WAIT, "Windows: too much"),
        408: Row(Do.WAIT, "it waited too long for us"),
        410: Row(Do.FORGET, "no longer subscribed"),
        411: Row(Do.REPORT, "without a length"),
        413: Row(Do.SHRINK, "larger than it takes"),
        415: Row(Do.REPORT, "an encoding that it does not know"),
        429: Row(Do.WAIT, "too much"),
        500: Row(Do.WAIT, "it failed there"),
        502: Row(Do.WAIT, "the servers in front cannot reach those behind"),
        503: Row(Do.WAIT, "overloaded"),
        504: Row(Do.WAIT, "too slow inside"),
        507: Row(Do.WAIT, "ntfy: nobody has subscribed to the topic for long", "device"),
    }
)

NO_ROW: Final = Row(Do.WAIT, "no row for it: passing, until it has come too often", "device")

_SENTENCES: Final = (
    (b"do not correspond to the credentials", MISMATCH),
    (b"UnauthorizedRegistration", "UnauthorizedRegistration"),
)
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ID: Final = re.compile(r"[A-Za-z0-9_.:%=-]+")
_ID_LENGTH: Final = 40
_MAX_READ_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """`vendor`: whose service it is; empty where whoever answers speaks for itself alone."""

    vendor: str
    key: Key


def row_of(status: int, reason: str) -> Row:
    """The row of an answer. A reason counts only where something was refused."""
    if status >= 400 and reason in BY_REASON:
        return BY_REASON[reason]
    return BY_STATUS.get(status, NO_ROW)


def reason_of(body: bytes) -> str:
    """The reason that an answer gives, a word; empty when it gives none, or none that can be read."""
    body = body[:_MAX_READ_BYTES]
    try:
        said: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if isinstance(said, dict):
        reason, errno = said.get("reason"), said.get("errno")
        if isinstance(reason, str) and _WORD.fullmatch(reason):
            return reason
        if isinstance(errno, int):
            return f"errno_{errno}"
    return next((reason for words, reason in _SENTENCES if words in body), "")


def verdict(status: int, body: bytes, headers: Mapping[str, str], asked: Asked, *, now_s: float) -> Verdict:
    """What an answer comes to. `headers` are looked up as `Answer` has them; `now_s`: wall clock."""
    reason = reason_of(body)
    row = row_of(status, reason)
    told = f"{status} {reason}".rstrip()
    match row.do:
        case Do.ACCEPT:
            return Accepted(provider_id_of(headers))
        case Do.FORGET:
            return AddressGone(told)
        case Do.DOUBT if asked.key is Key.DIFFERENT:
            return AddressGone(f"{told}: made with another key")
        case Do.DOUBT if asked.vendor:
            return CredentialsAtFault(told)
        case Do.REPORT:
            return Rejected(told)
        case Do.SHRINK:
            return TooLarge(told)
        case Do.DOUBT | Do.WAIT:
            return Later(told, row.scope, retry_after_s(headers.get("Retry-After"), now_s=now_s))


def provider_id_of(headers: Mapping[str, str]) -> str:
    """By which name a service knows a message that it has taken: Apple says so, others name a place for it. Cut short,
    so that it is good for asking and nothing else: at some services whoever knows the place can have it removed.
    """
    name = headers.get("apns-id", "") or headers.get("Location", "").rpartition("/")[2]
    return name[:_ID_LENGTH] if _ID.fullmatch(name) else ""


def verdict_of_failure(error: OSError) -> Verdict:
    """What it comes to that there was no answer. The address is never to blame: names and networks fail."""
    match error:
        case Forbidden():
            return Rejected(f"forbidden: {error}")
        case Failed(sent=False):
            return Later("cannot be reached", "origin")
        case _:
            return Unknown(str(error))
