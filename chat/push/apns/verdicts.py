"""What the answers of APNs mean, as data. Pure.

An answer is looked up by its status and its reason; a few statuses mean something without one. No bare status ever
condemns an address. What has no row is passing: `Later` for this device, until it has come too often.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import orjson

from chat.push.apns.exchange import Reply, Unanswered, Unprocessed
from chat.push.apns.settings import ApnsSettings
from chat.push.retry_after import retry_after_s
from chat.push.sending import (
    Accepted,
    AddressGone,
    CredentialsAtFault,
    Later,
    Rejected,
    TooLarge,
    Unknown,
    Verdict,
)


class Do(StrEnum):
    """What comes of an answer."""

    ACCEPT = "accept"
    FORGET = "forget"
    """The address is gone."""
    FLIP = "flip"
    """No such device in this environment: perhaps in the other one."""
    SUSPECT = "suspect"
    """The topic is not that of the device: the device's fault only if others are accepted."""
    MEND = "mend"
    """The key or the set-up is at fault."""
    REPORT = "report"
    """We asked for something wrong."""
    SHRINK = "shrink"
    WAIT = "wait"
    """This device, for a while."""
    DOUBT = "doubt"
    """Nobody knows: this device, and not often."""
    PAUSE = "pause"
    """All of them, for a while."""
    AGAIN = "again"
    """At once, on another connection."""
    RENEW = "renew"
    """The provider token has expired: another one, if the rules allow it, on another connection."""
    KEEP = "keep"
    """The provider token has changed too often: stay with it, pause, and then on another connection."""


@dataclass(frozen=True, slots=True)
class Row:
    """`reconnect`: the connection is of no use any more."""

    do: Do
    why: str
    reconnect: bool = False


ROWS: Final[Mapping[tuple[int, str], Row]] = MappingProxyType(
    {
        (400, "BadDeviceToken"): Row(Do.FLIP, "no token, or one of the other environment"),
        (400, "DeviceTokenNotForTopic"): Row(Do.SUSPECT, "the device has another app, or the bundle id is wrong"),
        (400, "TopicDisallowed"): Row(Do.MEND, "the team may not send to this bundle id"),
        (400, "BadTopic"): Row(Do.MEND, "the bundle id is none"),
        (400, "MissingTopic"): Row(Do.MEND, "there is no bundle id"),
        (400, "BadCollapseId"): Row(Do.REPORT, "more than 64 bytes"),
        (400, "BadExpirationDate"): Row(Do.REPORT, "apns-expiration is no time"),
        (400, "BadMessageId"): Row(Do.REPORT, "apns-id is no UUID"),
        (400, "BadPriority"): Row(Do.REPORT, "apns-priority is none, or not for this type"),
        (400, "InvalidPushType"): Row(Do.REPORT, "apns-push-type is none"),
        (400, "DuplicateHeaders"): Row(Do.REPORT, "a header is there twice"),
        (400, "PayloadEmpty"): Row(Do.REPORT, "there is no payload"),
        (400, "MissingDeviceToken"): Row(Do.REPORT, "there is no token in the path"),
        (404, "BadPath"): Row(Do.REPORT, "the path is wrong"),
        (405, "MethodNotAllowed"): Row(Do.REPORT, "the method is not POST"),
        (400, "IdleTimeout"): Row(Do.AGAIN, "the connection was idle for too long", reconnect=True),
        (403, "ExpiredProviderToken"): Row(
            Do.RENEW, "the provider token is over an hour old by their clock", reconnect=True
        ),
        (403, "InvalidProviderToken"): Row(Do.MEND, "the key, its id or the team is wrong"),
        (403, "MissingProviderToken"): Row(Do.MEND, "there is no provider token"),
        (403, "BadCertificate"): Row(Do.MEND, "the client certificate is bad"),
        (403, "BadCertificateEnvironment"): Row(Do.MEND, "the client certificate is for the other environment"),
        (403, "Forbidden"): Row(Do.MEND, "the key may not do this"),
        (403, "BadEnvironmentKeyIdInToken"): Row(Do.MEND, "the key is for the other environment"),
        (403, "UnrelatedKeyIdInToken"): Row(Do.MEND, "the key is for other bundle ids"),
        (410, "Unregistered"): Row(Do.FORGET, "the app was removed"),
        (410, "ExpiredToken"): Row(Do.FORGET, "the device token has expired"),
        (413, "PayloadTooLarge"): Row(Do.SHRINK, "more than 4096 bytes"),
        (429, "TooManyRequests"): Row(Do.WAIT, "too many for this device"),
        (429, "TooManyProviderTokenUpdates"): Row(Do.KEEP, "the provider token changed too soon", reconnect=True),
        (500, "InternalServerError"): Row(Do.PAUSE, "it failed there"),
        (503, "ServiceUnavailable"): Row(Do.PAUSE, "overloaded"),
        (503, "Shutdown"): Row(Do.PAUSE, "that server leaves", reconnect=True),
    }
)

BY_STATUS: Final[Mapping[int, Row]] = MappingProxyType(
    {
        200: Row(Do.ACCEPT, "taken, which is not delivered"),
        413: Row(Do.SHRINK, "too large"),
        500: Row(Do.PAUSE, "it failed there"),
        502: Row(Do.PAUSE, "the servers in front cannot reach those behind"),
        503: Row(Do.PAUSE, "overloaded"),
        504: Row(Do.PAUSE, "too slow inside"),
    }
)

KEY_AT_FAULT: Final = Row(Do.MEND, "a new word about the key")
UNKNOWN: Final = Row(Do.DOUBT, "no row for it: passing, until it has come too often")


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer has in it, as far as it can be read. `at`: since when a token is no good, ms UTC."""

    status: int
    reason: str = ""
    apns_id: str = ""
    at: int | None = None
    retry_after: str | None = None

    @property
    def name(self) -> str:
        return self.reason or f"http_{self.status}"


def read(reply: Reply) -> Said:
    """Whatever came: the vendor's JSON, half of it, or something else."""
    try:
        parsed = orjson.loads(reply.body) if reply.body else None
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        parsed = {}
    reason, at = parsed.get("reason"), parsed.get("timestamp")
    return Said(
        reply.status,
        # What a provider says is kept short: it ends up in traces.
        reason[:100] if isinstance(reason, str) else "",
        reply.headers.get("apns-id", "")[:64],
        at if isinstance(at, int) and not isinstance(at, bool) else None,
        reply.headers.get("retry-after"),
    )


def row_of(said: Said) -> Row:
    """The row that applies."""
    if row := ROWS.get((said.status, said.reason)):
        return row
    if said.status == 403 and (said.reason.startswith("BadCertificate") or said.reason.endswith("KeyIdInToken")):
        return KEY_AT_FAULT
    return BY_STATUS.get(said.status, UNKNOWN)


def verdict_of(said: Said, *, now_s: float, settings: ApnsSettings, proven: bool = True) -> Verdict:
    """What an answer comes to, if nothing else is tried. `now_s`: wall clock. `proven`: others have been accepted under
    this topic.
    """
    asked_s = retry_after_s(said.retry_after, now_s=now_s)
    match row_of(said).do:
        case Do.ACCEPT:
            return Accepted(said.apns_id)
        case Do.FORGET:
            return AddressGone(said.name, said.at)
        case Do.FLIP:
            return AddressGone(said.name)
        case Do.SUSPECT:
            return AddressGone(said.name) if proven else Later(said.name, "device", settings.device_pause_s)
        case Do.MEND:
            return CredentialsAtFault(said.name)
        case Do.REPORT:
            return Rejected(said.name)
        case Do.SHRINK:
            return TooLarge(said.name)
        case Do.WAIT:
            return Later(said.name, "device", settings.device_pause_s if asked_s is None else asked_s)
        case Do.DOUBT:
            return Later(said.name, "device", asked_s)
        case Do.PAUSE | Do.RENEW:
            return Later(said.name, "lane", asked_s)
        case Do.AGAIN:
            return Later(said.name, "lane", 0.0)
        case Do.KEEP:
            return Later(said.name, "lane", settings.token_updates_pause_s if asked_s is None else asked_s)


def without_reply(outcome: Unprocessed | Unanswered) -> Verdict:
    """Of a request that got no answer. What was certainly not processed costs no attempt of the device."""
    match outcome:
        case Unprocessed(reason, after_s):
            at_once = reason in {"goaway", "refused_stream"}
            return Later(reason, "lane", 0.0 if at_once else after_s)
        case Unanswered(reason):
            return Unknown(reason)
