"""Posts notifications to an app's webhook, signed.

The URL is the operator's and comes with the keys; the device's address is in the body, and says there whom it is for.
A receiver that has seen a `Webhook-Id` has seen the notification: it is the same for every attempt.
"""

import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp.abc import AbstractResolver

from chat.outgoing import Outgoing, Rules, open_outgoing
from chat.push.sending import Content, CredentialsAtFault, Notification, Push, Rejected, Verdict
from chat.push.webhook.credentials import WebhookCredentials, signature
from chat.push.webhook.verdicts import verdict, verdict_of_failure

_CHECK_ID: Final = "check"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """`inside`: the URL may lead to a private address and be plain HTTP. `max_answer_bytes`: nothing in an answer
    counts but its status.
    """

    inside: bool = False
    deadline_s: float = 10.0
    connect_s: float = 5.0
    max_connections: int = 64
    keep_alive_s: float = 60.0
    max_answer_bytes: int = 64 * 1024


class WebhookSender:
    """Made by `open_webhook`."""

    def __init__(self, credentials: WebhookCredentials, outgoing: Outgoing, *, clock: Callable[[], float]) -> None:
        self._credentials: Final = credentials
        self._outgoing: Final = outgoing
        self._clock: Final = clock

    async def send(self, push: Push) -> Verdict:
        """See `Sender`."""
        if push.address.kind == "url":
            return Rejected("the URL of a webhook is the app's, not a device's")
        return await self._post(push.notification.job_id, f"push.{push.notification.kind}", _data(push))

    async def check(self) -> Verdict:
        """See `Sender`: a request of type `push.check`, which is for nobody. Any answer but a 2xx, or one that says
        later, is a fault of the set-up.
        """
        came = await self._post(_CHECK_ID, "push.check", {})
        return came if not isinstance(came, Rejected) else CredentialsAtFault(came.reason)

    async def _post(self, message_id: str, kind: str, data: dict[str, Any]) -> Verdict:
        now_s = self._clock()
        body = orjson.dumps({"type": kind, "at": int(now_s * 1000), "data": data})
        headers = {
            "Content-Type": "application/json",
            "Webhook-Id": message_id,
            "Webhook-Timestamp": str(int(now_s)),
            "Webhook-Signature": signature(self._credentials.keys, message_id, int(now_s), body),
        }
        try:
            answer = await self._outgoing.request("POST", self._credentials.url, headers=headers, body=body)
        except OSError as error:
            return verdict_of_failure(error)
        return verdict(answer.status, answer.headers, message_id=message_id, now_s=self._clock())


@asynccontextmanager
async def open_webhook(
    credentials: WebhookCredentials,
    *,
    clock: Callable[[], float],
    settings: WebhookSettings | None = None,
    resolver: AbstractResolver | None = None,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[WebhookSender]:
    """A sender and its connections, closed on exit. `clock`: wall clock in seconds. `resolver` and `trust` are for
    emulators.
    """
    settings = settings or WebhookSettings()
    async with open_outgoing(
        Rules(ports=frozenset(), inside=settings.inside),
        timeout_s=settings.deadline_s,
        max_bytes=settings.max_answer_bytes,
        connect_s=settings.connect_s,
        connections=settings.max_connections,
        keepalive_s=settings.keep_alive_s,
        resolver=resolver,
        trust=trust,
    ) as outgoing:
        yield WebhookSender(credentials, outgoing, clock=clock)


def _data(push: Push) -> dict[str, Any]:
    """What is empty is left out; in mode `encrypted` so is what tells of the conversation."""
    address, notification = push.address, push.notification
    said: dict[str, Any] = {
        "app": address.app,
        "device": address.device,
        "address": address.value,
        "expires_at": int(push.expires_at_s * 1000),
        "kind": notification.kind.value,
        "job_id": notification.job_id,
        "collapse_id": notification.collapse_id,
        "content": notification.content.value,
        "group": notification.group,
        "sound": notification.sound,
        "actions": notification.actions,
        "title": _clean(notification.title),
        "body": _clean(notification.body),
        "badge": notification.badge,
        **_tells(notification),
    }
    if notification.sealed is not None:
        said["sealed"] = base64.urlsafe_b64encode(notification.sealed).rstrip(b"=").decode()
    return {name: value for name, value in said.items() if value not in ("", None)}


def _tells(notification: Notification) -> dict[str, Any]:
    if notification.content is Content.ENCRYPTED:
        return {}
    return {"conversation": notification.conversation, "upto": notification.upto, "link": notification.link}


def _clean(text: str) -> str:
    """Halves of surrogate pairs cannot be sent."""
    return text.encode("utf-8", "replace").decode("utf-8")
