"""The emulator's own rules, by a client that breaks them one at a time."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chat.push.lab.apns_rules import Device, Environment, Registry, Session, Verdict
from chat.push.lab.screen import Brought
from chat.push.sending import Accepted, AddressGone
from support.apns_lab import KEY_ID, NOW_S, TEAM, TOPIC, Clock, apns_lab, pem_pair, push_to

DEVICE = "ab" * 32


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bearer(issued_at: float = NOW_S, team: str = TEAM, key_id: str = KEY_ID, name: str = "", alg: str = "ES256") -> str:
    key = load_pem_private_key(pem_pair(name)[0].encode(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    head = _b64(json.dumps({"alg": alg, "kid": key_id}).encode())
    signed = f"{head}.{_b64(json.dumps({'iss': team, 'iat': issued_at}).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ECDSA(SHA256())))
    return f"{signed}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@dataclass
class Vendor:
    clock: Clock = field(default_factory=Clock)
    per_host: bool = False
    session: Session = field(default_factory=Session)

    def __post_init__(self) -> None:
        self.token = bearer()
        self.registry = Registry(self.clock, per_host=self.per_host)
        self.registry.add_key(TEAM, KEY_ID, pem_pair("")[1], topics=[TOPIC, "org.example.other"])
        self.device: Device = self.registry.add_device(DEVICE, TOPIC)

    def ask(
        self,
        body: bytes = b'{"aps":{"alert":"x"}}',
        *,
        path: str = f"/3/device/{DEVICE}",
        method: str = "POST",
        environment: Environment = "production",
        session: Session | None = None,
        more: list[tuple[str, str]] | None = None,
        **headers: str | None,
    ) -> Verdict:
        """Keywords replace headers: `apns_topic`. None leaves one out."""
        known: dict[str, str | None] = {
            ":method": method,
            ":path": path,
            "authorization": f"bearer {self.token}",
            "apns-topic": TOPIC,
        }
        known |= {name.replace("_", "-"): value for name, value in headers.items()}
        listed = [(name, value) for name, value in known.items() if value is not None]
        return self.registry.judge(environment, session or self.session, "127.0.0.1", listed + (more or []), body)


def said(verdict: Verdict) -> tuple[int, str]:
    return verdict.status, verdict.reason


def test_a_good_push_is_accepted() -> None:
    assert Vendor().ask() == Verdict(200)


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"authorization": None}, (403, "MissingProviderToken")),
        ({"authorization": "bearer "}, (403, "MissingProviderToken")),
        ({"authorization": "bearer a.b.c"}, (403, "InvalidProviderToken")),
        ({"authorization": f"bearer {bearer(name='another')}"}, (403, "InvalidProviderToken")),
        ({"authorization": f"bearer {bearer(team='TEAM000009')}"}, (403, "InvalidProviderToken")),
        ({"authorization": f"bearer {bearer(alg='none')}"}, (403, "InvalidProviderToken")),
        ({"authorization": f"bearer {bearer(NOW_S - 3601)}"}, (403, "ExpiredProviderToken")),
        ({"authorization": f"bearer {bearer(NOW_S + 3601)}"}, (403, "ExpiredProviderToken")),
        ({"apns_topic": None}, (400, "MissingTopic")),
        ({"apns_topic": "no topic"}, (400, "BadTopic")),
        ({"apns_topic": "org.example.stranger"}, (400, "TopicDisallowed")),
        ({"apns_topic": "org.example.other"}, (400, "DeviceTokenNotForTopic")),
        ({"apns_push_type": "loud"}, (400, "InvalidPushType")),
        ({"apns_id": "7"}, (400, "BadMessageId")),
        ({"apns_expiration": "tomorrow"}, (400, "BadExpirationDate")),
        ({"apns_priority": "11"}, (400, "BadPriority")),
        ({"apns_push_type": "background", "apns_priority": "10"}, (400, "BadPriority")),
        ({"apns_collapse_id": "x" * 65}, (400, "BadCollapseId")),
        ({"path": "/3/device/"}, (400, "MissingDeviceToken")),
        ({"path": "/3/device/" + "cd" * 32}, (400, "BadDeviceToken")),
        ({"path": "/4/device/" + DEVICE}, (404, "BadPath")),
        ({"method": "GET"}, (405, "MethodNotAllowed")),
        ({"environment": "sandbox"}, (400, "BadDeviceToken")),
        ({"body": b""}, (400, "PayloadEmpty")),
        ({"body": b"x" * 4097}, (413, "PayloadTooLarge")),
        ({"more": [("apns-topic", TOPIC)]}, (400, "DuplicateHeaders")),
    ],
)
def test_a_rule_that_is_broken_is_named(headers: dict[str, Any], answer: tuple[int, str]) -> None:
    assert said(Vendor().ask(**headers)) == answer


def test_devices_may_be_gone_or_have_had_too_much() -> None:
    vendor = Vendor()
    vendor.device.limited = True
    assert said(vendor.ask()) == (429, "TooManyRequests")
    vendor.device.gone_at = 5
    assert vendor.ask() == Verdict(410, "Unregistered", 5)


def test_a_connection_stays_wedged_after_an_expired_token() -> None:
    vendor = Vendor()
    assert vendor.ask() == Verdict(200)
    vendor.clock.now_s += 3700
    assert said(vendor.ask()) == (403, "ExpiredProviderToken")
    vendor.token = bearer(vendor.clock.now_s)
    assert said(vendor.ask()) == (403, "ExpiredProviderToken")
    assert vendor.ask(session=Session()) == Verdict(200)


@pytest.mark.parametrize("per_host", [False, True])
def test_a_token_may_change_every_20_minutes(per_host: bool) -> None:
    vendor = Vendor(per_host=per_host)
    first = vendor.token
    assert vendor.ask() == Verdict(200)
    vendor.clock.now_s += 19 * 60
    vendor.token = bearer(vendor.clock.now_s)
    assert said(vendor.ask()) == (429, "TooManyProviderTokenUpdates")
    # Whether another connection helps.
    assert said(vendor.ask(session=Session())) == ((429, "TooManyProviderTokenUpdates") if per_host else (200, ""))
    vendor.token = first
    assert vendor.ask() == Verdict(200)
    vendor.clock.now_s += 61
    vendor.token = bearer(vendor.clock.now_s)
    assert vendor.ask() == Verdict(200)


def test_a_connection_is_for_one_team() -> None:
    vendor = Vendor()
    vendor.registry.add_key("TEAM000002", "KEY2", pem_pair("two")[1], topics=[TOPIC])
    assert vendor.ask() == Verdict(200)
    vendor.token = bearer(team="TEAM000002", key_id="KEY2", name="two")
    assert said(vendor.ask()) == (403, "InvalidProviderToken")
    assert vendor.ask(session=Session()) == Verdict(200)


def test_a_key_may_be_for_one_environment_or_some_topics() -> None:
    vendor = Vendor()
    vendor.registry.add_key(TEAM, "KEYSAND", pem_pair("sand")[1], environment="sandbox")
    vendor.registry.add_key(TEAM, "KEYSOME", pem_pair("some")[1], only=["org.example.other"])
    vendor.token = bearer(key_id="KEYSAND", name="sand")
    assert said(vendor.ask()) == (403, "BadEnvironmentKeyIdInToken")
    vendor.token = bearer(key_id="KEYSOME", name="some")
    assert said(vendor.ask()) == (403, "UnrelatedKeyIdInToken")


@pytest.mark.parametrize(
    ("kind", "body", "arrives"),
    [
        ("alert", b'{"aps":{"alert":"x"}}', True),
        ("alert", b'{"aps":{"badge":0,"content-available":1}}', True),
        ("alert", b'{"aps":{"content-available":1}}', False),
        ("background", b'{"aps":{"content-available":1}}', True),
        ("background", b'{"aps":{"content-available":1,"badge":1}}', False),
        ("alert", b"no json", False),
        ("alert", b'{"other":1}', False),
    ],
)
def test_what_is_of_another_kind_than_it_says_is_accepted_and_dropped(kind: str, body: bytes, arrives: bool) -> None:
    verdict = Vendor().ask(body, apns_push_type=kind, apns_priority="5")
    assert (verdict.status, verdict.delivers) == (200, arrives)


class Shown:
    def __init__(self) -> None:
        self.shown: list[tuple[str, str, str, bytes]] = []

    def show(self, brought: Brought, address: str, headers: Mapping[str, str], payload: bytes) -> None:
        self.shown.append((brought, address, headers["apns-collapse-id"], payload))


async def test_what_is_accepted_is_shown_and_nothing_else() -> None:
    screen = Shown()
    async with apns_lab(screen=screen) as lab:
        token = lab.device()
        assert isinstance(await lab.sender()(push_to(token, collapse_id="c1")), Accepted)
        assert isinstance(await lab.sender()(push_to(lab.gone(1))), AddressGone)
    [(brought, address, collapse_id, payload)] = screen.shown
    assert (brought, address, collapse_id) == ("apns", token, "c1")
    assert json.loads(payload)["aps"]["alert"] == {"title": "Ada", "body": "Hello"}
