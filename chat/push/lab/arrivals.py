"""What reaches a handset, read as the handset's system reads it: one shape for all who bring it. Pure.

This is the reader's side of the formats, written from the vendors' descriptions. What an app finds for itself in a
push (`Ours`) is there under the same names whoever brought it.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from chat.push.lab.screen import Brought

LATEST: Final = "the latest alone"
"""The place in a queue of which there is one: of APNs all pushes for an app have it."""

_LONG_S: Final = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Ours:
    """What an app of ours finds in a push, drawn by the system or not."""

    kind: str = ""
    job_id: str = ""
    collapse_id: str = ""
    conversation: str = ""
    upto: int = 0
    group: str = ""
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """`alert`: there is something to show. `drawn`: the system can show it without the app. `wakes`: the app is to
    run, in the background. `collapse`: what is shown under the same name is replaced.

    `place`: of those with the same one, what waits for the handset is the last alone; empty: it has its own.
    `lasts_s`: how long it waits, 0: not at all.
    """

    brought: Brought
    alert: bool
    drawn: bool
    title: str = ""
    body: str = ""
    sound: bool = False
    badge: int | None = None
    collapse: str = ""
    wakes: bool = False
    mutable: bool = False
    urgent: bool = True
    place: str = ""
    lasts_s: float = _LONG_S
    ours: Ours = Ours()


def read_arrival(brought: Brought, headers: Mapping[str, str], payload: bytes, *, now_s: float) -> Arrival | None:
    """None for what no system can read. `now_s`: wall clock."""
    try:
        parsed = orjson.loads(payload) if payload else {}
    except orjson.JSONDecodeError:
        parsed = None
    match brought:
        case "apns":
            return _apns(headers, parsed, now_s) if isinstance(parsed, dict) else None
        case "fcm":
            return _fcm(parsed) if isinstance(parsed, dict) else None
        case "webpush":
            # A service worker runs for whatever comes.
            return _webpush(headers, parsed if isinstance(parsed, dict) else {})
        case "webhook":
            return None


def _apns(headers: Mapping[str, str], parsed: Mapping[str, Any], now_s: float) -> Arrival | None:
    aps = _dict(parsed.get("aps"))
    alert = aps.get("alert")
    title, body = (
        ("", alert) if isinstance(alert, str) else (_str(_dict(alert).get(name)) for name in ("title", "body"))
    )
    kind = headers.get("apns-push-type", "alert")
    if kind == "background" and (alert or "badge" in aps or "sound" in aps):
        return None
    expires = headers.get("apns-expiration")
    lasts_s = _LONG_S if expires is None else max(int(expires) - now_s, 0.0)
    return Arrival(
        "apns",
        alert=bool(title or body),
        drawn=True,
        title=title,
        body=body,
        sound=bool(aps.get("sound")) and aps.get("interruption-level") != "passive",
        badge=_int(aps.get("badge")),
        collapse=headers.get("apns-collapse-id", ""),
        wakes=aps.get("content-available") == 1,
        mutable=aps.get("mutable-content") == 1,
        urgent=headers.get("apns-priority", "10") == "10",
        place=LATEST,
        lasts_s=lasts_s,
        ours=_ours(parsed),
    )


def _fcm(message: Mapping[str, Any]) -> Arrival:
    data, android, shown = (_dict(message.get(name)) for name in ("data", "android", "notification"))
    drawn = _dict(android.get("notification"))
    by_system = bool(shown or drawn)
    return Arrival(
        "fcm",
        alert=by_system or data.get("kind") in ("alert", "quiet"),
        drawn=by_system,
        title=_str(drawn.get("title") or shown.get("title")) if by_system else _str(data.get("title")),
        body=_str(drawn.get("body") or shown.get("body")) if by_system else _str(data.get("body")),
        sound=bool(drawn.get("sound") or drawn.get("default_sound")) if by_system else data.get("sound") == "1",
        badge=_int(drawn.get("notification_count")) if by_system else _int(data.get("badge")),
        collapse=_str(drawn.get("tag")) if by_system else _str(data.get("collapse_id")),
        wakes=not by_system,
        urgent=_str(android.get("priority")).upper() == "HIGH",
        place=_str(android.get("collapse_key")),
        lasts_s=float(_str(android.get("ttl")).removesuffix("s") or 28 * 24 * 3600),
        ours=_ours({**data, "group": data.get("channel")}),
    )


def _webpush(headers: Mapping[str, str], parsed: Mapping[str, Any]) -> Arrival:
    shown = _dict(parsed.get("notification"))
    return Arrival(
        "webpush",
        alert=bool(shown.get("title")),
        drawn=parsed.get("web_push") == 8030,
        title=_str(shown.get("title")),
        body=_str(shown.get("body")),
        sound=not shown.get("silent"),
        badge=_int(parsed.get("app_badge")),
        collapse=_str(shown.get("tag")),
        wakes=True,
        mutable=parsed.get("mutable") is True,
        urgent=headers.get("urgency", "normal") == "high",
        place=headers.get("topic", ""),
        lasts_s=float(headers.get("ttl", "0")),
        ours=_ours(_dict(parsed.get("hubbub"))),
    )


def _ours(beside: Mapping[str, Any]) -> Ours:
    sealed = _str(beside.get("sealed"))
    try:
        opened = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)) if sealed else None
    except binascii.Error:
        opened = None
    return Ours(
        kind=_str(beside.get("kind")),
        job_id=_str(beside.get("job_id")),
        collapse_id=_str(beside.get("collapse_id")),
        conversation=_str(beside.get("conversation")),
        upto=_int(beside.get("upto")) or 0,
        group=_str(beside.get("group")),
        sealed=opened,
    )


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _int(value: object) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) else None
