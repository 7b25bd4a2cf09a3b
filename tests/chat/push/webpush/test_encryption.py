"""What is sealed for a device only that device can open, and it is what RFC 8291 says, byte for byte."""

import base64
import random as random_module
import secrets

import http_ece
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from chat.push.sending import WebKeys
from chat.push.webpush.encryption import (
    MAX_PLAINTEXT_BYTES,
    OVERHEAD_BYTES,
    BadKeys,
    TooLong,
    check_keys,
    encrypt,
    new_private_key,
    public_point,
    seal_for,
)


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private_key(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(unpacked(text), "big"), ec.SECP256R1())


# RFC 8291, appendix A.
PLAINTEXT = b"When I grow up, I want to be a watermelon"
OURS = private_key("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
THEIRS = private_key("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
KEYS = WebKeys(
    unpacked("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
    unpacked("BTBZMqHH6r4Tts7J_aSIgg"),
)
SALT = unpacked("DGv6ra1nlYgDCS1FRnbzlw")
BODY = unpacked(
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
    "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_example_of_the_rfc_comes_out_byte_for_byte() -> None:
    assert public_point(THEIRS) == KEYS.p256dh
    assert encrypt(PLAINTEXT, KEYS, ephemeral=OURS, salt=SALT) == BODY


def test_the_other_implementation_opens_that_example() -> None:
    assert http_ece.decrypt(BODY, private_key=THEIRS, auth_secret=KEYS.auth) == PLAINTEXT


@given(plaintext=st.binary(max_size=MAX_PLAINTEXT_BYTES), seed=st.integers(0, 2**64))
def test_what_was_sealed_is_opened_by_another_implementation(plaintext: bytes, seed: int) -> None:
    random = random_module.Random(seed)
    device = new_private_key(random.randbytes)
    keys = WebKeys(public_point(device), random.randbytes(16))
    sealed = seal_for(keys, plaintext, random=random.randbytes)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert http_ece.decrypt(sealed, private_key=device, auth_secret=keys.auth) == plaintext


def test_the_longest_makes_4096_bytes_and_one_more_is_refused() -> None:
    assert MAX_PLAINTEXT_BYTES == 3993
    sealed = seal_for(KEYS, b"x" * MAX_PLAINTEXT_BYTES, random=secrets.token_bytes)
    assert len(sealed) == 4096
    assert http_ece.decrypt(sealed, private_key=THEIRS, auth_secret=KEYS.auth) == b"x" * MAX_PLAINTEXT_BYTES
    with pytest.raises(TooLong):
        seal_for(KEYS, b"x" * (MAX_PLAINTEXT_BYTES + 1), random=secrets.token_bytes)


def test_the_same_is_never_sealed_the_same_way_twice() -> None:
    one, other = (seal_for(KEYS, PLAINTEXT, random=secrets.token_bytes) for _ in range(2))
    assert one[:16] != other[:16]  # the salt
    assert one[21:86] != other[21:86]  # the key


# The record size, at 16 to 19, is not signed by anything; a message of one record does not need it.
@given(at=st.integers(0, 15) | st.integers(20, len(BODY) - 1))
def test_nothing_that_was_changed_opens(at: int) -> None:
    changed = bytearray(seal_for(KEYS, PLAINTEXT, random=secrets.token_bytes))
    changed[at] ^= 1
    with pytest.raises((InvalidTag, http_ece.ECEException, ValueError)):
        http_ece.decrypt(bytes(changed), private_key=THEIRS, auth_secret=KEYS.auth)


def _elsewhere() -> bytes:
    point = bytearray(KEYS.p256dh)
    point[64] ^= 1
    return bytes(point)


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        pytest.param(_elsewhere(), KEYS.auth, id="a-point-beside-the-curve"),
        pytest.param(b"\x04" + bytes(64), KEYS.auth, id="zeros"),
        pytest.param(b"\x04" + b"\xff" * 64, KEYS.auth, id="outside-the-field"),
        pytest.param(b"\x00", KEYS.auth, id="infinity"),
        pytest.param(b"\x02" + KEYS.p256dh[1:33], KEYS.auth, id="compressed"),
        pytest.param(b"\x06" + KEYS.p256dh[1:], KEYS.auth, id="hybrid"),
        pytest.param(KEYS.p256dh[:-1], KEYS.auth, id="cut-short"),
        pytest.param(KEYS.p256dh + b"\0", KEYS.auth, id="one-byte-too-many"),
        pytest.param(b"", KEYS.auth, id="nothing"),
        pytest.param(KEYS.p256dh, KEYS.auth[:15], id="auth-of-15"),
        pytest.param(KEYS.p256dh, KEYS.auth + b"\0", id="auth-of-17"),
        pytest.param(KEYS.p256dh, b"", id="no-auth"),
    ],
)
def test_keys_that_no_device_can_have_are_refused(p256dh: bytes, auth: bytes) -> None:
    keys = WebKeys(p256dh, auth)
    with pytest.raises(BadKeys):
        check_keys(keys)
    with pytest.raises(BadKeys):
        seal_for(keys, PLAINTEXT, random=secrets.token_bytes)


def test_a_scalar_that_is_no_key_is_thrown_away() -> None:
    given_out = iter([bytes(32), b"\xff" * 32, b"\0" * 31 + b"\x07"])
    assert new_private_key(lambda _: next(given_out)).private_numbers().private_value == 7
