"""What a device says of itself is checked before anything is kept."""

import base64
from typing import Any

import pytest

from chat.push.sending import Content
from chat.usecases.devices import asked, rendered
from chat.usecases.notifying import changed
from chat.vocabulary.devices import DeviceRegister, PushKeys, PushPreferencesChange, QuietHours
from realtime.protocol.codes import BAD_REQUEST, ClientError
from storage import model
from storage.model import ContentMode, Notify, PushPreferences

AT = 4_000_000_000_000
POINT = base64.urlsafe_b64decode(
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4="
)
"""The public key of the example in RFC 8291."""


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


KEYS = PushKeys(text(POINT), text(b"s" * 16))


def request(**fields: Any) -> DeviceRegister:
    return DeviceRegister(**{"device": "phone", "provider": "fcm", "address": "token", **fields})


def test_a_device_is_what_it_says() -> None:
    device = asked(
        "ada",
        request(
            provider="webpush",
            address="https://updates.push.services.mozilla.com/x",
            keys=KEYS,
            content_keys=KEYS,
            vapid_key=text(POINT) + "=",
            time_zone="Europe/Berlin",
            locale="de-DE",
            caps=["reply", "reply"],
            meta={"model": "x"},
        ),
        at=AT,
    )
    assert device.keys == model.DeviceKeys(POINT, b"s" * 16)
    assert (device.address_kind, device.vapid_key, device.caps) == ("subscription", text(POINT), ("reply",))
    shown = rendered(device)
    assert (shown.id, shown.encrypted, shown.created_at) == ("phone", True, AT)
    assert "mozilla" not in str(shown)


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"provider": "apns", "address": "no hex"}, "address", "a token of APNs is given in hexadecimal"),
        ({"provider": "apns", "address": "abc" * 11}, "address", "a token of APNs is given in hexadecimal"),
        ({"provider": "apns", "address": "ab" * 32, "address_kind": "fid"}, "address_kind", "of apns it is token"),
        ({"address_kind": "url"}, "address_kind", "of fcm it is token or fid"),
        ({"environment": "sandbox"}, "environment", "only APNs has a sandbox"),
        ({"provider": "webpush", "address": "https://x"}, "keys", "a subscription has keys"),
        ({"time_zone": "Europe/Atlantis"}, "time_zone", "is no time zone that is known here, like Europe/Berlin"),
        ({"time_zone": "../../etc/passwd"}, "time_zone", "is no time zone that is known here, like Europe/Berlin"),
        ({"time_zone": "Europe"}, "time_zone", "is no time zone that is known here, like Europe/Berlin"),
        ({"content_keys": PushKeys("AAA", KEYS.auth)}, "content_keys.p256dh", "must have 65 bytes, has 2"),
        ({"content_keys": PushKeys("A", KEYS.auth)}, "content_keys.p256dh", "is not base64url"),
        ({"content_keys": PushKeys(text(b"\4" * 65), KEYS.auth)}, "content_keys.p256dh", "is no point on P-256"),
        ({"content_keys": PushKeys(text(b"\2" + POINT[1:]), KEYS.auth)}, "content_keys.p256dh", "is no point on P-256"),
        ({"keys": PushKeys(KEYS.p256dh, text(b"s" * 15))}, "keys.auth", "must have 16 bytes, has 15"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_field_and_the_rule(
    fields: dict[str, Any], field: str, rule: str
) -> None:
    with pytest.raises(ClientError) as raised:
        asked("ada", request(**fields), at=AT)
    assert (raised.value.code, raised.value.field, raised.value.detail) == (BAD_REQUEST, field, rule)


def test_a_token_is_the_same_in_either_case_where_it_is_hexadecimal() -> None:
    upper, lower = (asked("ada", request(provider="apns", address=one * 32), at=AT) for one in ("AB", "ab"))
    assert upper.digest == lower.digest
    assert asked("ada", request(address="AB"), at=AT).digest != asked("ada", request(address="ab"), at=AT).digest


def test_preferences_change_only_where_something_is_given() -> None:
    before = PushPreferences(ContentMode.GENERIC, Notify.NONE, (model.QuietHours(0, 60, (0,)),), "Asia/Tokyo", AT + 1)
    assert changed(PushPreferencesChange(), before) == before
    cleared = PushPreferencesChange(content="default", notify="default", quiet=[], time_zone="", snoozed_until=0)
    assert changed(cleared, before) == PushPreferences()
    given = PushPreferencesChange(content="encrypted", notify="mentions", quiet=[QuietHours(1, 2, [6, 0, 6])])
    assert changed(given, PushPreferences()) == PushPreferences(
        ContentMode.ENCRYPTED, Notify.MENTIONS, (model.QuietHours(1, 2, (0, 6)),)
    )


def test_modes_of_content_are_those_that_notifications_are_made_in() -> None:
    assert {one.value for one in ContentMode} == {one.value for one in Content}
