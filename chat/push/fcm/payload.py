"""A notification as a message of Firebase. Pure.

The app gets everything as `data`, strings alone, and draws the notification itself: so a job that it has shown already
makes no sound again, and it can take one away that was read elsewhere, and open what is sealed. Only what is to be seen
is urgent: urgent messages that show nothing make Android take the app for a nuisance.

There is no `collapse_key`: Firebase keeps four of them per device, which ones nobody knows, and slows down messages
that have one. What replaces what is shown is the tag.
"""

import base64
from dataclasses import replace
from typing import Any, Final

import orjson

from chat.push.fcm.settings import FcmSettings
from chat.push.sending import Address, Content, Kind, Notification

_ELLIPSIS: Final = "…"
_SHORT_TITLE: Final = 64


class TooMuch(ValueError):
    """It does not fit, however little is left of its texts."""


def message(
    notification: Notification, address: Address, *, now_s: float, expires_at_s: float, settings: FcmSettings
) -> dict[str, Any]:
    """The `message` of a request, of at most `max_payload_bytes` whatever is counted. Times are wall clock, in seconds.

    What is too long loses, in this order: the end of the body, the link, the end of the title. Raises TooMuch.
    """
    fitting = _fit(_clean(notification), settings)
    target = {"fid" if address.kind == "fid" else "token": address.value}
    ttl_s = min(max(int(expires_at_s - now_s), 0), settings.max_ttl_s)
    urgent = notification.kind is Kind.ALERT
    android: dict[str, Any] = {"priority": "HIGH" if urgent else "NORMAL", "ttl": f"{ttl_s}s"}
    made: dict[str, Any] = {**target, "data": _data(fitting, settings), "android": android}
    if _drawn_by_system(fitting, settings):
        made["notification"] = {"title": fitting.title, "body": fitting.body}
        android["notification"] = _android(fitting, settings)
        made["apns"] = _apns(fitting, int(now_s) + ttl_s)
    return made


def empty_message(address: Address) -> dict[str, Any]:
    """Nothing wrong can be in it but the address."""
    return {"fid" if address.kind == "fid" else "token": address.value, "data": {}}


def _fit(notification: Notification, settings: FcmSettings) -> Notification:
    for made in _lesser(notification):
        if _size(made, settings) <= settings.max_payload_bytes:
            return made
        if not made.body:
            continue
        bare = replace(made, body=_ELLIPSIS)
        if _size(bare, settings) <= settings.max_payload_bytes:
            return replace(made, body=_cut(made, settings))
    raise TooMuch("the notification does not fit, whatever is left out")


def _lesser(notification: Notification) -> list[Notification]:
    """From everything to next to nothing."""
    bare = replace(notification, link="")
    return [notification, bare, replace(bare, title=_end_well(bare.title[:_SHORT_TITLE]))]


def _cut(notification: Notification, settings: FcmSettings) -> str:
    """The longest beginning of the body that fits with an ellipsis; there is one."""
    body, low, high = notification.body, 0, len(notification.body)
    while low < high:
        middle = (low + high + 1) // 2
        if _size(replace(notification, body=body[:middle] + _ELLIPSIS), settings) <= settings.max_payload_bytes:
            low = middle
        else:
            high = middle - 1
    return _end_well(body[:low]) + _ELLIPSIS


def _clean(notification: Notification) -> Notification:
    """Halves of surrogate pairs cannot be sent."""
    texts = notification.title + notification.body
    if texts.isascii():
        return notification
    title, body = (text.encode("utf-8", "replace").decode() for text in (notification.title, notification.body))
    return replace(notification, title=title, body=body)


def _end_well(text: str) -> str:
    """Without half a composed character at its end, as far as that shows."""
    return text.rstrip("\u200d\ufe0f ")


def _size(notification: Notification, settings: FcmSettings) -> int:
    """Bytes of all that Firebase may count, as JSON: more than it counts, keys and values alone by its manual."""
    counted: list[Any] = [_data(notification, settings)]
    if _drawn_by_system(notification, settings):
        counted += [notification.title, notification.body, _android(notification, settings)]
    return len(orjson.dumps(counted))


def _drawn_by_system(notification: Notification, settings: FcmSettings) -> bool:
    return settings.display == "system" and notification.kind in (Kind.ALERT, Kind.QUIET)


def _data(notification: Notification, settings: FcmSettings) -> dict[str, str]:
    """Names that Firebase keeps for itself (`from`, `message_type`, `gcm…`, `google…`, `collapse_key`) are not used."""
    said = {
        "kind": notification.kind.value,
        "job_id": notification.job_id,
        "collapse_id": notification.collapse_id,
        "content": notification.content.value,
        "title": notification.title,
        "body": notification.body,
    }
    if notification.content is not Content.ENCRYPTED:
        said["conversation"] = notification.conversation
        said["upto"] = str(notification.upto)
        said["link"] = notification.link
    if notification.badge is not None:
        said["badge"] = str(notification.badge)
    if notification.kind in (Kind.ALERT, Kind.QUIET):
        said["channel"] = _channel(notification, settings)
        said["sound"] = "1" if _sounds(notification) else "0"
        if notification.actions:
            said["actions"] = "reply,read"
    if notification.sealed is not None:
        said["sealed"] = base64.urlsafe_b64encode(notification.sealed).rstrip(b"=").decode()
    return {name: value for name, value in said.items() if value}


def _android(notification: Notification, settings: FcmSettings) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "channel_id": _channel(notification, settings),
        "tag": notification.collapse_id,
        "notification_priority": "PRIORITY_HIGH" if _sounds(notification) else "PRIORITY_LOW",
    }
    if _sounds(notification):
        drawn["default_sound"] = True
    if notification.badge is not None:
        drawn["notification_count"] = notification.badge
    return drawn


def _apns(notification: Notification, expires_at_s: int) -> dict[str, Any]:
    """For iPhones behind Firebase, which adds title and body."""
    aps: dict[str, Any] = {"thread-id": notification.collapse_id, "mutable-content": 1}
    if _sounds(notification):
        aps["sound"] = "default"
    if notification.badge is not None:
        aps["badge"] = notification.badge
    return {
        "headers": {"apns-collapse-id": notification.collapse_id, "apns-expiration": str(expires_at_s)},
        "payload": {"aps": aps},
    }


def _channel(notification: Notification, settings: FcmSettings) -> str:
    return settings.channels.get(notification.group, notification.group)


def _sounds(notification: Notification) -> bool:
    return notification.kind is Kind.ALERT and notification.sound
