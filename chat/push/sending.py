"""What is sent to a device, and what became of it: the words between the dispatcher and the providers. Pure.

A provider's sender takes a `Push` and returns a `Verdict`; it never retries by itself, never waits for another push,
and never decides about a device: that is the dispatcher's.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, Protocol, TypeAlias

COLLAPSE_ID_LENGTH: Final = 32
"""Fits a Topic of Web Push, and so `apns-collapse-id` and a tag of Android."""


class Provider(StrEnum):
    """Who brings it to the device. UnifiedPush and ntfy are `webpush` with other servers."""

    APNS = "apns"
    FCM = "fcm"
    WEBPUSH = "webpush"
    WEBHOOK = "webhook"


Environment: TypeAlias = Literal["production", "sandbox"]


class Kind(StrEnum):
    """What the person notices. `alert` rings. `quiet` replaces what is shown without a sound. `clear` takes a
    notification away. `badge` only sets the number on the app.
    """

    ALERT = "alert"
    QUIET = "quiet"
    CLEAR = "clear"
    BADGE = "badge"


SEEN_ONLY: Final = frozenset({Provider.WEBPUSH})
"""Browsers revoke the subscription of who sends what cannot be seen: nothing is cleared there, nor a number set."""


class Content(StrEnum):
    """How much a notification says. `encrypted`: everything, but for the device only (RFC 8291)."""

    FULL = "full"
    SENDER_ONLY = "sender_only"
    GENERIC = "generic"
    ID_ONLY = "id_only"
    ENCRYPTED = "encrypted"


SILENT: Final = frozenset({Content.GENERIC, Content.ID_ONLY, Content.ENCRYPTED})
"""Of these modes the texts say nothing of who wrote what."""


@dataclass(frozen=True, slots=True)
class WebKeys:
    """Of a subscription, or of a device that wants everything encrypted: a point on P-256 (65 bytes, uncompressed) and
    16 bytes.
    """

    p256dh: bytes
    auth: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a device is reached. `value` is a secret: the token, the Firebase installation id or the URL.

    `app` names the credentials. `confirmed_at` (ms UTC): when the device last said that this is its address.
    `vapid_key`: of a subscription, the public key that it was made with (`applicationServerKey`, base64url), so that
    keys can be rotated; empty if the device did not say, the app's first one then.
    """

    device: str
    provider: Provider
    app: str
    kind: Literal["token", "fid", "subscription", "url"]
    value: str = field(repr=False)
    environment: Environment = "production"
    keys: WebKeys | None = None
    confirmed_at: int = 0
    vapid_key: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """What fails and waits together, and apart from all others."""

    provider: Provider
    app: str
    environment: Environment = "production"


@dataclass(frozen=True, slots=True)
class Notification:
    """What is to be seen, whoever brings it; texts are already what the content mode allows.

    `job_id` is the same for every attempt of a job and its newest entry: by it a device that got it twice rings once.
    `collapse_id` (COLLAPSE_ID_LENGTH characters of base64url) is one per conversation: the next one replaces what is
    shown. `upto` is the offset of the newest entry that it tells of. `badge` is absolute, None leaves it. `actions`: it
    can be answered and marked as read. `group` names the class of conversation, for a channel of Android.
    `sealed` is there in mode `encrypted`: the body for the device's keys, by RFC 8291; title and body are generic then.
    `kept`: it waits for a device that is away. APNs keeps the last push of an app alone: what would only take the place
    of something that is to be seen is not.
    """

    kind: Kind
    job_id: str
    collapse_id: str
    conversation: str
    upto: int
    title: str = ""
    body: str = ""
    badge: int | None = None
    sound: bool = True
    content: Content = Content.FULL
    actions: bool = False
    group: Literal["direct", "mention", "group"] = "group"
    link: str = ""
    sealed: bytes | None = None
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Push:
    """One attempt. After `expires_at_s` (wall clock) it is of no use to anybody. `attempt` counts from 1."""

    address: Address
    notification: Notification
    expires_at_s: float
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has taken it. `environment`: it was the other one than the address says."""

    provider_id: str = ""
    environment: Environment | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """Not now. `scope`: whom it concerns. `after_s`: what the provider asked for, None if nothing."""

    reason: str
    scope: Literal["device", "lane", "origin"] = "lane"
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer: it may have been taken. To be tried again under the same ids."""

    reason: str


@dataclass(frozen=True, slots=True)
class AddressGone:
    """The device is not reached there any more; since `since` (ms UTC) if the provider says so."""

    reason: str
    since: int | None = None


@dataclass(frozen=True, slots=True)
class CredentialsAtFault:
    """The key, its rights or the app's set-up are wrong: nothing in this lane will pass until somebody mends it."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """To be rendered with less, once."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """We asked for something wrong: a fault of ours, kept for somebody to look at. The address stays."""

    reason: str


Verdict: TypeAlias = Accepted | Later | Unknown | AddressGone | CredentialsAtFault | TooLarge | Rejected


class Sender(Protocol):
    """Sends the pushes of one lane. An async context manager around it owns its connections."""

    async def send(self, push: Push) -> Verdict:
        """One attempt, within the sender's deadline (10 s by default). Raises nothing but what is a bug; safe to
        cancel, what came of it is unknown then.
        """

    async def check(self) -> Verdict:
        """Whether the credentials are good, by asking the provider for what cannot succeed. `Accepted`: they are."""
