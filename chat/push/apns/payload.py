"""What a notification is for APNs: headers and at most 4096 bytes of JSON. Pure.

`alert` and `quiet` are shown, under one collapse id for each conversation, so the next one replaces the last, and so
does a second attempt. `clear` and `badge` set the number, which costs nothing of the few background pushes that a phone
allows; `clear` without a number is such a push, and may never arrive.

An app finds what it needs beside `aps`, under the names of `Notification`. In mode `encrypted` all of that is sealed.
"""

import base64
import uuid
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import orjson

from chat.push.apns.settings import PayloadSettings
from chat.push.sending import SILENT, Content, Kind, Notification, TooLarge

_IDS: Final = uuid.UUID("0e3f7a52-52f0-5c7c-9d5e-6c8c3c1f8d11")
_CUT: Final = "…"
_JOINERS: Final = "\u200d\ufe0e\ufe0f"


@dataclass(frozen=True, slots=True)
class Rendered:
    """`headers` are those that begin with `apns-`, without the topic."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


def apns_id(notification: Notification) -> str:
    """The same for every attempt."""
    return str(uuid.uuid5(_IDS, notification.job_id))


def path_of(token: str) -> str:
    """Tokens are opaque: what is none, the vendor says. It cannot leave the path."""
    return f"/3/device/{quote(token, safe='')}"


def render(notification: Notification, *, expires_at_s: float, settings: PayloadSettings) -> Rendered | TooLarge:
    """TooLarge when it does not fit although title and body were cut."""
    build = _BUILDERS[notification.kind]
    push_type, priority, payload = build(notification, settings)
    body = _fitted(payload, settings.max_bytes)
    if body is None:
        return TooLarge("PayloadTooLarge")
    headers = [
        ("apns-id", apns_id(notification)),
        ("apns-push-type", push_type),
        ("apns-priority", priority),
        # By 0 it is brought now or never.
        ("apns-expiration", str(max(int(expires_at_s), 0)) if notification.kept else "0"),
    ]
    # A number alone must not replace what is shown.
    if notification.collapse_id and notification.kind is not Kind.BADGE:
        headers.append(("apns-collapse-id", notification.collapse_id))
    return Rendered(tuple(headers), body)


def _shown(notification: Notification, settings: PayloadSettings) -> tuple[str, str, dict[str, Any]]:
    rings = notification.kind is Kind.ALERT
    level = {
        "direct": settings.direct_level,
        "mention": settings.mention_level,
        "group": settings.group_level,
    }[notification.group]
    alert = {"title": _clean(notification.title), "body": _clean(notification.body)}
    if settings.own_texts and notification.content in SILENT:
        alert = {"title-loc-key": "hubbub_title", "loc-key": "hubbub_body"}
    aps: dict[str, Any] = {
        "alert": {name: text for name, text in alert.items() if text},
        # So the app's extension can fetch, open what is sealed, and leave out what it has shown.
        "mutable-content": 1,
        "thread-id": notification.collapse_id,
        "interruption-level": level if rings else "passive",
    }
    if rings and notification.sound:
        aps["sound"] = settings.sound
    if notification.badge is not None:
        aps["badge"] = notification.badge
    if notification.actions:
        aps["category"] = settings.category
    return "alert", "10" if rings else "5", {"aps": aps, **_beside(notification)}


def _clear(notification: Notification, settings: PayloadSettings) -> tuple[str, str, dict[str, Any]]:
    aps: dict[str, Any] = {"content-available": 1}
    if notification.badge is None:
        return "background", "5", {"aps": aps, **_beside(notification)}
    return "alert", "5", {"aps": aps | {"badge": notification.badge}, **_beside(notification)}


def _badge(notification: Notification, settings: PayloadSettings) -> tuple[str, str, dict[str, Any]]:
    if notification.badge is None:
        return _clear(notification, settings)
    return "alert", "5", {"aps": {"badge": notification.badge}, "kind": notification.kind.value}


_BUILDERS: Final = {Kind.ALERT: _shown, Kind.QUIET: _shown, Kind.CLEAR: _clear, Kind.BADGE: _badge}


def _beside(notification: Notification) -> dict[str, Any]:
    """For the app. What is empty is left out."""
    known: dict[str, Any] = {
        "kind": notification.kind.value,
        "content": notification.content.value,
        "job_id": notification.job_id,
        "collapse_id": notification.collapse_id,
    }
    if notification.content is Content.ENCRYPTED:
        if notification.sealed is not None:
            known["sealed"] = base64.urlsafe_b64encode(notification.sealed).rstrip(b"=").decode()
        return known
    known |= {"conversation": notification.conversation, "upto": notification.upto}
    if notification.link:
        known["link"] = _clean(notification.link)
    return known


def _fitted(payload: dict[str, Any], max_bytes: int) -> bytes | None:
    """As JSON, with the body cut, and then the title, until it fits; None when even that does not help."""
    encoded = orjson.dumps(payload)
    if len(encoded) <= max_bytes:
        return encoded
    alert: dict[str, str] = payload["aps"].get("alert", {})
    for name in ("body", "title"):
        text = alert.get(name)
        if text is None:
            continue
        # The most characters that fit. More of them never make it shorter.
        fits, too_many = -1, len(text)
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            alert[name] = _cut(text, middle)
            if len(orjson.dumps(payload)) <= max_bytes:
                fits = middle
            else:
                too_many = middle
        alert[name] = _cut(text, max(fits, 0))
        if fits >= 0:
            return orjson.dumps(payload)
    return None


def _cut(text: str, length: int) -> str:
    """The first `length` characters and a mark, without the rest of a joined one."""
    return text[:length].rstrip(_JOINERS).rstrip() + _CUT


def _clean(text: str) -> str:
    """Halves of surrogate pairs cannot be sent."""
    return text.encode("utf-8", "replace").decode("utf-8")
