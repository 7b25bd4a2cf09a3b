"""Credentials of each kind, made once: keys take their time."""

import json
import secrets
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chat.push.credentials import ApnsCredentials, FcmCredentials, WebhookCredentials, WebPushCredentials, checked
from chat.push.webhook.credentials import new_secret
from chat.push.webpush.vapid import generate
from storage.model.push_app import PushApp
from storage.store import Store

TOPIC = "org.example.chat"


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@cache
def p8() -> str:
    """A key as Apple gives it out."""
    return pem(ec.generate_private_key(ec.SECP256R1()))


@cache
def service_account(key_id: str = "a1b2c3") -> str:
    """The JSON of Google's console."""
    key = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    account = {"type": "service_account", "project_id": "chat-1", "client_email": "push@chat-1.example"}
    return json.dumps({**account, "private_key_id": key_id, "private_key": key})


def apns(key_id: str = "KEY0000001") -> ApnsCredentials:
    return ApnsCredentials("TEAM000001", key_id, TOPIC, p8())


def fcm() -> FcmCredentials:
    return FcmCredentials(service_account())


@cache
def web_push(*origins: str) -> WebPushCredentials:
    private, public = generate(secrets.token_bytes)
    return WebPushCredentials(private, public, "mailto:push@example.com", origins)


@cache
def webhook() -> WebhookCredentials:
    return WebhookCredentials("https://hooks.example.com/a-secret-path", new_secret())


async def kept_web_push(store: Store, app: str = "default", *, at: int = 1_700_000_000_000) -> str:
    """An app has a key for Web Push that nobody here can open; the public key, another one each time."""
    private, public = generate(secrets.token_bytes)
    name, about = checked(WebPushCredentials(private, public, "mailto:push@example.com"))
    await store.push_apps.put(PushApp("webpush", app, name, "sealed elsewhere", about, at))
    return public
