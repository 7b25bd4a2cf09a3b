import ssl

import pytest

from realtime.redis.address import parse_address


def test_a_url_says_where_and_as_whom() -> None:
    address = parse_address("redis://ann:s%3Acret@bus.example:7000/3")

    assert (address.host, address.port, address.db, address.tls) == ("bus.example", 7000, 3, None)
    assert address.greeting("n1") == [
        (b"AUTH", b"ann", b"s:cret"),
        (b"SELECT", b"3"),
        (b"CLIENT", b"SETNAME", b"n1"),
        (b"PING",),
    ]


def test_what_is_left_out_has_redis_defaults() -> None:
    address = parse_address("redis://")

    assert (address.host, address.port, address.path) == ("localhost", 6379, "")
    assert address.greeting("n1") == [(b"CLIENT", b"SETNAME", b"n1"), (b"PING",)]


def test_a_password_alone_is_for_the_default_user() -> None:
    assert parse_address("redis://:secret@h").greeting("n1")[0] == (b"AUTH", b"secret")


def test_a_unix_socket_takes_its_options_from_the_query() -> None:
    address = parse_address("unix:///run/redis.sock?db=2&password=secret")

    assert (address.path, address.db, address.password) == ("/run/redis.sock", 2, "secret")


def test_rediss_verifies_the_server() -> None:
    tls = parse_address("rediss://h").tls

    assert tls is not None
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_verifying_can_be_switched_off_in_the_url() -> None:
    tls = parse_address("rediss://h?ssl_cert_reqs=none").tls

    assert tls is not None
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_NONE, False)


def test_identity_and_representation_hold_no_credentials() -> None:
    address = parse_address("redis://ann:hidden@h:1/2")

    assert address.identity == "h:1/2"
    assert "hidden" not in repr(address)
    assert "ann" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://h",
        "unix://",
        "redis://:hidden@h:port",
        "redis://:hidden@h?db=x",
        "rediss://:hidden@h?ssl_cert_reqs=perhaps",
        "rediss://:hidden@h?ssl_ca_certs=/does/not/exist",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="not a usable Redis URL") as caught:
        parse_address(url)

    assert "hidden" not in str(caught.value)
