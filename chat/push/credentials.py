"""What an app needs to have its notifications brought: one kind for each provider, checked before they are kept. Pure.

What may be shown to operators is in `about`; the whole is in `secret`, which is only ever stored sealed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec

from chat.outgoing import Forbidden, Rules, check_url
from chat.push.apns.tokens import InvalidKey, Key
from chat.push.endpoints import ORIGINS, PUBLIC
from chat.push.fcm.oauth import BadServiceAccount, parse_service_account
from chat.push.sending import Environment, Provider
from chat.push.webhook import credentials as webhook
from chat.push.webhook.credentials import BadWebhook, parse_webhook
from chat.push.webpush.origins import allowed_origins
from chat.push.webpush.vapid import BadVapid, parse_vapid


class BadCredentials(ValueError):
    """The text says what is wrong, without any secret. `field` is that of the credentials."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


@dataclass(frozen=True, slots=True)
class ApnsCredentials:
    """A .p8 key. `topic` is the bundle id. `environment`: the only one that the key is for; empty: both."""

    team: str
    key_id: str
    topic: str
    private_key: str = field(repr=False)
    environment: Environment | None = None


@dataclass(frozen=True, slots=True)
class FcmCredentials:
    """The JSON of a service account."""

    account: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebPushCredentials:
    """A VAPID key pair (base64url), how the operator can be reached, and push services besides the usual ones."""

    private: str = field(repr=False)
    public: str
    subject: str
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebhookCredentials:
    """Where to send, and what the requests are signed with (`whsec_…`). The URL is a secret as well, as a rule.
    `inside`: it may lead to a private address, and be plain HTTP.
    """

    url: str = field(repr=False)
    secret: str = field(repr=False)
    inside: bool = False


Credentials: TypeAlias = ApnsCredentials | FcmCredentials | WebPushCredentials | WebhookCredentials

_KINDS: Final[Mapping[Provider, type[Credentials]]] = {
    Provider.APNS: ApnsCredentials,
    Provider.FCM: FcmCredentials,
    Provider.WEBPUSH: WebPushCredentials,
    Provider.WEBHOOK: WebhookCredentials,
}


@dataclass(frozen=True, slots=True)
class AppKey:
    """One key of an app, opened. `name` tells the keys of an app apart."""

    provider: Provider
    app: str
    name: str
    credentials: Credentials
    created_at: int

    @property
    def environments(self) -> tuple[Environment, ...]:
        """Those that it can send in."""
        if not isinstance(self.credentials, ApnsCredentials):
            return ("production",)
        return (self.credentials.environment,) if self.credentials.environment else ("production", "sandbox")


def provider_of(credentials: Credentials) -> Provider:
    return next(provider for provider, kind in _KINDS.items() if isinstance(credentials, kind))


def checked(credentials: Credentials, *, emulated: bool = False) -> tuple[str, dict[str, str]]:
    """The name that the key has, and what may be shown of it. Raises BadCredentials for what can never work.

    `emulated`: they are of emulators on this machine, which need no TLS and no name of the internet.
    """
    match credentials:
        case ApnsCredentials():
            return _apns(credentials)
        case FcmCredentials():
            return _fcm(credentials, emulated=emulated)
        case WebPushCredentials():
            return _web_push(credentials, emulated=emulated)
        case WebhookCredentials():
            return _webhook(credentials)


def secret(credentials: Credentials) -> bytes:
    """The whole, to be sealed."""
    return msgspec.json.encode(credentials)


def opened(provider: str, data: bytes) -> Credentials:
    """What `secret` has made. Raises BadCredentials for what another version has written."""
    try:
        return msgspec.json.decode(data, type=_KINDS[Provider(provider)])
    except (ValueError, KeyError, msgspec.MsgspecError):
        # Without the cause: it may repeat what it has read.
        raise BadCredentials("credentials", f"are not of {provider} as this version knows it") from None


def _apns(credentials: ApnsCredentials) -> tuple[str, dict[str, str]]:
    for name, value, length in (("key_id", credentials.key_id, 10), ("team", credentials.team, 10)):
        if len(value) != length or not value.isascii() or not value.isalnum():
            raise BadCredentials(name, f"must be the {length} letters and digits that Apple's developer site shows")
    if not credentials.topic or not credentials.topic.isascii() or not credentials.topic.replace(".", "").strip():
        raise BadCredentials("topic", "must be the bundle id of the app, like org.example.chat")
    try:
        Key(credentials.team, credentials.key_id, credentials.private_key).load()
    except InvalidKey as error:
        raise BadCredentials("private_key", f"{error}; it is the .p8 file as Apple gave it") from None
    environment = credentials.environment or "both"
    return credentials.key_id, {"team": credentials.team, "topic": credentials.topic, "environment": environment}


def _fcm(credentials: FcmCredentials, *, emulated: bool) -> tuple[str, dict[str, str]]:
    try:
        account = parse_service_account(credentials.account, plain_http=emulated)
    except BadServiceAccount as error:
        raise BadCredentials("account", str(error)) from None
    return account.key_id[:16] or _digest(account.email), {"project": account.project, "account": account.email}


def _web_push(credentials: WebPushCredentials, *, emulated: bool) -> tuple[str, dict[str, str]]:
    try:
        key = parse_vapid([(credentials.private, credentials.public)], credentials.subject).keys[0]
    except BadVapid as error:
        raise BadCredentials("subject" if "contact" in str(error) else "private", str(error)) from None
    try:
        allowed_origins(credentials.origins, loopback=emulated)
    except ValueError as error:
        raise BadCredentials("origins", str(error)) from None
    about = {PUBLIC: key.public, "subject": credentials.subject}
    return key.id, about | ({ORIGINS: " ".join(credentials.origins)} if credentials.origins else {})


def _webhook(credentials: WebhookCredentials) -> tuple[str, dict[str, str]]:
    try:
        url = check_url(credentials.url, Rules(ports=frozenset(), inside=credentials.inside))
    except Forbidden as error:
        raise BadCredentials("url", str(error)) from None
    try:
        webhook_of([credentials])
    except BadWebhook as error:
        raise BadCredentials("secret", str(error)) from None
    # The path is where such URLs keep their secrets.
    return _digest(credentials.secret), {"host": url.host or ""}


def webhook_of(keys: Sequence[WebhookCredentials]) -> webhook.WebhookCredentials:
    """As the sender takes it: the newest URL, signed by all keys. Raises BadWebhook."""
    return parse_webhook(msgspec.json.encode({"url": keys[0].url, "secrets": [key.secret for key in keys]}))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
