"""What a browser is told: JSON in the declarative shape of Web Push, with our data beside it. Pure.

Safari shows that shape by itself; to any other browser it is plain data for its service worker, which finds the same
fields. So one text serves all.
"""

import base64
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from chat.push.sending import Kind, Notification
from chat.push.webpush.encryption import MAX_PLAINTEXT_BYTES, TooLong

DECLARATIVE: Final = 8030
"""By this number a browser knows the shape."""

SHOWN: Final = frozenset({Kind.ALERT, Kind.QUIET})
"""Every push has to be seen: browsers revoke the subscription of who sends silent ones. So the others are not sent."""

_ELLIPSIS: Final = "…"
_JOINER: Final = "\u200d"
_SKIN: Final = range(0x1F3FB, 0x1F400)


@dataclass(frozen=True, slots=True)
class Shape:
    """`max_bytes` of JSON; little more than the default gets through to Firefox on Android. `title` is shown where a
    notification has none; `link` is opened where it has none (a URL of the app; empty: Safari leaves it to the worker).
    """

    max_bytes: int = 2500
    title: str = "New message"
    link: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.max_bytes <= MAX_PLAINTEXT_BYTES:
            raise ValueError(f"max_bytes must be at most {MAX_PLAINTEXT_BYTES}")


def payload(notification: Notification, shape: Shape) -> bytes:
    """JSON of at most `shape.max_bytes`: of the body, then of the title, so much is left out as is too long. What was
    sealed cannot be cut, so with that it may be as long as anything can be.

    Raises TooLong when what cannot be cut is too long by itself, ValueError for a kind that is not SHOWN.
    """
    if notification.kind not in SHOWN:
        raise ValueError(f"{notification.kind} would be silent")
    limit = shape.max_bytes if notification.sealed is None else MAX_PLAINTEXT_BYTES
    title, body = notification.title or shape.title, notification.body
    encoded = _encoded(notification, shape, title, body)
    if len(encoded) > limit:
        body = cut(body, _size(body) - (len(encoded) - limit))
        encoded = _encoded(notification, shape, title, body)
    if len(encoded) > limit:
        title = cut(title, _size(title) - (len(encoded) - limit))
        encoded = _encoded(notification, shape, title, body)
    if len(encoded) > limit or not title:
        raise TooLong(f"is more than {limit} bytes without its text")
    return encoded


def cut(text: str, max_bytes: int) -> str:
    """The longest beginning of `text` that takes at most `max_bytes` in JSON, an ellipsis included; empty if there is
    none. Never ends within a character, nor within what is seen as one.
    """
    if _size(text) <= max_bytes:
        return text
    room = max_bytes - len(_ELLIPSIS.encode())
    low, high = 0, min(len(text), max(room, 0))
    while low < high:
        middle = (low + high + 1) // 2
        if _size(text[:middle]) <= room:
            low = middle
        else:
            high = middle - 1
    while low and _joined(text, low):
        low -= 1
    return text[:low].rstrip() + _ELLIPSIS if low else ""


def _joined(text: str, at: int) -> bool:
    """Whether what is before `at` and what is behind it are seen as one."""
    behind = text[at]
    return (
        behind == _JOINER
        or text[at - 1] == _JOINER
        or ord(behind) in _SKIN
        or unicodedata.category(behind) in ("Mn", "Me", "Mc")
    )


def _size(text: str) -> int:
    return len(orjson.dumps(text)) - 2


def _encoded(notification: Notification, shape: Shape, title: str, body: str) -> bytes:
    quiet = notification.kind is Kind.QUIET or not notification.sound
    shown: dict[str, Any] = {"title": title, "body": body, "tag": notification.collapse_id}
    if quiet:
        shown["silent"] = True
    else:
        # One that replaces another rings as well.
        shown["renotify"] = True
    if link := notification.link or shape.link:
        shown["navigate"] = link
    message: dict[str, Any] = {"web_push": DECLARATIVE, "notification": shown, "mutable": True}
    if notification.badge is not None:
        message["app_badge"] = notification.badge
    message["hubbub"] = _ours(notification)
    return orjson.dumps(message)


def _ours(notification: Notification) -> Mapping[str, Any]:
    """For a service worker: what it is about, and how it is told from one that came before."""
    ours: dict[str, Any] = {
        "job_id": notification.job_id,
        "kind": notification.kind.value,
        "conversation": notification.conversation,
        "upto": notification.upto,
        "content": notification.content.value,
        "group": notification.group,
    }
    if notification.actions:
        ours["actions"] = True
    if notification.sealed is not None:
        ours["sealed"] = base64.urlsafe_b64encode(notification.sealed).rstrip(b"=").decode()
    return ours
